#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/random/bit_gen_ref.h"
#include "absl/status/status.h"
#include "client/discovery/discovery_peer.h"
#include "client/discovery/division.h"
#include "client/discovery/push_session.h"
#include "client/discovery/pusher_status.h"
#include "client/discovery/share.h"
#include "core/base/backoff.h"
#include "core/base/event_loop.h"

namespace trawl {

// Brings a source's groups to one or more trawlds, and keeps them there: the caller says what it
// wants, whole or in changes; this divides the targets, and a session a trawld does the rest.
//
// Guarantees:
//   1. NOTHING IS SENT BEFORE THE FIRST REPLACE: a pusher that has just started, and does not yet
//      know its targets, takes none away.
//   2. A trawld that can't be reached keeps its targets, and they stay its own: only another list
//      of addresses moves targets.
//   3. TARGETS THAT MOVE ARE SCRAPED BY THE OLD OWNER UNTIL THE NEW ONE HAS THEM: removals go out
//      after the new owner's ack. So it is over a restart of the pusher as well, because each
//      trawld's history id says by which division its targets came.
//   4. An address that leaves gives up the source with its targets, once all others are settled.
//   5. NO TRAWLD'S SHARE IS TAKEN FOR ANOTHER'S: addresses that change places get their own. A
//      trawld that two addresses lead to has the share of one; the other is refused, and says so.
//   6. With more than one replica, trawlds of equal external labels are refused but for the first:
//      each series would be written twice.
// The loop's thread only.
class Pusher final : private PushSession::Listener {
 public:
  struct Options {
    PushSession::Identity identity;
    PushSession::Options session;
  };
  class Listener {
   public:
    virtual ~Listener() = default;
    // Snapshot shows something new. In a turn of its own, once for many changes.
    virtual void OnPusherChanged() = 0;
  };
  struct Deps {
    EventLoop& loop;
    absl::BitGenRef random;
    DiscoveryPeers& peers;
    Listener& listener;
  };

  Pusher(const Options& options, const Deps& deps);
  ~Pusher() override;

  // Who scrapes. Addresses that were there before and are in neither list leave, as do those in
  // `leaving`, which may be of an earlier run of the pusher. kInvalidArgument: no address.
  absl::Status SetTrawlds(Division division, const std::vector<std::string>& leaving = {});
  void SetFencingToken(std::optional<uint64_t> token);

  struct ChangeOptions {
    bool allow_shrink = false;  // what goes is meant to go, however much
  };
  // What is to be scraped: all groups, or changed ones. kInvalidArgument (CheckGroups) changes
  // nothing.
  absl::Status Replace(std::vector<discovery::v1::TargetGroup> groups,
                       const ChangeOptions& options);
  absl::Status Update(std::vector<discovery::v1::TargetGroup> upsert,
                      const std::vector<GroupId>& remove, const ChangeOptions& options);

  PusherStatus Snapshot() const;

  // Every problem of groups that could not be sent: no job, no key, the same group twice. (One
  // that is larger than a message is refused alone, PushSession.)
  static absl::Status CheckGroups(const std::vector<discovery::v1::TargetGroup>& groups);

 private:
  using ExternalLabels = std::map<std::string, std::string>;
  struct Trawld {
    std::unique_ptr<DiscoveryPeer> peer;  // outlives the session
    std::unique_ptr<PushSession> session;
    // Divisions by which it may still have targets that are now another's.
    std::vector<Division> formers;
    std::string handed_over;  // history id whose former divisions are done with
    std::optional<ExternalLabels> labels;
    bool was_settled = false;
  };
  // An address that left.
  struct Leaver {
    std::unique_ptr<DiscoveryPeer> peer;
    Backoff backoff;
    TimerId timer = 0;
    bool asking = false;
    int refusals = 0;  // because a stream holds the source
    absl::Status last_error;
    absl::Time last_error_time = absl::InfinitePast();
  };

  // PushSession::Listener
  absl::Status OnWelcome(PushSession& session, const discovery::v1::Welcome& welcome) override;
  void OnPushed(PushSession& session) override;

  Trawld& Find(const PushSession& session);
  void Add(const std::string& address);
  void AddLeaver(const std::string& address, std::unique_ptr<DiscoveryPeer> peer);
  void NoteFormer(Trawld& trawld, const Division& former);
  absl::Status CheckLabels(const Trawld& trawld, const ExternalLabels& labels) const;
  // Says whose share it is, and by which divisions the trawld may have its targets: those before,
  // and the one in force.
  std::string HistoryId(const Trawld& trawld) const;
  // True if it names a division that the trawld's session does not.
  bool NoteHistory(Trawld& trawld, std::string_view history);
  void WarnOfStrangers(const Division& former) const;
  void StartAll();
  void Start(Trawld& trawld);

  void Put(GroupPtr group);
  void Remove(const GroupId& id);
  void FinishChange(const ChangeOptions& options);
  void Divide(const GroupPtr& group);
  void DivideAll();
  bool HandsOver() const;
  bool AllSettled() const;
  // It had the target by a former division, and some new owner is not settled.
  bool Carries(const Trawld& trawld, const std::vector<size_t>& owners, const std::string& job,
               const std::string& target) const;
  void EndHandOver();

  void ReleaseLeavers();
  void AskRelease(const std::string& address);
  void OnReleased(const std::string& address, const absl::Status& status);
  void TellChanged();

  // Constant after construction.
  const Options options_;
  const Deps deps_;
  const std::string history_base_;  // one for each run

  // Owned by the loop's thread.
  std::optional<uint64_t> fencing_token_;
  Division division_;
  std::vector<std::unique_ptr<Trawld>> trawlds_;  // of division_.addresses(), in their order
  std::map<std::string, Leaver> leavers_;
  bool filled_ = false;  // by the first Replace
  std::map<GroupId, GroupPtr> groups_;
  size_t targets_ = 0;
  TimerId tell_timer_ = 0;
};

}  // namespace trawl

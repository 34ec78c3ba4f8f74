#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/random/bit_gen_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/discovery/discovery_peer.h"
#include "client/discovery/pusher_status.h"
#include "client/discovery/share.h"
#include "core/base/backoff.h"
#include "core/base/event_loop.h"

namespace trawl {

// Brings a share to one trawld and keeps it there: the client's side of Sync, over one stream
// after another.
//
//   waiting ── back-off ──► opening ── Welcome ──► sending ◄──► in sync
//      ▲                                              │
//      └───────────── closed, Goaway, refused ◄───────┘
//
// Guarantees:
//   1. ONE CHANGE IS UNDER WAY AT A TIME, a delta or a snapshot; what comes meanwhile is one
//      change afterwards. So a slow trawld is sent few large changes, and a base is never guessed.
//   2. A change that does not fit into one message is a snapshot: it is applied as a whole. A group
//      that fits into none is left out and listed as refused: after a change the trawld keeps what
//      it has of it.
//   3. What the trawld refused is remembered, and sent again when it changed or is asked for.
//   4. A trawld that says nothing for three heartbeats, each of which it has to answer, is given up
//      as one that is not reached: also one that hangs behind a connection that stands.
//   5. A trawld that says it has another version than it acked gets everything again.
// The loop's thread only.
class PushSession final : private SyncStream::Observer {
 public:
  // Who speaks.
  struct Identity {
    std::string source;
    std::string instance;
    std::optional<uint64_t> fencing_token;
    std::optional<discovery::v1::LeasePolicy> lease;
    // Others of this pusher push the same source, each to a trawld of its own: the instance is said
    // with the address, so that a trawld that is reached twice refuses the second.
    bool one_of_several = false;
  };
  struct Options {
    size_t message_bytes = size_t{1} << 20;  // no message is larger
    Backoff::Options backoff;
  };
  // Called from inside the session, which must not be destroyed then.
  class Listener {
   public:
    virtual ~Listener() = default;
    // What the trawld has; before anything is sent. The share may be changed, and the session be
    // started anew. An error ends the stream, and the next attempt comes at the longest back-off.
    virtual absl::Status OnWelcome(PushSession& session, const discovery::v1::Welcome& welcome) = 0;
    // It has a version that it did not have, or what it says of itself changed.
    virtual void OnPushed(PushSession& session) = 0;
  };
  struct Deps {
    EventLoop& loop;
    absl::BitGenRef random;
    Listener& listener;
    SyncStreamFactory& streams;  // outlives the session
  };

  PushSession(std::string address, const Identity& identity, const Options& options,
              const Deps& deps);
  ~PushSession() override;

  const std::string& address() const { return address_; }
  // What the trawld is to have; Wake when it changed.
  Share& share() { return share_; }
  const Share& share() const { return share_; }
  const std::string& history_id() const { return history_id_; }  // "": not started
  void Wake();

  // Starts, or starts anew: a stream of its own under this history, of which nothing is applied.
  void Start(const std::string& history_id);
  // Starts anew with another token, also when fenced.
  void SetFencingToken(std::optional<uint64_t> token);
  // Targets of the source before it was divided; 0: it is not. Said with each change.
  void SetSourceTargets(uint64_t targets) { source_targets_ = targets; }
  // What the share lost so far is meant, however much: the shrink guard stays out of it.
  void AllowShrink() { shrink_through_ = share_.version(); }

  // A version of the current history is applied.
  bool settled() const { return applied_ > 0; }
  bool in_sync() const;
  TrawldStatus Snapshot() const;

 private:
  enum class Kind { kHello, kBegin, kPart, kEnd, kDelta, kMend, kHeartbeat };
  struct Sent {
    uint64_t id = 0;
    Kind kind = Kind::kHello;
    uint64_t change = 0;  // number of the change that it belongs to
  };
  // The change that is under way.
  struct Change {
    uint64_t number = 0;
    uint64_t version = 0;
    bool snapshot = false;
    std::vector<GroupPtr> groups;  // that it brings
    size_t next = 0;               // of groups: the first that is not sent
    bool end_sent = false;
  };

  // SyncStream::Observer
  void OnMessage(const discovery::v1::SyncResponse& message) override;
  void OnWritten() override;
  void OnClosed(const absl::Status& status) override;

  // The stream's life.
  std::string Instance() const;
  void ScheduleOpen(absl::Duration delay);
  void Open();
  void EndStream();
  void Drop(const absl::Status& why, absl::Duration not_before = absl::ZeroDuration());
  void NoteError(const absl::Status& why);
  void OnWelcome(const discovery::v1::Welcome& welcome);
  void OnResync(const discovery::v1::Resync& resync);
  void OnGoaway(const discovery::v1::Goaway& goaway);

  // Answers.
  void OnAck(const discovery::v1::Ack& ack);
  void OnHeartbeatAck(const discovery::v1::Ack& ack);
  void OnApplied(const discovery::v1::Ack& ack);
  void OnRejected(const discovery::v1::Ack& ack);
  void NoteIssues(const discovery::v1::Ack& ack);

  // What goes out.
  void Pump();
  bool MayStartChange() const;
  void StartChange();
  void StartSnapshot();
  void SendDelta(Share::Changes changes);
  void SendMend();
  void SendNextOfSnapshot();
  void SendPart();
  bool Fits(const discovery::v1::TargetGroup& group) const;
  bool AnyFitsNow() const;
  void NoteTooLarge(const discovery::v1::TargetGroup& group);
  void SendHeartbeat();
  void ArmHeartbeat();
  void ArmSilence();
  void Send(discovery::v1::SyncRequest request, Kind kind);
  size_t MessageBytes() const;
  bool ShrinkIsMeant() const { return applied_ < shrink_through_; }

  // Constant after construction.
  const std::string address_;
  const Options options_;
  EventLoop& loop_;
  absl::BitGenRef random_;
  Listener& listener_;
  SyncStreamFactory& streams_;

  // Owned by the loop's thread, for the session.
  Identity identity_;
  std::string history_id_;
  Share share_;
  uint64_t applied_ = 0;  // of history_id_
  uint64_t source_targets_ = 0;
  uint64_t shrink_through_ = 0;
  Backoff backoff_;
  TimerId open_timer_ = 0;
  std::map<GroupId, discovery::v1::Issue> refused_;
  std::map<GroupId, discovery::v1::Issue> too_large_;  // left out of what was sent
  TrawldStatus status_;                                // without what Snapshot fills in

  // For one stream.
  std::unique_ptr<SyncStream> stream_;
  bool write_pending_ = false;
  bool welcomed_ = false;
  absl::Duration welcomed_at_;
  bool need_snapshot_ = false;
  uint64_t next_id_ = 1;
  uint64_t next_change_ = 1;
  uint32_t max_in_flight_ = 1;
  size_t max_message_bytes_ = 0;
  absl::Duration heartbeat_interval_;
  std::deque<Sent> unanswered_;
  size_t in_flight_ = 0;  // of these, what counts
  std::optional<Change> change_;
  std::set<GroupId> wanted_;  // by a Want
  TimerId retry_timer_ = 0;   // no change is started before
  TimerId heartbeat_timer_ = 0;
  bool heartbeat_due_ = false;
  TimerId silence_timer_ = 0;  // set as long as there is a stream
};

}  // namespace trawl

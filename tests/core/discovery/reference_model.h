#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "core/discovery/change.h"
#include "core/discovery/target_sets.h"

namespace trawl {

// The discovery protocol as plainly as it can be written: one source, whole copies, no index,
// nothing incremental. What TargetSets and their log do is compared with it.
class ReferenceSource {
 public:
  struct Group {
    std::vector<std::string> targets;
    std::string label;
    friend bool operator==(const Group&, const Group&) = default;
  };
  struct Held {
    std::set<std::string> targets;
    std::string label;
    bool kept = false;
    friend bool operator==(const Held&, const Held&) = default;
  };
  // All that a restart finds.
  struct State {
    uint64_t version = 0;
    std::string history;
    std::string content;  // of the change that made the version
    std::optional<uint64_t> token;
    LeasePolicy lease;
    uint64_t stated = 0;  // the whole source's targets, where its pusher divides it
    bool released = false;
    bool withheld = false;
    std::map<GroupName, Group> groups;
    std::set<GroupName> refused;
    std::map<GroupName, Held> held;
    std::map<std::string, std::vector<std::pair<int64_t, uint64_t>>> sizes;  // job → (minute, size)
    friend bool operator==(const State&, const State&) = default;
  };
  struct Answer {
    ApplyStatus status = ApplyStatus::kNoop;
    IssueCode code = IssueCode::kUnspecified;  // why it was rejected
    uint64_t version = 0;                      // that is applied then
    uint64_t listed = 0;                       // targets then, in a dry run those that would be
    uint64_t held = 0;
  };
  using Rights = std::shared_ptr<const JobFilter>;  // null: to all jobs
  enum class Need { kNothing, kDelta, kSnapshot };
  struct Time {
    absl::Duration steady;
    int64_t minute = 0;  // of the wall clock
  };

  static constexpr uint64_t kMinRemovals = 3;
  static constexpr uint64_t kMaxTargets = 18;  // listed; and so many held
  static constexpr absl::Duration kHold = absl::Minutes(5);
  static constexpr absl::Duration kHeardFor = absl::Minutes(1);
  static constexpr absl::Duration kSilence = absl::Seconds(30);  // then a stream ends

  bool known = false;
  State now;
  State disk;
  bool on_disk = false;
  bool disk_full = false;
  uint64_t stream = 0;
  std::string instance;

  Answer Apply(const Change& change, const std::string& content, const Time& time);
  // Whether the stream is welcomed.
  bool Hello(const StreamHello& hello, const Time& time);
  // Of who is at `version` of `history`.
  Need NeedOf(const std::string& history, uint64_t version) const;
  void Hear(const Time& time);
  // What the time until now has brought; the pusher was not heard since the last call. True if its
  // lease ended.
  bool Pass(const Time& time);
  void EndStream();
  bool Release(const TargetSets::ReleaseOptions& options);
  void CarryOut(bool keep);
  void Confirm();
  void Restart(bool away, const Time& time);
  void NoteTick();  // the disk learns who is withheld

  // (job, address, label) of all that is to be scraped.
  std::multiset<std::string> Wanted() const;
  uint64_t Listed() const { return ListedOf(now); }
  uint64_t HeldTargets() const { return HeldOf(now); }

 private:
  absl::Duration HeardTime(absl::Duration steady) const;
  ReferenceSource Gone() const;
  static bool IsBlank(const State& state);
  void ForgetIfBlank();
  bool PassLease(const Time& time);
  Answer Carry(const Change& change, const std::string& content, const Time& time);
  Answer DryRun(const Change& change, const std::string& content, const Time& time) const;
  Answer Admit(const Change& change, const std::string& content) const;
  bool Keep(const State& next);
  bool MayLease(const Change& change, const std::string& job) const;
  bool LeasesAway(const std::optional<LeasePolicy>& lease, const Rights& rights) const;
  // How many targets are held for the first time.
  uint64_t Guard(const Change& change, const std::vector<const JobGroup*>& put, State& next) const;
  std::map<std::string, bool> HeldJobs(const Change& change, State& next) const;
  bool Shrinks(const std::string& job, uint64_t was, uint64_t is, State& next) const;
  static uint64_t SizeOf(const State& state, const std::string& job);
  static uint64_t ListedOf(const State& state);
  static uint64_t HeldOf(const State& state);

  absl::Duration last_heard_;
  bool heard_ = false;
  bool lease_runs_ = false;
  std::optional<Rights> leased_by_;  // unset: nobody knows since a restart
  absl::Duration heard_before_;
  std::map<GroupName, absl::Duration> since_;
  int64_t minute_ = 0;
};

}  // namespace trawl

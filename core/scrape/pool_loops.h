#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/config/trawl_config.h"
#include "core/model/layout.h"
#include "core/scrape/end_of_run.h"
#include "core/scrape/job_settings.h"
#include "core/scrape/scrape_loop.h"
#include "core/scrape/scrape_probe.h"
#include "core/scrape/shard.h"
#include "core/scrape/target.h"
#include "core/scrape/target_status.h"

namespace trawl {

// What changes for one pool's loops on one shard: a message from the manager's thread.
struct LoopChange {
  struct Added {
    std::shared_ptr<const Target> target;
    std::shared_ptr<TargetStatus> status;
  };
  uint64_t pool = 0;  // unique in the process
  std::shared_ptr<const JobSettings> settings;
  std::shared_ptr<const std::string> forced_error;  // null: none
  std::vector<uint64_t> removed;                    // target hashes
  std::vector<Added> added;
  FirstScrape first_scrape = FirstScrape::kOffset;  // of those added
};

// Spreads scrapes that are asked for "at once", so that many new targets do not make a burst.
// Shard's thread only.
class ImmediateStarts {
 public:
  // How long the next one has to wait.
  absl::Duration NextDelay(absl::Duration steady_now);
  // It takes place.
  void Take(absl::Duration steady_now);

  static constexpr int kPerSecond = 100;

 private:
  absl::Duration next_ = -absl::InfiniteDuration();  // steady
};

// The scrape loops of one pool on one shard, those that are ending, and the series of those that
// have ended.
//
// Guarantees:
//   1. A target whose predecessor (same public labels and URL) is still scraping starts when that
//      scrape has ended.
//   2. It goes on with the predecessor's series cache where the settings allow it (spec 2.5), so
//      that no series ends; in all other cases series that do not go on get stale markers.
//
// Shard's thread only.
class PoolLoops final : private LoopContext::Observer {
 public:
  struct Deps {
    Shard& shard;
    ImmediateStarts& immediate_starts;
    // After Leave, when no scrape is under way any more. May not destroy this object.
    std::function<void()> on_idle;
  };

  explicit PoolLoops(Deps deps);
  ~PoolLoops() override;
  PoolLoops(const PoolLoops&) = delete;
  PoolLoops& operator=(const PoolLoops&) = delete;

  void Apply(LoopChange change);

  // Ends everything without stale markers. True: idle already; else on_idle comes.
  bool Leave();
  // After Leave: gives up the fetches that are under way.
  void Abandon();

  // What a scrape of a target out of turn starts from. kNotFound: it isn't here. kUnavailable: its
  // body is just being ingested, ask again in the next turn.
  absl::StatusOr<ScrapeProbe::Input> ProbeInput(uint64_t hash) const;

  size_t size() const { return loops_.size(); }
  bool idle() const { return stopping_.empty(); }

 private:
  struct Stopping {
    std::unique_ptr<ScrapeLoop> loop;
    ScrapeLoop* successor = nullptr;                  // in loops_
    FirstScrape first_scrape = FirstScrape::kOffset;  // the successor's
  };

  void OnCacheOutdated(const ScrapeLoop& loop, Continuation outdated) override;
  void OnStopped(ScrapeLoop& loop) override;

  void Remove(uint64_t hash);
  // Keeps a loop until its scrape has ended.
  void LetFinish(std::unique_ptr<ScrapeLoop> loop);
  void Add(LoopChange::Added added, FirstScrape first_scrape);
  Stopping* FindPredecessor(const Target& target);
  void Start(ScrapeLoop& loop, FirstScrape first_scrape);
  void End(const ScrapeLoop& loop, Continuation continuation, absl::Duration until_next_tick);
  Continuation TakeContinuation(const Target& target);
  LayoutPtr LayoutOf(const Target& target) const;
  void OnEnded(EndOfRun& ended);
  void Forget(const Continuation& continuation);

  Deps deps_;
  LoopContext context_;
  bool leaving_ = false;
  absl::flat_hash_map<uint64_t, std::unique_ptr<ScrapeLoop>> loops_;     // by target hash
  absl::flat_hash_map<uint64_t, ScrapeLoop*> by_public_hash_;            // the newest of each
  std::unordered_multimap<uint64_t, Stopping> stopping_;                 // by public hash
  std::unordered_multimap<uint64_t, std::unique_ptr<EndOfRun>> ending_;  // by public hash
};

}  // namespace trawl

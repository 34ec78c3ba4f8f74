#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/base/event_loop.h"
#include "core/base/hash.h"
#include "core/base/published.h"
#include "core/config/config.h"
#include "core/config/trawl_config.h"
#include "core/discovery/desired_targets.h"
#include "core/fetch/fetcher.h"
#include "core/scrape/shard.h"
#include "core/scrape/target_status.h"
#include "core/telemetry/scrape_metrics.h"

namespace trawl {

class ScrapePool;

// Reconciles what is configured and what was discovered into scrape pools (one a job) and scrape
// loops (one a target), and tells the shards. The mailbox of Prometheus' scrape manager, on one
// thread.
//
// Guarantees:
//   1. INTAKE NEVER WORKS: SetTargets and ApplyConfig only stage, newest wins per job, and wake
//      the manager; bursts are coalesced (at once when idle, at most 10 ms under load).
//   2. A job that is staged alone does not cost a look at the others.
//   3. A target whose labels and parameters did not change keeps its loop, phase, connection and
//      cache, whatever else the update changed.
//   4. `done` runs on the manager's thread after the loops of that change were told (posted to
//      their shards) and the snapshot was published.
//
// SetTargets, ApplyConfig and Snapshot are thread-safe; the rest runs on the manager's loop.
class ScrapeManager {
 public:
  struct Options {
    // Mixed into targets' offsets so that replicas scrape at different moments (spec 1.5).
    std::string fqdn;
    absl::Duration coalesce = absl::Milliseconds(10);
  };
  struct Deps {
    EventLoop& loop;  // the manager's
    std::vector<Shard*> shards;
    HttpClientFactory& clients;
    ScrapeMetrics& metrics;
  };

  ScrapeManager(const Options& options, const Deps& deps);
  ~ScrapeManager();

  // Stages the whole desired content of one job (every source together). Jobs that the running
  // config does not have are kept and take effect when a config names them.
  void SetTargets(std::shared_ptr<const DesiredTargets> job, absl::AnyInvocable<void()> done = {});

  // Stages a config; `done` gets OK, or Prometheus' error when a pool could not take its new
  // config (that pool keeps its old one).
  void ApplyConfig(std::shared_ptr<const Config> config,
                   std::shared_ptr<const TrawlConfig> trawl_config,
                   absl::AnyInvocable<void(absl::Status)> done);

  // Stops every loop without stale markers (shutdown: spec 1.8); `done` runs when all loops have
  // stopped.
  void Stop(absl::AnyInvocable<void()> done);

  std::shared_ptr<const PoolsSnapshot> Snapshot() const { return snapshot_.Get(); }

 private:
  struct Mailbox;
  void Wake();
  void Reconcile();
  void Publish();

  // Constant after construction.
  const Options options_;
  const Deps deps_;
  const std::unique_ptr<Mailbox> mailbox_;  // thread-safe by its own lock

  // Owned by the manager's thread.
  std::shared_ptr<const Config> config_;
  std::shared_ptr<const TrawlConfig> trawl_config_;
  absl::flat_hash_map<std::string, std::shared_ptr<const DesiredTargets>> desired_;
  absl::flat_hash_map<std::string, std::unique_ptr<ScrapePool>> pools_;

  Published<PoolsSnapshot> snapshot_;
};

}  // namespace trawl

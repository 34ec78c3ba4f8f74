#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/base/event_loop.h"
#include "core/base/published.h"
#include "core/config/config.h"
#include "core/config/trawl_config.h"
#include "core/discovery/desired_targets.h"
#include "core/fetch/fetcher.h"
#include "core/scrape/pool_status.h"
#include "core/scrape/probe_gate.h"
#include "core/scrape/scrape_pool.h"
#include "core/scrape/scrape_probe.h"
#include "core/scrape/shard.h"
#include "core/telemetry/scrape_metrics.h"

namespace trawl {

// Reconciles what is configured and what was discovered into scrape pools (one a job) and scrape
// loops (one a target), and tells the shards. The mailbox of Prometheus' scrape manager, on one
// thread.
//
// Guarantees:
//   1. INTAKE NEVER WORKS: SetTargets and ApplyConfig only stage, newest wins per job, and wake
//      the manager; bursts are coalesced (at once when idle, at most 10 ms under load).
//   2. COST FOLLOWS THE CHANGE: jobs that are not staged, and groups and targets of a staged job
//      that did not change, are not looked at.
//   3. A target whose labels and parameters did not change keeps its loop, phase, connection and
//      cache, whatever else the update changed.
//   4. `done` runs on the manager's thread after the loops of that change were told (posted to
//      their shards) and the snapshot was published.
//
// SetTargets, ApplyConfig, Probe and Snapshot are thread-safe; the rest runs on the
// manager's loop.
class ScrapeManager {
 public:
  struct Options {
    // Mixed into targets' offsets so that replicas scrape at different moments (spec 1.5).
    std::string fqdn;
    absl::Duration coalesce = absl::Milliseconds(10);
    // How long Stop lets fetches that are under way go on.
    absl::Duration stop_grace = absl::Seconds(1);
    // Scrapes out of turn at once.
    size_t max_probes = 4;
  };
  struct Deps {
    EventLoop& loop;  // the manager's
    std::vector<Shard*> shards;
    HttpClientFactory& clients;
    ScrapeMetrics& metrics;
  };

  ScrapeManager(const Options& options, const Deps& deps);
  ~ScrapeManager();

  // Stages the whole desired content of one job (every source together), compared with what was
  // carried out before: whatever came between need not have been seen. Jobs that the running
  // config does not have are kept and take effect when a config names them.
  void SetTargets(std::shared_ptr<const DesiredTargets> job, absl::AnyInvocable<void()> done = {});

  // Stages a config; `done` gets OK, or an error that begins with Prometheus' words (`failed to
  // apply the new configuration`) and names each job that could not take its new config: a pool
  // that is there keeps its old one, a new one is tried again with the job's next update.
  void ApplyConfig(std::shared_ptr<const Config> config,
                   std::shared_ptr<const TrawlConfig> trawl_config,
                   absl::AnyInvocable<void(absl::Status)> done);

  // Scrapes a target once, out of turn (ScrapeProbe). `done` runs on the manager's thread, always:
  // kNotFound if the target is gone, kResourceExhausted if one of it is under way or too many are.
  struct ProbeTarget {
    std::string job;
    uint64_t hash = 0;
    uint32_t shard = 0;
  };
  void Probe(ProbeTarget target, const ScrapeProbe::Limits& limits, ScrapeProbe::Callback done);

  // Stops every loop without stale markers (shutdown: spec 1.8); `done` runs when all loops have
  // stopped. Nothing that is staged afterwards takes effect; its `done` runs all the same. The
  // manager may be destroyed when `done` has run, on its loop's thread or after that has ended.
  void Stop(absl::AnyInvocable<void()> done);

  std::shared_ptr<const PoolsSnapshot> Snapshot() const { return snapshot_.Get(); }

 private:
  using Done = absl::AnyInvocable<void()>;
  struct Mailbox;
  struct Staged;

  void Wake();
  void Reconcile();
  absl::Status TakeConfig(Staged& staged);
  void TakeTargets(const std::shared_ptr<const DesiredTargets>& job);
  void RemovePools();
  void FindPending();
  absl::Status UpdatePools();
  absl::Status CreatePool(const ScrapeConfig& config);
  void StartProbe(const ProbeTarget& target, const ScrapeProbe::Limits& limits,
                  ScrapeProbe::Callback done);
  void StopLoops(Done done);
  void Publish();

  // Constant after construction.
  const Options options_;
  const Deps deps_;
  std::vector<ScrapePool::ShardLoops> shards_;
  const std::unique_ptr<Mailbox> mailbox_;  // thread-safe by its own lock

  // Owned by the manager's thread.
  std::shared_ptr<const Config> config_;
  std::shared_ptr<const TrawlConfig> trawl_config_;
  absl::flat_hash_map<std::string, std::shared_ptr<const DesiredTargets>> desired_;
  std::map<std::string, std::unique_ptr<ScrapePool>> pools_;  // by job
  // The jobs of desired_ that have groups and no config.
  std::map<std::string, std::shared_ptr<const DesiredTargets>> pending_;
  uint64_t next_pool_ = 1;
  ProbeGate probe_gate_;
  absl::Duration last_reconcile_ = -absl::InfiniteDuration();  // steady; when it ended
  TimerId timer_ = 0;
  bool stopped_ = false;
  size_t shards_running_ = 0;
  Done stop_done_;

  Published<PoolsSnapshot> snapshot_;
};

}  // namespace trawl

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/config/config.h"
#include "core/config/trawl_config.h"
#include "core/discovery/desired_targets.h"
#include "core/fetch/fetcher.h"
#include "core/scrape/job_settings.h"
#include "core/scrape/loop_set.h"
#include "core/scrape/pool_status.h"
#include "core/scrape/pool_targets.h"
#include "core/scrape/shard.h"
#include "core/telemetry/scrape_metrics.h"

namespace trawl {

// One job: its config, its targets, and what its loops on the shards are told. Holds no loop:
// those live on their shards' threads.
//
// Guarantees: a target that an update or a reload does not change keeps its loop; a config that
// the pool cannot take changes nothing.
//
// Manager's thread only.
class ScrapePool {
 public:
  struct Options {
    uint64_t id = 0;           // unique in the process
    uint64_t offset_seed = 0;  // for the pool's life (spec 1.5)
    std::shared_ptr<const ScrapeConfig> config;
    FirstScrape first_scrape = FirstScrape::kOffset;
  };
  // Where a shard's loops are; the set is destroyed when it has stopped.
  struct ShardLoops {
    Shard* shard;
    std::shared_ptr<LoopSet> loops;
  };
  struct Deps {
    const Clock& clock;
    const std::vector<ShardLoops>& shards;
    HttpClientFactory& clients;
    ScrapeMetrics& metrics;
  };

  // Errors: `error creating HTTP client: …`.
  static absl::StatusOr<std::unique_ptr<ScrapePool>> Create(Options options, const Deps& deps);

  // Takes the whole desired content of the job. Costs what changed. Of this and of Reload the loops
  // hear by TellShards alone.
  void Sync(const DesiredTargets& desired);
  // A config of the same job. On an error everything stays as it was. Equal configs: no effect.
  absl::Status Reload(std::shared_ptr<const ScrapeConfig> config, FirstScrape first_scrape);
  // Tells the loops what Sync and Reload changed. For when the status is published: from here on
  // the shards take the processors.
  void TellShards();
  // The job is gone: its loops end without stale markers.
  void Stop();

  uint64_t id() const { return options_.id; }
  const ScrapeConfig& config() const { return *options_.config; }
  const std::shared_ptr<const PoolStatus>& status() const { return status_; }

  // An update that adds more targets than this keeps to their offsets, whatever `first_scrape`.
  static constexpr size_t kMaxImmediate = 500;

 private:
  // What a shard's loops are to be told.
  struct Untold {
    uint32_t shard;
    LoopChange change;
  };

  ScrapePool(Options options, const Deps& deps, std::shared_ptr<const HttpClient> client);

  void MakeSettings();
  void Take(const PoolTargets::Change& change, bool settings_changed);
  bool UpdateTargetLimit();
  void AddUntold(const PoolTargets::Change& change, bool all_shards);
  void LogFailures(const PoolTargets::Change& change) const;
  void UpdateStatus();

  Options options_;  // config and first_scrape change with Reload
  const Deps deps_;
  std::shared_ptr<const HttpClient> client_;
  uint64_t cache_generation_ = 0;
  std::shared_ptr<const JobSettings> settings_;
  std::shared_ptr<const std::string> forced_error_;
  bool synced_ = false;
  PoolTargets targets_;
  std::vector<Untold> untold_;
  std::shared_ptr<const PoolStatus> status_;
};

}  // namespace trawl

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "core/append/sink.h"
#include "core/scrape/pool_status.h"
#include "core/telemetry/metrics.h"
#include "server/append_collector.h"
#include "server/shard_threads.h"
#include "server/sinks.h"
#include "server/spooling.h"
#include "trawl/status/v1/status.pb.h"

namespace trawl {

// What an operator sees of the records on their way to storage (lanes, sinks, the spool), and can
// do about one that is stuck.
//
// Any thread, but for SkipRecord: main thread only. Collect: one at a time (Metrics::OnCollect).
class StorageView {
 public:
  struct Options {
    uint64_t epoch = 0;            // of this run
    uint64_t max_queue_bytes = 0;  // over all lanes, where records are in memory
  };
  struct Deps {
    const ShardThreads& shards;
    Sinks& sinks;
    const Spooling* spooling = nullptr;  // null: records are in memory
    Metrics& metrics;
    std::function<std::shared_ptr<const PoolsSnapshot>()> pools;  // thread-safe
  };

  StorageView(const Options& options, const Deps& deps);

  std::vector<std::shared_ptr<const LaneStatus>> Lanes() const {
    return deps_.shards.LaneStatuses();
  }
  std::vector<SinkDescription> SinkDescriptions() const { return deps_.sinks.Descriptions(); }
  status::v1::Spool DescribeSpool() const;

  // All of it, into the metrics.
  void Collect();

  // Gives a record up for a sink. Errors are Sinks::SkipRecord's.
  absl::StatusOr<status::v1::SkipRecordResponse> SkipRecord(
      const status::v1::SkipRecordRequest& request);

 private:
  const Options options_;
  const Deps deps_;
  AppendCollector collector_;
};

}  // namespace trawl

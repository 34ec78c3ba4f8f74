#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "core/append/lane.h"
#include "core/append/sink.h"
#include "core/model/labels.h"
#include "core/scrape/shard.h"
#include "core/spool/spool_status.h"
#include "core/telemetry/fetch_metrics.h"
#include "server/shard_thread.h"

namespace trawl {

// All shards of the process. What the process may use as a whole is cut into equal shares here,
// and what the shards publish is put together.
//
// Main thread only, but for LaneStatuses, SpoolStatuses and Collect, which any thread may call.
class ShardThreads {
 public:
  struct Options {
    uint32_t count = 1;
    SinkSession::Identity identity;                     // but for the lane
    uint64_t max_inflight_bytes = uint64_t{256} << 20;  // of bodies
    uint64_t max_queue_bytes = uint64_t{256} << 20;     // of records in memory
  };

  ShardThreads(const Options& options, const ShardThread::Deps& deps);

  // Gives what earlier runs left in the spool to the shards to drain, lane k to shard k mod count,
  // and says which lanes these are. What can't be opened is logged, and left for the next start.
  std::vector<EpochLane> OpenEarlierLogs();

  // From each shard's next scrape on.
  void SetExternalLabels(const Labels& labels);
  // Waits until all that was scraped is with every sink, for so long at most; whether it is.
  bool Drain(absl::Duration grace);
  // Idempotent; waits for the threads. What is on them stays until the object goes.
  void Shutdown();

  std::vector<Shard*> shards() const;
  std::vector<ShardThread*> threads() const;

  // Of this run, and of earlier ones while they are drained.
  std::vector<std::shared_ptr<const LaneStatus>> LaneStatuses() const;
  // Empty where records are in memory.
  std::vector<std::shared_ptr<const SpoolStatus>> SpoolStatuses() const;
  void Collect(FetchMetrics& metrics) const;

 private:
  // Null: it can't be opened.
  std::unique_ptr<StoredLog> OpenEarlierLog(const StoredLane& lane, EventLoop& loop);
  void CollectConnections(FetchMetrics& metrics) const;
  void CollectLookups(FetchMetrics& metrics) const;

  Spooling* const spooling_;  // null: records are in memory
  std::vector<std::unique_ptr<ShardThread>> threads_;
};

}  // namespace trawl

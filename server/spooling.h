#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/base/epoll_loop.h"
#include "core/base/event_loop.h"
#include "core/base/file_system.h"
#include "core/spool/spool.h"
#include "core/spool/spool_budget.h"
#include "core/spool/spool_syncer.h"
#include "core/spool/stored_log.h"
#include "core/telemetry/spool_metrics.h"

namespace trawl {

// The spool of a data directory: makes each lane's log on disk, and has what they share, which is
// the syncer with its thread and the budget. Outlives the logs.
//
// Made and destroyed by the main thread; MakeSpool and OpenEarlier on the shards' loops.
class Spooling {
 public:
  struct Options {
    std::string directory;
    std::string writer_id;
    uint64_t epoch = 0;
    uint32_t lanes = 1;
    uint64_t max_bytes = uint64_t{16} << 30;  // of all lanes; free space may say less
    absl::Duration max_age = absl::Hours(24 * 7);
    absl::Duration sync_interval = absl::Seconds(1);
    uint64_t max_memory_bytes = uint64_t{256} << 20;  // of all lanes, where the disk takes nothing
  };
  struct Deps {
    const Clock& clock;
    FileSystem& files;
  };

  Spooling(const Options& options, const Deps& deps);
  // Syncs what was written last.
  ~Spooling();

  std::unique_ptr<Spool> MakeSpool(uint32_t lane, EventLoop& loop);

  // What earlier runs left.
  absl::StatusOr<std::vector<StoredLane>> Earlier() const;
  // What is wrong with it is counted.
  absl::StatusOr<std::unique_ptr<StoredLog>> OpenEarlier(const StoredLane& lane, EventLoop& loop);

  // Of all lanes, on the disk: what is there at the start, and at most half of what is free.
  uint64_t max_bytes() const { return budget_.max_bytes(); }
  // Of one, there or in memory.
  uint64_t lane_bytes() const {
    return std::min(options_.max_bytes, std::max(max_bytes(), options_.max_memory_bytes)) /
           options_.lanes;
  }
  // Into the metrics; once a collection. Any thread.
  void Collect(const std::vector<std::shared_ptr<const SpoolStatus>>& lanes,
               SpoolMetrics& metrics) const;

 private:
  // Looks at what is free: the disk may have been full at the start. The syncer's thread.
  void LookAtDisk();

  const Options options_;
  FileSystem& files_;
  SpoolBudget budget_;
  std::atomic<uint64_t> torn_bytes_ = 0;
  std::atomic<uint64_t> lost_bytes_ = 0;
  std::atomic<uint64_t> set_aside_files_ = 0;
  LoopThread thread_;
  std::unique_ptr<SpoolSyncer> syncer_;  // the thread's, while that runs
};

}  // namespace trawl

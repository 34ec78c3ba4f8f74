#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/base/failure_reason.h"
#include "core/base/mutex.h"
#include "core/model/labels.h"

namespace trawl {

enum class TargetHealth { kUnknown, kUp, kDown };

// What the last scrape of a target came to.
struct ScrapeReport {
  TargetHealth health = TargetHealth::kUnknown;
  std::string last_error;  // "" when up
  FailureReason reason = FailureReason::kNone;
  absl::Time last_scrape = absl::InfinitePast();
  absl::Duration last_duration;
  uint64_t samples_scraped = 0;
  uint64_t samples_post_relabeling = 0;
  uint64_t series_added = 0;
  uint64_t body_bytes = 0;  // uncompressed
  uint64_t scrapes = 0;     // since the loop started
  uint64_t failures = 0;
};

// The cell through which a scrape loop tells its readers how its target is. Thread-safe.
class TargetStatus {
 public:
  ScrapeReport Get() const {
    MutexLock lock(mutex_);
    return report_;
  }
  void Set(ScrapeReport report) {
    MutexLock lock(mutex_);
    report_ = std::move(report);
  }

 private:
  mutable Mutex mutex_;
  ScrapeReport report_ TRAWL_GUARDED_BY(mutex_);
};

// A target as readers see it: constant but for `status`.
struct ActiveTarget {
  std::string job;
  uint64_t hash = 0;  // Prometheus' target hash: its id in the RPCs
  std::string url;
  Labels labels;                // public
  Labels discovered_labels;     // before relabeling, with job, __scheme__, … (spec 3.1 step 4)
  std::string scrape_interval;  // label values, as given
  std::string scrape_timeout;
  std::vector<std::string> sources;  // its owners, sorted; "static/…", "file/…" or a pusher's name
  uint32_t shard = 0;
  std::shared_ptr<const TargetStatus> status;
};

struct DroppedTarget {
  std::string job;
  Labels discovered_labels;
  std::string reason;  // "dropped by relabel_configs[2] (keep)", …
  std::vector<std::string> sources;
};

// A group's target that could not be built (bad address, bad interval label…): neither active nor
// dropped in Prometheus; listed here so that it can be found.
struct FailedTarget {
  Labels discovered_labels;
  std::string error;
  std::vector<std::string> sources;
};

struct PoolStatus {
  std::string job;
  std::vector<std::shared_ptr<const ActiveTarget>> active;  // sorted by url, then hash
  std::vector<DroppedTarget> dropped;                       // bounded by keep_dropped_targets
  uint64_t dropped_count = 0;
  std::vector<FailedTarget> failed;  // bounded
  uint64_t failed_count = 0;
  uint64_t target_limit = 0;
  bool over_target_limit = false;
  absl::Duration scrape_interval;
  absl::Duration scrape_timeout;
};

// Every pool at one moment: what status services read. Published by the manager.
struct PoolsSnapshot {
  std::vector<std::shared_ptr<const PoolStatus>> pools;  // sorted by job
};

}  // namespace trawl

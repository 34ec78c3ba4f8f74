#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "core/base/failure_reason.h"
#include "core/base/mutex.h"

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

}  // namespace trawl

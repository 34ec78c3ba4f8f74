#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "core/base/failure_reason.h"
#include "core/base/mutex.h"
#include "core/scrape/scrape_history.h"
#include "core/scrape/scrape_record.h"

namespace trawl {

enum class TargetHealth { kUnknown, kUp, kDown };

// How a target is, by its last scrape.
struct ScrapeReport {
  TargetHealth health = TargetHealth::kUnknown;
  ScrapeFigures last;
  absl::Time next_scrape = absl::InfiniteFuture();  // that: not known, or none
  uint64_t series = 0;                              // in the cache
  uint64_t scrapes = 0;                             // since the loop started
  uint64_t failures = 0;
};

// The cell through which a scrape loop tells its readers how its target is, and was. Thread-safe.
class TargetStatus {
 public:
  ScrapeReport Get() const;
  // The last scrapes, the newest first.
  std::vector<ScrapeRecord> History() const;
  // Rises with each Set and is 0 before the first: by it readers find what changed, for the price
  // of a load. Equal to the version that another reader saw: the same report.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }
  TargetHealth health() const { return health_.load(std::memory_order_relaxed); }

  // A scrape has ended; `record` is its place in the history.
  void Set(ScrapeReport report, const ScrapeRecord& record);
  // What changed without a scrape.
  void Set(ScrapeReport report);

 private:
  void SetLocked(ScrapeReport report) TRAWL_REQUIRES(mutex_);

  std::atomic<uint64_t> version_{0};
  std::atomic<TargetHealth> health_{TargetHealth::kUnknown};
  mutable Mutex mutex_;
  ScrapeReport report_ TRAWL_GUARDED_BY(mutex_);
  std::unique_ptr<ScrapeHistory> history_ TRAWL_GUARDED_BY(mutex_);  // null: never scraped
};

}  // namespace trawl

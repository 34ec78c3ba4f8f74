#include "core/scrape/target_status.h"

namespace trawl {

ScrapeReport TargetStatus::Get() const {
  MutexLock lock(mutex_);
  return report_;
}

std::vector<ScrapeRecord> TargetStatus::History() const {
  MutexLock lock(mutex_);
  return history_ == nullptr ? std::vector<ScrapeRecord>() : history_->List();
}

void TargetStatus::Set(ScrapeReport report, const ScrapeRecord& record) {
  MutexLock lock(mutex_);
  if (history_ == nullptr) history_ = std::make_unique<ScrapeHistory>();
  history_->Add(record);
  SetLocked(std::move(report));
}

void TargetStatus::Set(ScrapeReport report) {
  MutexLock lock(mutex_);
  SetLocked(std::move(report));
}

void TargetStatus::SetLocked(ScrapeReport report) {
  report_ = std::move(report);
  health_.store(report_.health, std::memory_order_relaxed);
  version_.fetch_add(1, std::memory_order_release);
}

}  // namespace trawl

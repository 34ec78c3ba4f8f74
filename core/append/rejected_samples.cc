#include "core/append/rejected_samples.h"

#include <algorithm>

namespace trawl {

void RejectedSamples::NoteRecord(uint64_t number, uint64_t target) {
  records_.push_back({number, target});
  if (records_.size() > max_records_) records_.pop_front();
}

void RejectedSamples::Trim(uint64_t durable) {
  while (!records_.empty() && records_.front().number <= durable) records_.pop_front();
}

void RejectedSamples::Count(std::string_view sink, uint64_t number, int code, uint64_t samples) {
  const auto record = std::ranges::lower_bound(records_, number, {}, &Record::number);
  if (record == records_.end() || record->number != number) return;
  std::shared_ptr<const Counts>& known = counts_[record->target];
  auto counts = known == nullptr ? std::make_shared<Counts>() : std::make_shared<Counts>(*known);
  (*counts)[{std::string(sink), code}] += samples;
  known = std::move(counts);
  snapshot_ = nullptr;
}

void RejectedSamples::Forget(uint64_t target) {
  if (counts_.erase(target) > 0) snapshot_ = nullptr;
}

std::shared_ptr<const RejectedSamples::ByTarget> RejectedSamples::Snapshot() const {
  if (counts_.empty()) return nullptr;
  if (snapshot_ == nullptr) snapshot_ = std::make_shared<const ByTarget>(counts_);
  return snapshot_;
}

}  // namespace trawl

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"
#include "core/model/labels.h"
#include "core/scrape/pool_status.h"
#include "server/label_matcher.h"
#include "trawl/status/v1/status.pb.h"

namespace trawl {

// A target of a snapshot, active or dropped. Looks into what it was listed from.
struct TargetRow {
  std::string_view job;
  std::string_view url;
  uint64_t hash = 0;
  // Equal targets of one job: two groups may name the same dropped one.
  uint64_t ordinal = 0;
  const PoolStatus* pool = nullptr;      // of active ones
  const ActiveTarget* active = nullptr;  // null: dropped
  const DroppedTarget* dropped = nullptr;

  static TargetRow Active(const PoolStatus& pool, const ActiveTarget& target) {
    return {pool.job, target.target->url, target.target->hash, 0, &pool, &target, nullptr};
  }
  static TargetRow Dropped(const DroppedTarget& target, uint64_t ordinal) {
    return {target.job, "", target.hash, ordinal, nullptr, nullptr, &target};
  }

  // The order in which targets are listed.
  auto Key() const { return std::tie(job, url, hash, ordinal); }
  Labels discovered() const;
  bool HasSource(std::string_view source) const;
  // But for labels_shared.
  status::v1::Target ToTarget() const;
};

// Which targets a request is about. Immutable; thread-safe.
class TargetFilter {
 public:
  // kInvalidArgument: a matcher can't be read. Of the request only the filters count.
  static absl::StatusOr<TargetFilter> Make(const status::v1::ListTargetsRequest& request);

  bool TakesJob(std::string_view job) const { return job_.empty() || job_ == job; }
  // False: it takes none of them, whatever they are.
  bool TakesDropped() const;
  // All but the health, which changes with each scrape.
  bool Fits(const TargetRow& row) const;
  bool TakesHealth(TargetHealth health) const;
  bool Takes(const TargetRow& row) const {
    if (row.active == nullptr) return TakesDropped() && Fits(row);
    return TakesHealth(row.active->status->health()) && Fits(row);
  }

 private:
  TargetFilter() = default;
  bool TakesLabels(const TargetRow& row) const;

  std::string job_;
  std::string source_;
  status::v1::Target::Health health_ = status::v1::Target::HEALTH_UNSPECIFIED;
  status::v1::Target::State state_ = status::v1::Target::STATE_UNSPECIFIED;
  std::vector<LabelMatcher> matchers_;
};

}  // namespace trawl

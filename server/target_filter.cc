#include "server/target_filter.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/status_macros.h"
#include "server/status_conversions.h"

namespace trawl {

namespace pb = status::v1;

Labels TargetRow::discovered() const {
  return active != nullptr ? DiscoveredLabels(*pool, *active) : dropped->discovered_labels();
}

bool TargetRow::HasSource(std::string_view source) const {
  if (active == nullptr) return dropped->source == source;
  return std::ranges::any_of(
      active->owners, [&](const TargetOwner& owner) { return owner.group->source == source; });
}

pb::Target TargetRow::ToTarget() const {
  return active != nullptr ? ToProto(*pool, *active) : ToProto(*dropped);
}

absl::StatusOr<TargetFilter> TargetFilter::Make(const pb::ListTargetsRequest& request) {
  TargetFilter filter;
  filter.job_ = request.job();
  filter.source_ = request.source();
  filter.health_ = request.health();
  filter.state_ = request.state();
  for (const std::string& text : request.matchers()) {
    ASSIGN_OR_RETURN(LabelMatcher matcher, LabelMatcher::Parse(text));
    filter.matchers_.push_back(std::move(matcher));
  }
  return filter;
}

bool TargetFilter::TakesDropped() const {
  return state_ != pb::Target::ACTIVE && health_ == pb::Target::HEALTH_UNSPECIFIED;
}

bool TargetFilter::Fits(const TargetRow& row) const {
  if (state_ == pb::Target::DROPPED && row.active != nullptr) return false;
  if (state_ == pb::Target::ACTIVE && row.active == nullptr) return false;
  return (source_.empty() || row.HasSource(source_)) && TakesLabels(row);
}

bool TargetFilter::TakesLabels(const TargetRow& row) const {
  if (matchers_.empty()) return true;
  std::optional<Labels> discovered;  // made only if one asks
  return std::ranges::all_of(matchers_, [&](const LabelMatcher& matcher) {
    if (row.active != nullptr && !matcher.name().starts_with("__")) {
      return matcher.Matches(row.active->target->labels->Get(matcher.name()));
    }
    if (!discovered) discovered = row.discovered();
    return matcher.Matches(discovered->Get(matcher.name()));
  });
}

bool TargetFilter::TakesHealth(TargetHealth health) const {
  return health_ == pb::Target::HEALTH_UNSPECIFIED || health_ == ToProto(health);
}

}  // namespace trawl

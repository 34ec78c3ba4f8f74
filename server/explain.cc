#include "server/explain.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"
#include "core/config/config_text.h"
#include "core/scrape/target_builder.h"
#include "server/proto_conversions.h"
#include "server/status_conversions.h"
#include "server/target_ref.h"

namespace trawl {
namespace {

namespace pb = status::v1;

constexpr std::string_view kAddress = "__address__";

pb::ExplainStep::Kind ToProto(BuildStep::Kind kind) {
  switch (kind) {
    case BuildStep::Kind::kDiscovered:
      return pb::ExplainStep::DISCOVERED;
    case BuildStep::Kind::kDefaults:
      return pb::ExplainStep::DEFAULTS;
    case BuildStep::Kind::kParams:
      return pb::ExplainStep::PARAMS;
    case BuildStep::Kind::kRelabel:
      return pb::ExplainStep::RELABEL;
    case BuildStep::Kind::kCheck:
      return pb::ExplainStep::CHECK;
    case BuildStep::Kind::kRemoveMeta:
      return pb::ExplainStep::REMOVE_META;
    case BuildStep::Kind::kInstance:
      return pb::ExplainStep::INSTANCE;
  }
  return pb::ExplainStep::KIND_UNSPECIFIED;
}

pb::ExplainStep ToProto(const BuildStep& step, const ScrapeConfig& config) {
  pb::ExplainStep out;
  out.set_kind(ToProto(step.kind));
  if (step.kind == BuildStep::Kind::kRelabel) {
    out.set_rule_index(static_cast<uint32_t>(step.rule));
    out.set_rule(RelabelRuleText(config.relabel_configs[step.rule]));
  }
  SetLabels(step.before, out.mutable_before());
  SetLabels(step.after, out.mutable_after());
  out.set_dropped(step.dropped);
  out.set_detail(PresentableText(step.detail, 8192));
  return out;
}

// A target that was built for the question only: nobody owns it, and it is not scraped.
pb::Target ResultOf(const ScrapeConfig& config, const TargetGroup& group, const Drop& drop,
                    const absl::StatusOr<std::optional<Labels>>& all) {
  const Labels discovered = DiscoveredLabels(config, group.targets[0], group.labels);
  pb::Target out;
  if (all.ok() && all->has_value()) {
    out = trawl::ToProto(config.job_name, *MakeTarget(config, **all));
  } else {
    DroppedTarget dropped;
    dropped.config = &config;
    dropped.job = config.job_name;
    dropped.key = group.key;
    dropped.address = group.targets[0];
    dropped.group_labels = &group.labels;
    dropped.hash = discovered.Hash();
    dropped.drop = drop;
    out = trawl::ToProto(dropped);
    out.clear_owners();
  }
  SetLabels(discovered, out.mutable_discovered_labels());
  return out;
}

pb::ExplainTargetResponse Explain(const ScrapeConfig& config, std::string_view address,
                                  const Labels& group_labels) {
  BuildTrace trace;
  Drop drop;
  const Labels discovered = DiscoveredLabels(config, address, group_labels, &trace);
  const absl::StatusOr<std::optional<Labels>> all =
      PopulateLabels(config, discovered, &drop, &trace);
  pb::ExplainTargetResponse out;
  for (const BuildStep& step : trace) *out.add_steps() = ToProto(step, config);
  const TargetGroup group{"", {std::string(address)}, group_labels};
  *out.mutable_result() = ResultOf(config, group, drop, all);
  return out;
}

pb::ExplainTargetResponse ExplainLabels(const ScrapeConfig& config, const Labels& labels) {
  LabelsBuilder group(labels);
  group.Delete(kAddress);
  return Explain(config, labels.Get(kAddress), std::move(group).Build());
}

// By the group that names it first.
absl::StatusOr<pb::ExplainTargetResponse> ExplainFound(const FoundTarget& found) {
  if (found.pool == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(
        "job ", GoQuote(found.pending->job), " is not in the running configuration: no rule runs"));
  }
  std::string_view source;
  std::string_view key;
  pb::ExplainTargetResponse out;
  if (found.active != nullptr) {
    const TargetOwner& first = found.active->owners.front();
    source = first.group->source;
    key = first.group->key;
    out = Explain(*found.pool->config, first.address, first.group->labels);
  } else {
    source = found.dropped->source;
    key = found.dropped->key;
    out = Explain(*found.pool->config, found.dropped->address, *found.dropped->group_labels);
  }
  out.mutable_steps(0)->set_detail(absl::StrCat("group ", GoQuote(key), " of source ", source));
  *out.mutable_result() = found.ToTarget();
  return out;
}

}  // namespace

absl::StatusOr<pb::ExplainTargetResponse> ExplainTarget(const PoolsSnapshot& pools,
                                                        const pb::ExplainTargetRequest& request) {
  if (request.has_target()) {
    ASSIGN_OR_RETURN(const FoundTarget found, FindTarget(pools, request.target()));
    return ExplainFound(found);
  }
  if (request.job().empty()) {
    return absl::InvalidArgumentError("job: required where no target is named");
  }
  const auto pool = std::ranges::find_if(
      pools.pools, [&](const auto& candidate) { return candidate->job == request.job(); });
  if (pool != pools.pools.end()) {
    return ExplainLabels(*(*pool)->config, ToLabels(request.labels()));
  }
  return absl::NotFoundError(
      absl::StrCat("job ", GoQuote(request.job()), " is not in the running configuration"));
}

}  // namespace trawl

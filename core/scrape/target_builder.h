#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/config/config.h"
#include "core/model/labels.h"
#include "core/model/target_group.h"
#include "core/scrape/target.h"

namespace trawl {

// The labels of one target before relabeling: its address, its group's labels, and what the
// config supplies where discovery is silent (spec 3.1, steps 1 to 4).
Labels DiscoveredLabels(const ScrapeConfig& config, std::string_view address,
                        const Labels& group_labels);

// Steps 5 to 14 of spec 3.1, in that order and with Prometheus' messages: the target's final
// labels, with those `__…` labels that stay; nullopt when a rule dropped the target. Pure.
absl::StatusOr<std::optional<Labels>> PopulateLabels(const ScrapeConfig& config,
                                                     const Labels& discovered);

// `dropped by relabel_configs[2] (keep)` for a target that PopulateLabels dropped.
std::string DropReason(const ScrapeConfig& config, const Labels& discovered);

// What one group's addresses came to. Kept for as long as the group stands, so small: discovered
// labels are made again from the group when somebody asks. An `index` is one of group.targets.
struct BuiltGroup {
  struct Active {
    uint32_t index = 0;
    std::shared_ptr<const Target> target;
  };
  struct Failed {
    uint32_t index = 0;
    std::string error;  // `instance 0 in group static: no address`
  };
  std::vector<Active> active;
  std::vector<uint32_t> dropped;
  std::vector<Failed> failed;
};

// Builds every target of a group. A bad one does not keep the others back. Pure.
BuiltGroup TargetsFromGroup(const ScrapeConfig& config, const TargetGroup& group);

}  // namespace trawl

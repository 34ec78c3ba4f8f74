#pragma once

#include <cstddef>
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

// What one step of target building did, for "explain".
struct BuildStep {
  enum class Kind {
    kDiscovered,  // address and group labels are joined
    kDefaults,    // job, interval, timeout, path, scheme, … where discovery is silent
    kParams,      // __param_ labels
    kRelabel,     // one rule: `rule`
    kCheck,       // what Prometheus wants of a target; changes nothing
    kRemoveMeta,  // __meta_ labels go
    kInstance,    // where nothing set it
  };
  Kind kind = Kind::kDiscovered;
  size_t rule = 0;  // of kRelabel: index in relabel_configs
  Labels before;
  Labels after;          // empty if the step dropped the target
  bool dropped = false;  // no step follows
  std::string detail;    // what was checked, or why the target was dropped
  friend bool operator==(const BuildStep&, const BuildStep&) = default;
};
using BuildTrace = std::vector<BuildStep>;

// The labels of one target before relabeling: its address, its group's labels, and what the
// config supplies where discovery is silent (spec 3.1, steps 1 to 4). Adds its steps to `trace`,
// if there is one.
Labels DiscoveredLabels(const ScrapeConfig& config, std::string_view address,
                        const Labels& group_labels, BuildTrace* trace = nullptr);

// Why something that discovery names is not scraped.
enum class DropReason : uint8_t {
  kRelabel,      // a rule of relabel_configs
  kNoAddress,    // __address__ is empty after relabeling
  kBadAddress,   // it is no host and port
  kBadInterval,  // of __scrape_interval__ and __scrape_timeout__
  kBadLabel,
  kDuplicate,   // the same source names the same target twice
  kPendingJob,  // the running config does not have its job
  kSourceHeld,  // its source waits for somebody to confirm it
};
struct Drop {
  DropReason reason = DropReason::kRelabel;
  uint32_t rule = 0;  // of kRelabel: index in relabel_configs
};

// Steps 5 to 14 of spec 3.1, in that order and with Prometheus' messages: the target's final
// labels, with those `__…` labels that stay; nullopt when a rule dropped the target. Says in
// `drop` why there are no labels, and adds its steps to `trace`, where there are such. Pure.
absl::StatusOr<std::optional<Labels>> PopulateLabels(const ScrapeConfig& config,
                                                     const Labels& discovered, Drop* drop = nullptr,
                                                     BuildTrace* trace = nullptr);

// `dropped by relabel_configs[2] (keep)`
std::string RuleDropText(const ScrapeConfig& config, uint32_t rule);

// The target that PopulateLabels' labels make.
std::shared_ptr<const Target> MakeTarget(const ScrapeConfig& config, const Labels& all);

// What one group's addresses came to. Kept for as long as the group stands, so small: labels and
// texts are made again from the group when somebody asks. An `index` is one of group.targets.
struct BuiltGroup {
  struct Active {
    uint32_t index = 0;
    std::shared_ptr<const Target> target;
  };
  // 16 bytes.
  struct Dropped {
    uint64_t hash = 0;  // of the discovered labels
    uint32_t index = 0;
    DropReason reason = DropReason::kRelabel;
    uint16_t rule = 0;
    friend bool operator==(const Dropped&, const Dropped&) = default;
  };
  std::vector<Active> active;
  std::vector<Dropped> dropped;  // by a rule, or as it can't be built
};

// Builds every target of a group. A bad one does not keep the others back. Pure.
BuiltGroup TargetsFromGroup(const ScrapeConfig& config, const TargetGroup& group);
// The same, at the cost of the addresses that `before` does not have: another version of the group,
// with the same labels, and what it came to under the same config.
BuiltGroup TargetsFromGroup(const ScrapeConfig& config, const TargetGroup& group,
                            const TargetGroup& before, const BuiltGroup& built_before);

// Why a target could not be built, in Prometheus' words: `instance 0 in group static: no address`.
std::string BuildError(const ScrapeConfig& config, std::string_view group_key, uint32_t index,
                       std::string_view address, const Labels& group_labels);

}  // namespace trawl

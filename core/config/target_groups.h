#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/config/config_problem.h"
#include "core/model/target_group.h"

namespace trawl {

// The content of a file_sd file, JSON or YAML, as target groups:
// `[{"targets": ["host:port", …], "labels": {"name": "value", …}}, …]`. Group i gets the key
// `path:i`, as Prometheus names the groups of a file. Empty text holds no group.
// Strict as LoadConfig: kInvalidArgument with every problem, the same as values in `problems`.
absl::StatusOr<std::vector<TargetGroup>> ParseTargetGroups(
    std::string_view text, const std::string& path, std::vector<ConfigProblem>* problems = nullptr);

}  // namespace trawl

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
// `path:i`, as Prometheus names the groups of a file. A path that ends in `.json` holds JSON and nothing else,
// so that a file which is just being written is an error; another's empty text holds no group, as in
// Prometheus.
// Strict as LoadConfig: kInvalidArgument with every problem, the same as values in `problems`.
absl::StatusOr<std::vector<TargetGroup>> ParseTargetGroups(
    std::string_view text, const std::string& path, std::vector<ConfigProblem>* problems = nullptr);

}  // namespace trawl

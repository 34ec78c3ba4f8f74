#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/base/file_system.h"
#include "core/config/config_files.h"
#include "core/config/config_problem.h"
#include "core/scrape/pool_status.h"
#include "trawl/status/v1/status.pb.h"

namespace trawl {

struct JobPlansInput {
  const LoadedConfig& running;
  const LoadedConfig& next;
  const PoolsSnapshot& pools;
  FileSystem& files;  // of file_sd_configs
  // The file_sd patterns that may be read; null: all.
  const std::set<std::string>* readable_patterns = nullptr;
  size_t max_targets = 0;  // to list, a job
};

// What the change from one configuration to the other does to each job, by name, unchanged ones
// included. What could not be known, or deserves a word, goes to `warnings`.
std::vector<status::v1::JobPlan> PlanJobs(const JobPlansInput& input,
                                          std::vector<ConfigWarning>& warnings);

}  // namespace trawl

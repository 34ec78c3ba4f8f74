#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "core/config/config.h"
#include "core/config/config_problem.h"
#include "core/config/load.h"
#include "core/config/trawl_config.h"

namespace trawl {

// Both configuration files as they are now.
struct LoadedConfig {
  std::shared_ptr<const Config> config;
  std::shared_ptr<const TrawlConfig> trawl_config;
  std::vector<ConfigWarning> warnings;
};

// Reads and checks them, the second one ("": none) against the first. kInvalidArgument with every
// problem of both, one a line, also if a file can't be read.
absl::StatusOr<LoadedConfig> LoadConfigFiles(FileSystem& files, const std::string& config_file,
                                             const std::string& trawl_config_file, EnvLookup env);

}  // namespace trawl

#pragma once

#include <memory>
#include <optional>
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
  std::vector<std::string> scrape_config_files;  // the patterns, as LoadResult's
};

// Reads and checks them, the second one ("": none) against the first. kInvalidArgument with every
// problem of both, one a line, also if a file can't be read.
absl::StatusOr<LoadedConfig> LoadConfigFiles(FileSystem& files, const std::string& config_file,
                                             const std::string& trawl_config_file, EnvLookup env);

// Texts that may come to stand in the files.
struct ConfigTexts {
  std::string config;
  std::string config_file;                  // where it would stand: paths are relative to it
  std::optional<std::string> trawl_config;  // unset: `running_trawl_config` stays
  std::shared_ptr<const TrawlConfig> running_trawl_config;
  std::vector<std::string> readable_patterns;  // of scrape_config_files; others are an error
};
// As LoadConfigFiles would read them. Problems of the texts name no file.
absl::StatusOr<LoadedConfig> LoadConfigTexts(FileSystem& files, const ConfigTexts& texts,
                                             EnvLookup env);

}  // namespace trawl

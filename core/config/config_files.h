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

// The two files' names; "": there is no second one.
struct ConfigFileNames {
  std::string config;        // --config.file
  std::string trawl_config;  // --trawl.config
};

// Reads and checks them, the second one against the first; of `options` env and check_client are
// used. kInvalidArgument with every problem of both, one a line, and the same as values in
// `problems` if given. A file that can't be read is such a problem as well.
absl::StatusOr<LoadedConfig> LoadConfigFiles(FileSystem& files, const ConfigFileNames& names,
                                             const LoadOptions& options,
                                             std::vector<ConfigProblem>* problems = nullptr);

// Texts that may come to stand in the files.
struct ConfigTexts {
  std::string config;
  std::string config_file;                  // where it would stand: paths are relative to it
  std::optional<std::string> trawl_config;  // unset: `running_trawl_config` stays
  std::shared_ptr<const TrawlConfig> running_trawl_config;
  std::vector<std::string> readable_patterns;  // of scrape_config_files; others are an error
};
// As LoadConfigFiles would read them, but what HTTP clients read is not looked at. Problems of the
// texts name no file.
absl::StatusOr<LoadedConfig> LoadConfigTexts(FileSystem& files, const ConfigTexts& texts,
                                             EnvLookup env);

}  // namespace trawl

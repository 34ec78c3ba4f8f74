#include "server/config_files.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/text.h"

namespace trawl {
namespace {

void CheckJobs(const TrawlConfig& trawl_config, const std::string& file, const Config& config,
               std::vector<ConfigProblem>& problems) {
  for (const auto& [job, unused] : trawl_config.jobs) {
    if (config.FindJob(job) != nullptr) continue;
    problems.push_back(
        {.file = file,
         .line = 0,
         .column = 0,
         .message = absl::StrCat("job ", GoQuote(job), " is not in the configuration file")});
  }
}

// A file that can't be read has a status and no problems. It is the configuration that is wrong.
absl::Status CantRead(const absl::Status& status) {
  return absl::InvalidArgumentError(
      absl::StrCat("can't read the configuration: ", status.message()));
}

}  // namespace

absl::StatusOr<LoadedConfig> LoadConfigFiles(FileSystem& files, const std::string& config_file,
                                             const std::string& trawl_config_file, EnvLookup env) {
  std::vector<ConfigProblem> problems;
  LoadOptions options;
  options.env = std::move(env);
  absl::StatusOr<LoadResult> first = LoadConfigFile(files, config_file, options, &problems);
  if (!first.ok() && problems.empty()) return CantRead(first.status());

  LoadedConfig out;
  TrawlConfig trawl_config;
  if (!trawl_config_file.empty()) {
    std::vector<ConfigProblem> more;
    absl::StatusOr<TrawlConfig> second = LoadTrawlConfigFile(files, trawl_config_file, &more);
    if (!second.ok() && more.empty()) return CantRead(second.status());
    if (second.ok()) trawl_config = *std::move(second);
    if (first.ok()) CheckJobs(trawl_config, trawl_config_file, first->config, more);
    problems.insert(problems.end(), more.begin(), more.end());
  }
  if (!problems.empty()) return ProblemsToStatus(problems);
  out.config = std::make_shared<const Config>(std::move(first->config));
  out.trawl_config = std::make_shared<const TrawlConfig>(std::move(trawl_config));
  out.warnings = std::move(first->warnings);
  return out;
}

}  // namespace trawl

#include "core/config/config_files.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/text.h"

namespace trawl {
namespace {

// The two files on their way: what could be read of each, and the problems of both.
struct Parts {
  absl::StatusOr<LoadResult> config;
  absl::StatusOr<TrawlConfig> trawl_config;
  std::vector<ConfigProblem> problems;
};

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

// A file that can't be read has a status and no problems.
void AddCantRead(const absl::Status& status, std::string_view what,
                 std::vector<ConfigProblem>& problems) {
  problems.push_back({.file = "",
                      .line = 0,
                      .column = 0,
                      .message = absl::StrCat("can't read ", what, ": ", status.message())});
}

absl::StatusOr<LoadedConfig> Join(Parts parts, const std::string& trawl_config_file,
                                  std::vector<ConfigProblem>* problems = nullptr) {
  if (parts.config.ok() && parts.trawl_config.ok()) {
    CheckJobs(*parts.trawl_config, trawl_config_file, parts.config->config, parts.problems);
  }
  if (problems != nullptr) *problems = parts.problems;
  if (!parts.problems.empty()) return ProblemsToStatus(parts.problems);
  LoadedConfig out;
  out.config = std::make_shared<const Config>(std::move(parts.config->config));
  out.trawl_config = std::make_shared<const TrawlConfig>(*std::move(parts.trawl_config));
  out.warnings = std::move(parts.config->warnings);
  out.scrape_config_files = std::move(parts.config->scrape_config_files);
  return out;
}

}  // namespace

absl::StatusOr<LoadedConfig> LoadConfigFiles(FileSystem& files, const ConfigFileNames& names,
                                             const LoadOptions& options,
                                             std::vector<ConfigProblem>* problems) {
  Parts parts{absl::UnknownError(""), TrawlConfig(), {}};
  parts.config = LoadConfigFile(files, names.config, options, &parts.problems);
  if (!parts.config.ok() && parts.problems.empty()) {
    AddCantRead(parts.config.status(), "the configuration", parts.problems);
  }
  if (!names.trawl_config.empty()) {
    std::vector<ConfigProblem> more;
    parts.trawl_config = LoadTrawlConfigFile(files, names.trawl_config, &more);
    if (!parts.trawl_config.ok() && more.empty()) {
      AddCantRead(parts.trawl_config.status(), "trawl's own configuration", more);
    }
    parts.problems.insert(parts.problems.end(), more.begin(), more.end());
  }
  return Join(std::move(parts), names.trawl_config, problems);
}

absl::StatusOr<LoadedConfig> LoadConfigTexts(FileSystem& files, const ConfigTexts& texts,
                                             EnvLookup env) {
  Parts parts{absl::UnknownError(""), TrawlConfig(), {}};
  LoadOptions options;
  options.env = std::move(env);
  options.base_dir = DirectoryOf(texts.config_file);
  options.file_system = &files;
  options.readable_patterns = texts.readable_patterns;
  parts.config = LoadConfig(texts.config, options, &parts.problems);
  if (texts.trawl_config.has_value()) {
    std::vector<ConfigProblem> more;
    parts.trawl_config = LoadTrawlConfig(*texts.trawl_config, "trawl_config", &more);
    parts.problems.insert(parts.problems.end(), more.begin(), more.end());
  } else if (texts.running_trawl_config != nullptr) {
    parts.trawl_config = *texts.running_trawl_config;
  }
  return Join(std::move(parts), "trawl_config");
}

}  // namespace trawl

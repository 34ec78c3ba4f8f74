#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "core/config/config_problem.h"

namespace trawl {

// When a target that was added to a running pool is scraped first: at its hash offset, as
// Prometheus does, or at once (at a bounded rate), falling into its phase from then on.
enum class FirstScrape { kOffset, kImmediate };

// What is trawl's alone about one job.
struct TrawlJobConfig {
  FirstScrape first_scrape = FirstScrape::kOffset;
  friend bool operator==(const TrawlJobConfig&, const TrawlJobConfig&) = default;
};

// The second file, `--trawl.config`: options that are not Prometheus', so that the first file
// stays valid for Prometheus. YAML: `global:` and `jobs: {NAME: …}`, each with first_scrape.
struct TrawlConfig {
  TrawlJobConfig global;
  std::map<std::string, TrawlJobConfig, std::less<>> jobs;  // inherited from global already

  // The job's options; the global ones for a job the file does not name.
  const TrawlJobConfig& ForJob(std::string_view job_name) const;
  friend bool operator==(const TrawlConfig&, const TrawlConfig&) = default;
};

// As strict as LoadConfig. `file` is named in problems. Whether the first file has the
// jobs it names is for the caller to check.
absl::StatusOr<TrawlConfig> LoadTrawlConfig(std::string_view text, const std::string& file = "",
                                            std::vector<ConfigProblem>* problems = nullptr);
absl::StatusOr<TrawlConfig> LoadTrawlConfigFile(FileSystem& files, const std::string& path,
                                                std::vector<ConfigProblem>* problems = nullptr);

}  // namespace trawl

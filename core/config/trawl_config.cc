#include "core/config/trawl_config.h"

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/base/file_system.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"
#include "core/config/config_problem.h"
#include "core/config/yaml.h"
#include "core/config/yaml_reader.h"

namespace trawl {
namespace {

void ReadFirstScrape(StructReader& reader, FirstScrape& first_scrape) {
  std::string text;
  if (!reader.Read("first_scrape", text)) return;
  if (text == "offset") {
    first_scrape = FirstScrape::kOffset;
  } else if (text == "immediate") {
    first_scrape = FirstScrape::kImmediate;
  } else {
    reader.Error("first_scrape",
                 absl::StrCat("first_scrape must be 'offset' or 'immediate', got ", GoQuote(text)));
  }
}

TrawlJobConfig ReadJob(const YamlNode& node, std::string_view type, TrawlJobConfig inherited,
                       Findings& findings) {
  StructReader reader(node, type, findings);
  ReadFirstScrape(reader, inherited.first_scrape);
  reader.Finish();
  return inherited;
}

TrawlConfig ReadTrawlConfig(const YamlNode& root, Findings& findings) {
  TrawlConfig config;
  StructReader reader(root, "trawl.Config", findings);
  if (const YamlNode* global = reader.Find("global")) {
    config.global = ReadJob(*global, "trawl.GlobalConfig", {}, findings);
  }
  if (const YamlNode* jobs = reader.Find("jobs")) {
    // The jobs' names are data; read as a struct for the checks of a map.
    StructReader names(*jobs, "trawl.Jobs", findings);
    for (const YamlNode::Entry& job : jobs->entries) {
      config.jobs[job.key] = ReadJob(*job.value, "trawl.JobConfig", config.global, findings);
    }
  }
  reader.Finish();
  return config;
}

}  // namespace

const TrawlJobConfig& TrawlConfig::ForJob(std::string_view job_name) const {
  const auto found = jobs.find(job_name);
  return found == jobs.end() ? global : found->second;
}

absl::StatusOr<TrawlConfig> LoadTrawlConfig(std::string_view text, const std::string& file,
                                            std::vector<ConfigProblem>* problems) {
  Findings findings(file);
  TrawlConfig config;
  const YamlDocument document = ParseYaml(text, file);
  if (document.problem) {
    findings.Add(*document.problem);
  } else {
    config = ReadTrawlConfig(*document.root, findings);
  }
  const std::vector<ConfigProblem> errors = findings.TakeErrors();
  if (problems != nullptr) *problems = errors;
  if (!errors.empty()) return ProblemsToStatus(errors);
  return config;
}

absl::StatusOr<TrawlConfig> LoadTrawlConfigFile(FileSystem& files, const std::string& path,
                                                std::vector<ConfigProblem>* problems) {
  ASSIGN_OR_RETURN(const std::string text, files.ReadFile(path));
  return LoadTrawlConfig(text, path, problems);
}

}  // namespace trawl

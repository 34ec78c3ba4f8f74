#include "core/config/load.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/base/file_system.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"
#include "core/config/config.h"
#include "core/config/config_problem.h"
#include "core/config/glob.h"
#include "core/config/known_sections.h"
#include "core/config/section.h"
#include "core/config/yaml.h"
#include "core/config/yaml_reader.h"

namespace trawl {
namespace {

// Reads the main file, and the files its scrape_config_files name.
class ConfigLoader {
 public:
  ConfigLoader(const LoadOptions& options, Findings& findings)
      : options_(options), findings_(findings) {}

  const std::vector<std::string>& patterns() const { return patterns_; }

  Config Load(const YamlNode& root) {
    const SectionContext context{options_, options_.base_dir, findings_, refused_globals_};
    StructReader reader(root, "config.Config", findings_);
    config_.global = ReadGlobal(reader.Find("global"), context);
    ReadJobs(reader.Find("scrape_configs"), context, "main config file");
    ReadJobFiles(reader);
    if (const YamlNode* global = reader.Find("global")) {
      RefuseGlobals(*global, refused_globals_, findings_);
    }
    ReadRemoteWrites(reader.Find("remote_write"), context);
    IgnoreUnused(reader);
    reader.Finish();
    return std::move(config_);
  }

 private:
  // `origin` is how later duplicates name this file.
  void ReadJobs(const YamlNode* node, const SectionContext& context, const std::string& origin) {
    if (node == nullptr) return;
    for (const YamlNode::Ptr& item :
         ReadStructs(*node, "config.ScrapeConfig", "empty or null scrape config section",
                     context.findings)) {
      ScrapeConfig job = ReadScrapeConfig(*item, config_.global, context);
      CheckUnique(job.job_name, *item, context, origin);
      config_.scrape_configs.push_back(std::move(job));
    }
  }

  void CheckUnique(const std::string& job_name, const YamlNode& node, const SectionContext& context,
                   const std::string& origin) {
    if (job_name.empty()) return;  // reported already
    const auto [first, added] = job_origins_.emplace(job_name, origin);
    if (added) return;
    std::string message =
        absl::StrCat("found multiple scrape configs with job name ", GoQuote(job_name));
    if (&context.findings != &findings_) {
      absl::StrAppend(&message, ", first found in ", first->second);
    }
    context.findings.Error(node.mark, std::move(message));
  }

  void ReadJobFiles(StructReader& reader) {
    std::vector<std::string> patterns;
    if (!reader.Read("scrape_config_files", patterns)) return;
    for (const std::string& pattern : patterns) {
      if (!IsLastElementGlob(pattern)) {
        reader.Error("scrape_config_files",
                     absl::StrCat("invalid scrape config file path ", GoQuote(pattern)));
      } else if (options_.file_system == nullptr) {
        reader.Error("scrape_config_files", "scrape_config_files cannot be read here");
      } else {
        ReadJobFiles(pattern, reader);
      }
    }
  }

  void ReadJobFiles(const std::string& pattern, StructReader& reader) {
    const std::string path = JoinDir(options_.base_dir, pattern);
    patterns_.push_back(path);
    if (!MayRead(path)) {
      return reader.Error(
          "scrape_config_files",
          absl::StrCat("scrape config files ", GoQuote(pattern),
                       " are not read: the running configuration does not name them"));
    }
    const auto files = ExpandGlob(*options_.file_system, path);
    if (!files.ok()) {
      return reader.Error("scrape_config_files", std::string(files.status().message()));
    }
    for (const std::string& file : *files) ReadJobFile(file);
  }

  bool MayRead(const std::string& pattern) const {
    const auto& readable = options_.readable_patterns;
    return !readable.has_value() ||
           std::find(readable->begin(), readable->end(), pattern) != readable->end();
  }

  void ReadJobFile(const std::string& path) {
    Findings findings(path);
    const absl::StatusOr<std::string> text = options_.file_system->ReadFile(path);
    if (!text.ok()) {
      findings.Error({}, std::string(text.status().message()));
    } else if (const YamlDocument document = ParseYaml(*text, path); document.problem) {
      findings.Add(*document.problem);
    } else {
      const SectionContext context{options_, DirectoryOf(path), findings, refused_globals_};
      StructReader reader(*document.root, "config.ScrapeConfigs", findings);
      ReadJobs(reader.Find("scrape_configs"), context, GoQuote(path));
      reader.Finish();
    }
    findings_.Take(std::move(findings));
  }

  void ReadRemoteWrites(const YamlNode* node, const SectionContext& context) {
    if (node == nullptr) return;
    for (const YamlNode::Ptr& item :
         ReadStructs(*node, "config.RemoteWriteConfig", "empty or null remote write config section",
                     findings_)) {
      RemoteWriteConfig remote = ReadRemoteWrite(*item, context);
      const bool duplicate = std::any_of(
          config_.remote_writes.begin(), config_.remote_writes.end(),
          [&remote](const RemoteWriteConfig& other) { return other.name == remote.name; });
      if (duplicate) {
        findings_.Error(item->mark,
                        absl::StrCat("found multiple remote write configs with job name ",
                                     GoQuote(remote.name)));
      }
      config_.remote_writes.push_back(std::move(remote));
    }
  }

  static void IgnoreUnused(StructReader& reader) {
    IgnoreField(reader, "alerting", "config.AlertingConfig", "trawl evaluates no rules");
    IgnoreField(reader, "rule_files", "[string]", "trawl evaluates no rules");
    IgnoreField(reader, "remote_read", "[config.RemoteReadConfig]", "trawl answers no queries");
    IgnoreField(reader, "storage", "config.StorageConfig", "trawl has no TSDB");
    IgnoreField(reader, "tracing", "config.TracingConfig", "trawl exports no traces");
    IgnoreField(reader, "otlp", "config.OTLPConfig", "trawl receives no OTLP");
    IgnoreField(reader, "runtime", "config.RuntimeConfig", "it tunes the Go runtime");
  }

  const LoadOptions& options_;
  Findings& findings_;
  Config config_;
  std::set<std::string> refused_globals_;
  std::vector<std::string> patterns_;               // of scrape_config_files
  std::map<std::string, std::string> job_origins_;  // job name → where it was found
};

}  // namespace

std::string JoinDir(std::string_view dir, std::string_view path) {
  if (path.empty() || path.starts_with('/') || dir.empty()) return std::string(path);
  return JoinPath(std::string(dir), std::string(path));
}

absl::StatusOr<LoadResult> LoadConfig(std::string_view text, const LoadOptions& options,
                                      std::vector<ConfigProblem>* problems) {
  Findings findings(options.file);
  LoadResult result;
  const YamlDocument document = ParseYaml(text, options.file);
  if (document.problem) {
    findings.Add(*document.problem);
  } else {
    ConfigLoader loader(options, findings);
    result.config = loader.Load(*document.root);
    result.scrape_config_files = loader.patterns();
  }
  const std::vector<ConfigProblem> errors = findings.TakeErrors();
  if (problems != nullptr) *problems = errors;
  if (!errors.empty()) return ProblemsToStatus(errors);
  result.warnings = findings.TakeWarnings();
  return result;
}

absl::StatusOr<LoadResult> LoadConfigFile(FileSystem& files, const std::string& path,
                                          LoadOptions options,
                                          std::vector<ConfigProblem>* problems) {
  if (problems != nullptr) problems->clear();
  ASSIGN_OR_RETURN(const std::string text, files.ReadFile(path));
  options.file = path;
  options.base_dir = DirectoryOf(path);
  options.file_system = &files;
  return LoadConfig(text, options, problems);
}

}  // namespace trawl

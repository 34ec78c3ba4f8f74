#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "core/base/text.h"
#include "core/config/config.h"
#include "core/config/glob.h"
#include "core/config/known_sections.h"
#include "core/config/section.h"
#include "core/config/yaml.h"
#include "core/config/yaml_reader.h"
#include "core/model/labels.h"
#include "core/model/target_group.h"
#include "core/relabel/relabel.h"

namespace trawl {
namespace {

// Where a job inherits, the global value counts; what the file says is in `reader`.
class JobReader {
 public:
  JobReader(const YamlNode& node, const GlobalConfig& global, const SectionContext& context)
      : reader_(node, "config.ScrapeConfig", context.findings),
        global_(global),
        context_(context) {}

  ScrapeConfig Read() {
    reader_.Read("job_name", job_.job_name);
    if (job_.job_name.empty()) reader_.Error("job_name", "job_name is empty");
    ReadTimes();
    ReadRequest();
    ReadLimits();
    ReadProtocols();
    ReadNames();
    ReadSampleOptions();
    ReadDiscovery();
    ReadRules();
    IgnoreUnused();
    reader_.Finish();
    return std::move(job_);
  }

 private:
  std::string ForJob(std::string_view message) const {
    return absl::StrCat(message, " for scrape config with job name ", GoQuote(job_.job_name));
  }

  void ReadTimes() {
    absl::Duration interval = absl::ZeroDuration();
    absl::Duration timeout = absl::ZeroDuration();
    reader_.Read("scrape_interval", interval);
    reader_.Read("scrape_timeout", timeout);
    if (interval == absl::ZeroDuration()) interval = global_.scrape_interval;
    if (timeout > interval) {
      reader_.Error("scrape_timeout", ForJob("scrape timeout greater than scrape interval"));
    }
    if (timeout == absl::ZeroDuration()) timeout = std::min(global_.scrape_timeout, interval);
    job_.scrape_interval = interval;
    job_.scrape_timeout = timeout;
  }

  void ReadRequest() {
    reader_.Read("metrics_path", job_.metrics_path);
    reader_.Read("scheme", job_.scheme);
    reader_.Read("params", job_.params);
    reader_.Read("enable_compression", job_.enable_compression);
    job_.http = ReadHttpClient(reader_, context_);
  }

  // A job cannot set a limit back to 0: that reads as unset, as in Prometheus.
  void ReadLimit(std::string_view field, uint64_t global, uint64_t& limit) {
    reader_.Read(field, limit);
    if (limit == 0) limit = global;
  }

  void ReadLimits() {
    if (const YamlNode* node = reader_.Find("body_size_limit")) {
      ReadByteSize(*node, job_.body_size_limit, reader_.findings());
    }
    if (job_.body_size_limit == 0) job_.body_size_limit = global_.body_size_limit;
    ReadLimit("sample_limit", global_.sample_limit, job_.sample_limit);
    ReadLimit("target_limit", global_.target_limit, job_.target_limit);
    ReadLimit("label_limit", global_.label_limit, job_.label_limit);
    ReadLimit("label_name_length_limit", global_.label_name_length_limit,
              job_.label_name_length_limit);
    ReadLimit("label_value_length_limit", global_.label_value_length_limit,
              job_.label_value_length_limit);
    ReadLimit("keep_dropped_targets", global_.keep_dropped_targets, job_.keep_dropped_targets);
  }

  void ReadProtocols() {
    std::optional<std::vector<ScrapeProtocol>> protocols;
    if (const YamlNode* node = reader_.Find("scrape_protocols")) {
      protocols = ReadScrapeProtocols(*node, ForJob(""), context_);
    }
    if (!protocols) protocols = global_.scrape_protocols;
    job_.scrape_protocols = protocols.value_or(context_.options.supported_protocols);
    ReadFallbackProtocol();
  }

  void ReadFallbackProtocol() {
    static constexpr std::string_view kField = "fallback_scrape_protocol";
    std::string name;
    reader_.Read(kField, name);
    if (name.empty()) return;
    job_.fallback_scrape_protocol = ParseScrapeProtocol(name);
    if (!job_.fallback_scrape_protocol) {
      reader_.Error(kField, absl::StrCat(ForJob("invalid fallback_scrape_protocol"), ": ",
                                         UnknownScrapeProtocol(name)));
      return;
    }
    const std::vector<ScrapeProtocol>& supported = context_.options.supported_protocols;
    if (std::find(supported.begin(), supported.end(), *job_.fallback_scrape_protocol) ==
        supported.end()) {
      reader_.Error(kField,
                    ForJob(absl::StrCat("fallback_scrape_protocol ", name, " is not supported")));
    }
  }

  // Spec 7.3: escaping follows the job's own validation scheme when that is set, else the global
  // escaping.
  void ReadNames() {
    const std::optional<NameValidation> validation = ReadNameValidation(reader_, "scrape config");
    job_.metric_name_validation_scheme = validation.value_or(global_.metric_name_validation_scheme);
    EscapingScheme inferred = global_.metric_name_escaping_scheme;
    if (validation) {
      inferred = *validation == NameValidation::kLegacy ? EscapingScheme::kUnderscores
                                                        : EscapingScheme::kAllowUtf8;
    }
    job_.metric_name_escaping_scheme =
        ReadEscapingScheme(reader_, "scrape config").value_or(inferred);
    if (job_.metric_name_escaping_scheme == EscapingScheme::kAllowUtf8 &&
        job_.metric_name_validation_scheme == NameValidation::kLegacy) {
      reader_.Error("metric_name_escaping_scheme",
                    "utf8 metric names requested but validation scheme is not set to UTF8");
    }
  }

  void ReadSampleOptions() {
    reader_.Read("honor_labels", job_.honor_labels);
    reader_.Read("honor_timestamps", job_.honor_timestamps);
    reader_.Read("track_timestamps_staleness", job_.track_timestamps_staleness);
    std::optional<bool> extra_metrics;
    reader_.Read("extra_scrape_metrics", extra_metrics);
    job_.extra_scrape_metrics = extra_metrics.value_or(global_.extra_scrape_metrics);
    std::optional<bool> always_classic;
    reader_.Read("always_scrape_classic_histograms", always_classic);
    job_.always_scrape_classic_histograms =
        always_classic.value_or(global_.always_scrape_classic_histograms);
    RefuseIfTrue("scrape_native_histograms", global_.scrape_native_histograms);
    RefuseIfTrue("convert_classic_histograms_to_nhcb", global_.convert_classic_histograms_to_nhcb);
  }

  void RefuseIfTrue(std::string_view field, bool global) {
    std::optional<bool> wanted;
    reader_.Read(field, wanted);
    if (!wanted && global) context_.refused_globals.emplace(field);
    if (!wanted.value_or(false)) return;
    reader_.Error(
        field, ForJob(absl::StrCat("field ", field, " is not supported: ", kChangesWhatIsStored)));
  }

  void ReadDiscovery() {
    if (const YamlNode* node = reader_.Find("static_configs")) {
      job_.static_configs = ReadStaticConfigs(*node, context_.findings);
    }
    if (const YamlNode* node = reader_.Find("file_sd_configs")) {
      job_.file_sd_configs = ReadFileSdConfigs(*node, context_);
    }
    static const auto& pushed =
        *new std::vector<KnownField>(FieldsOfSection("discovery.PushedConfigs"));
    for (const KnownField& field : pushed) ReadPushedSd(field);
  }

  void ReadPushedSd(const KnownField& field) {
    const YamlNode* node = reader_.Find(field.name);
    if (node == nullptr) return;
    CheckKind(*node, field.name, field.kind, context_.findings);
    if (node->says_nothing()) return;
    job_.pushed_sd_configs.push_back(field.name);
    reader_.Warn(field.name, absl::StrCat(field.name, " is not run by trawl: the targets of job ",
                                          GoQuote(job_.job_name), " are to be pushed"));
  }

  void ReadRules() {
    const NameValidation names = job_.metric_name_validation_scheme;
    if (const YamlNode* node = reader_.Find("relabel_configs")) {
      job_.relabel_configs = ReadRelabelConfigs(*node, "target", names, context_.findings);
    }
    if (const YamlNode* node = reader_.Find("metric_relabel_configs")) {
      job_.metric_relabel_configs = ReadRelabelConfigs(*node, "metric", names, context_.findings);
    }
    if (job_.relabel_configs.empty()) CheckStaticTargets();
    job_.relabel_rules = CompileRules(job_.relabel_configs);
    job_.metric_relabel_rules = CompileRules(job_.metric_relabel_configs);
  }

  // Rules that do not compile have been reported where they stand.
  CompiledRelabelRules CompileRules(const std::vector<RelabelConfig>& configs) const {
    absl::StatusOr<RelabelRules> rules =
        RelabelRules::Compile(configs, job_.metric_name_validation_scheme);
    if (!rules.ok()) return {};
    return {std::make_shared<const RelabelRules>(*std::move(rules))};
  }

  // Without a rule that could repair it, a URL in place of an address is a mistake.
  void CheckStaticTargets() {
    for (const TargetGroup& group : job_.static_configs) {
      for (const std::string& target : group.targets) {
        if (target.find('/') == std::string::npos) continue;
        reader_.Error("static_configs", absl::StrCat(GoQuote(target), " is not a valid hostname"));
      }
    }
  }

  static std::vector<FileSdConfig> ReadFileSdConfigs(const YamlNode& node,
                                                     const SectionContext& context);

  void IgnoreUnused() {
    static constexpr std::string_view kNoHistograms = "no native histograms are scraped";
    IgnoreField(reader_, "scrape_failure_log_file", "string",
                "the reason stands on each target's status");
    IgnoreField(reader_, "native_histogram_bucket_limit", "uint", kNoHistograms);
    IgnoreField(reader_, "native_histogram_min_bucket_factor", "float", kNoHistograms);
    IgnoreIfTrue(reader_, "always_scrape_classic_histograms", kNoHistograms);
  }

  StructReader reader_;
  const GlobalConfig& global_;
  const SectionContext& context_;
  ScrapeConfig job_;
};

// A glob is allowed in the last element only, and the ending says how to read the file.
bool IsFileSdPattern(std::string_view path) {
  if (!IsLastElementGlob(path)) return false;
  static constexpr std::array<std::string_view, 6> kEndings = {".json", ".yml", ".yaml",
                                                               ".JSON", ".YML", ".YAML"};
  return std::any_of(kEndings.begin(), kEndings.end(),
                     [path](std::string_view ending) { return path.ends_with(ending); });
}

std::vector<FileSdConfig> JobReader::ReadFileSdConfigs(const YamlNode& node,
                                                       const SectionContext& context) {
  std::vector<FileSdConfig> configs;
  for (const YamlNode::Ptr& item : ReadStructs(
           node, "file.SDConfig", "empty or null section in file_sd_configs", context.findings)) {
    FileSdConfig& config = configs.emplace_back();
    StructReader reader(*item, "file.SDConfig", context.findings);
    reader.Read("files", config.files);
    reader.Read("refresh_interval", config.refresh_interval);
    reader.Finish();
    if (config.files.empty()) {
      reader.Error("files", "file service discovery config must contain at least one path name");
    }
    for (std::string& file : config.files) {
      if (!IsFileSdPattern(file)) {
        reader.Error("files",
                     absl::StrCat("path name ", GoQuote(file), " is not valid for file discovery"));
      }
      file = JoinDir(context.base_dir, file);
    }
  }
  return configs;
}

}  // namespace

ScrapeConfig ReadScrapeConfig(const YamlNode& node, const GlobalConfig& global,
                              const SectionContext& context) {
  return JobReader(node, global, context).Read();
}

}  // namespace trawl

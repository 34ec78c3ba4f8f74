#include "server/config_planner.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"
#include "server/job_plans.h"
#include "server/status_conversions.h"

namespace trawl {
namespace {

namespace pb = status::v1;

constexpr uint32_t kMaxTargets = 10'000;  // a job; more would not fit into an answer

std::set<std::string> FileSdPatterns(const Config& config) {
  std::set<std::string> patterns;
  for (const ScrapeConfig& job : config.scrape_configs) {
    for (const FileSdConfig& sd : job.file_sd_configs) {
      patterns.insert(sd.files.begin(), sd.files.end());
    }
  }
  return patterns;
}

// The files that are read when the client is made.
std::set<std::string> FilesOf(const HttpClientConfig& http) {
  std::set<std::string> files;
  for (const SecretSource* source :
       {&http.tls_config.ca, &http.tls_config.cert, &http.tls_config.key}) {
    if (!source->file.empty()) files.insert(source->file);
  }
  return files;
}

struct NamedClient {
  std::string name;
  const HttpClientConfig* http;
};

// All that read files of TLS: jobs and remote_write.
std::vector<NamedClient> ClientsOf(const Config& config) {
  std::vector<NamedClient> clients;
  for (const ScrapeConfig& job : config.scrape_configs) {
    clients.push_back({absl::StrCat("job ", job.job_name), &job.http});
  }
  for (const RemoteWriteConfig& sink : config.remote_writes) {
    clients.push_back({absl::StrCat("remote_write ", sink.name), &sink.http});
  }
  return clients;
}

std::string KindName(pb::Sink::Kind kind) {
  std::string name = pb::Sink::Kind_Name(kind);
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return name;
}

// "remote_write mimir: added"
std::vector<std::string> SinkChanges(const SinkFlags& flags, const Config& before,
                                     const Config& after) {
  std::map<std::string, std::pair<const SinkSpec*, const SinkSpec*>> sinks;
  const std::vector<SinkSpec> old_sinks = DesiredSinks(flags, before);
  const std::vector<SinkSpec> new_sinks = DesiredSinks(flags, after);
  for (const SinkSpec& sink : old_sinks) sinks[sink.name].first = &sink;
  for (const SinkSpec& sink : new_sinks) sinks[sink.name].second = &sink;
  std::vector<std::string> out;
  for (const auto& [name, pair] : sinks) {
    const auto& [was, is] = pair;
    if (was != nullptr && is != nullptr && *was == *is) continue;
    out.push_back(absl::StrCat(KindName((is != nullptr ? is : was)->kind), " ", name, ": ",
                               was == nullptr  ? "added"
                               : is == nullptr ? "removed"
                                               : "changed"));
  }
  return out;
}

}  // namespace

ConfigPlanner::ConfigPlanner(Options options, const Deps& deps)
    : options_(std::move(options)), deps_(deps) {}

absl::StatusOr<LoadedConfig> ConfigPlanner::LoadText(const pb::PlanConfigRequest& request,
                                                     const LoadedConfig& running) const {
  ConfigTexts texts;
  texts.config = request.config();
  texts.config_file = options_.config_file;
  if (request.has_trawl_config()) {
    texts.trawl_config = request.trawl_config();
  } else {
    texts.running_trawl_config = running.trawl_config;
  }
  texts.readable_patterns = running.scrape_config_files;
  return LoadConfigTexts(deps_.files, texts, options_.env);
}

absl::StatusOr<pb::PlanConfigResponse> ConfigPlanner::Plan(const pb::PlanConfigRequest& request,
                                                           const LoadedConfig& running,
                                                           const PoolsSnapshot& pools) const {
  ASSIGN_OR_RETURN(const LoadedConfig next, LoadText(request, running));
  pb::PlanConfigResponse out;
  for (const ConfigWarning& warning : next.warnings) *out.add_warnings() = ToProto(warning);
  RETURN_IF_ERROR(CheckClients(*running.config, *next.config, out));
  const std::set<std::string> patterns = FileSdPatterns(*running.config);
  std::vector<ConfigWarning> warnings;
  for (pb::JobPlan& plan : PlanJobs({.running = running,
                           .next = next,
                           .pools = pools,
                           .files = deps_.files,
                           .readable_patterns = &patterns,
                           .max_targets = std::min(request.max_targets(), kMaxTargets)},
                                    warnings)) {
    *out.add_jobs() = std::move(plan);
  }
  for (const ConfigWarning& warning : warnings) *out.add_warnings() = ToProto(warning);
  for (std::string& change : SinkChanges(options_.sinks, *running.config, *next.config)) {
    out.add_sink_changes(std::move(change));
  }
  out.set_external_labels_changed(running.config->global.external_labels !=
                                  next.config->global.external_labels);
  return out;
}

std::vector<pb::JobPlan> ConfigPlanner::PlanReload(const LoadedConfig& running,
                                                   const LoadedConfig& next,
                                                   const PoolsSnapshot& pools) const {
  std::vector<ConfigWarning> ignored;  // the reload logs what it finds
  return PlanJobs({.running = running, .next = next, .pools = pools, .files = deps_.files},
                  ignored);
}

absl::Status ConfigPlanner::CheckClients(const Config& running, const Config& next,
                                         pb::PlanConfigResponse& out) const {
  std::set<std::string> known;
  for (const NamedClient& client : ClientsOf(running)) known.merge(FilesOf(*client.http));
  for (const NamedClient& client : ClientsOf(next)) {
    const std::set<std::string> files = FilesOf(*client.http);
    const auto strange =
        std::ranges::find_if(files, [&](const std::string& file) { return !known.contains(file); });
    if (strange != files.end()) {
      out.add_warnings()->set_message(
          absl::StrCat(client.name, ": tls_config is not checked: the running ",
                       "configuration does not name ", GoQuote(*strange)));
      continue;
    }
    const absl::Status made = deps_.clients.MakeClient(*client.http).status();
    if (!made.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(made.message(), "; ", client.name));
    }
  }
  return absl::OkStatus();
}

}  // namespace trawl

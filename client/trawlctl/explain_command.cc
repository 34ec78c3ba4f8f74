#include <cstdio>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/trawlctl/commands.h"
#include "client/trawlctl/format.h"
#include "client/trawlctl/output.h"
#include "client/trawlctl/program.h"
#include "client/trawlctl/target_argument.h"
#include "client/trawlctl/usage.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"

namespace trawl {
namespace {

struct ExplainOptions {
  std::string target;  // id, URL or job/instance; "": `labels` of `job`
  std::string job;
  std::vector<std::string> labels;  // name=value, as discovery would say
  bool json = false;
};

struct ConfigOptions {
  std::string job;  // "": all
  bool json = false;
};

using status::v1::ExplainStep;
using status::v1::StatusService;
using status::v1::Target;

using Rows = std::vector<std::vector<std::string>>;

std::string StepName(const ExplainStep& step) {
  std::string name = ExplainStep::Kind_Name(step.kind());
  if (step.kind() != ExplainStep::RELABEL) return name;
  return absl::StrCat(name, "[", step.rule_index(), "]");
}

// What a step did to the labels: `+ team="db"`, `- x="1"`, `~ job="a" to "b"`.
std::vector<std::string> ChangesOf(const ExplainStep& step) {
  const std::map<std::string, std::string> before(step.before().begin(), step.before().end());
  const std::map<std::string, std::string> after(step.after().begin(), step.after().end());
  std::vector<std::string> changes;
  for (const auto& [name, value] : before) {
    const auto now = after.find(name);
    if (now == after.end()) {
      changes.push_back(absl::StrCat("- ", name, "=", GoQuote(value)));
    } else if (now->second != value) {
      changes.push_back(
          absl::StrCat("~ ", name, "=", GoQuote(value), " to ", GoQuote(now->second)));
    }
  }
  for (const auto& [name, value] : after) {
    if (!before.contains(name)) changes.push_back(absl::StrCat("+ ", name, "=", GoQuote(value)));
  }
  return changes;
}

void AddRows(const ExplainStep& step, Rows& rows) {
  std::vector<std::string> changes =
      step.dropped() ? std::vector<std::string>{"dropped"} : ChangesOf(step);
  if (changes.empty()) changes.emplace_back("nothing");
  const std::string detail = step.detail().empty() ? step.rule()
                             : step.rule().empty() ? step.detail()
                                                   : absl::StrCat(step.detail(), ": ", step.rule());
  rows.push_back({StepName(step), changes[0], detail});
  for (size_t i = 1; i < changes.size(); ++i) rows.push_back({"", changes[i], ""});
}

absl::Status AddLabel(const std::string& text, status::v1::ExplainTargetRequest& request) {
  const std::pair<std::string, std::string> label = absl::StrSplit(text, absl::MaxSplits('=', 1));
  if (label.first.empty() || text.find('=') == std::string::npos) {
    return UsageError(absl::StrCat("--label ", GoQuote(text), ": want name=value"));
  }
  (*request.mutable_labels())[label.first] = label.second;
  return absl::OkStatus();
}

absl::StatusOr<status::v1::ExplainTargetRequest> MakeRequest(Connection& connection,
                                                             const ExplainOptions& options) {
  status::v1::ExplainTargetRequest request;
  if (!options.target.empty()) {
    ASSIGN_OR_RETURN(*request.mutable_target(),
                     TargetArgument(connection, options.target, options.job));
    return request;
  }
  if (options.labels.empty()) return UsageError("want a target, or --job and --label");
  if (options.job.empty()) return UsageError("--label needs --job");
  request.set_job(options.job);
  for (const std::string& label : options.labels) RETURN_IF_ERROR(AddLabel(label, request));
  return request;
}

// How a target came to be what it is, step by step.
absl::Status RunExplain(Connection& connection, const ExplainOptions& options) {
  ASSIGN_OR_RETURN(const status::v1::ExplainTargetRequest request,
                   MakeRequest(connection, options));
  status::v1::ExplainTargetResponse response;
  RETURN_IF_ERROR(
      connection.Call(connection.status(), &StatusService::Stub::ExplainTarget, request, response));
  if (options.json) {
    ASSIGN_OR_RETURN(const std::string json, FormatJson({&response}));
    std::fputs(json.c_str(), stdout);
    return absl::OkStatus();
  }
  Rows rows;
  for (const ExplainStep& step : response.steps()) AddRows(step, rows);
  const Target& result = response.result();
  const bool dropped = result.state() == Target::DROPPED;
  rows.push_back({"RESULT", dropped ? "DROPPED" : FormatLabels(result.labels()),
                  dropped ? result.drop().detail() : result.scrape_url()});
  std::fputs(FormatTable({"STEP", "CHANGE", "DETAIL"}, rows).c_str(), stdout);
  return absl::OkStatus();
}

// The running configuration, secrets masked; of one job if one is named.
absl::Status RunConfig(Connection& connection, const ConfigOptions& options) {
  status::v1::GetConfigRequest request;
  request.set_job(options.job);
  status::v1::GetConfigResponse response;
  RETURN_IF_ERROR(
      connection.Call(connection.status(), &StatusService::Stub::GetConfig, request, response));
  if (options.json) {
    ASSIGN_OR_RETURN(const std::string text, FormatJson({&response}));
    std::fputs(text.c_str(), stdout);
    return absl::OkStatus();
  }
  std::fputs(response.config().c_str(), stdout);
  if (!response.trawl_config().empty()) {
    std::fprintf(stdout, "---\n# --trawl.config\n%s", response.trawl_config().c_str());
  }
  if (!response.last_reload_error().empty()) {
    std::fprintf(stderr, "the last reload failed: %s\n", response.last_reload_error().c_str());
  }
  return absl::OkStatus();
}

}  // namespace

void AddExplainCommands(Program& program) {
  const auto options = std::make_shared<ExplainOptions>();
  CLI::App* explain =
      program.Add(program.app(), "explain", "how a target came to be what it is, rule by rule",
                  options, RunExplain);
  explain->add_option("target", options->target, "its id, URL, or job/instance");
  explain->add_option("--job", options->job, "its job; required with --label");
  explain
      ->add_option("--label", options->labels,
                   "instead of a target: name=value as discovery would say, again and again")
      ->allow_extra_args(false)
      ->excludes("target");

  const auto config = std::make_shared<ConfigOptions>();
  program
      .Add(program.app(), "config", "the running configuration, with secrets masked", config,
           RunConfig)
      ->add_option("--job", config->job, "only this job, with what it inherits");
}

}  // namespace trawl

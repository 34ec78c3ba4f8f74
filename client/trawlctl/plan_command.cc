#include <algorithm>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/trawlctl/commands.h"
#include "client/trawlctl/format.h"
#include "client/trawlctl/output.h"
#include "client/trawlctl/program.h"
#include "core/base/file_system.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

constexpr int kExitWouldChange = 4;  // as 0 says that nothing would

struct PlanOptions {
  std::string file;           // Prometheus' YAML; "-" for standard input
  std::string trawl_config;   // trawl's own; "": as it runs
  uint32_t max_targets = 20;  // to list, a job
  bool json = false;
};

using status::v1::JobPlan;
using status::v1::PlanConfigResponse;
using status::v1::StatusService;
using status::v1::TargetPlan;

absl::StatusOr<std::string> ReadInput(const std::string& file) {
  if (file != "-") return PosixFileSystem().ReadFile(file);
  return std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
}

bool ChangesTargets(const JobPlan& job) {
  return job.added() > 0 || job.removed() > 0 || job.restarted() > 0;
}

std::string JobTable(const PlanConfigResponse& plan) {
  std::vector<std::vector<std::string>> rows;
  for (const JobPlan& job : plan.jobs()) {
    const bool exact = job.files_not_read().empty();
    const auto number = [&](const char* bound, uint64_t n) {
      return absl::StrCat(exact ? "" : bound, n);
    };
    rows.push_back({job.job(), JobPlan::Change_Name(job.change()), number(">=", job.added()),
                    number("<=", job.removed()), number("~", job.restarted()),
                    number(">=", job.unchanged()), absl::StrJoin(job.fields(), ",")});
  }
  return FormatTable({"JOB", "CHANGE", "ADDED", "REMOVED", "RESTARTED", "UNCHANGED", "FIELDS"},
                     rows);
}

std::string TargetTable(const PlanConfigResponse& plan) {
  std::vector<std::vector<std::string>> rows;
  for (const JobPlan& job : plan.jobs()) {
    for (const TargetPlan& target : job.targets()) {
      const bool restarted = target.change() == TargetPlan::RESTARTED;
      rows.push_back({TargetPlan::Change_Name(target.change()), job.job(),
                      target.target().scrape_url(), FormatLabels(target.target().labels()),
                      !restarted             ? ""
                      : target.keeps_cache() ? "keeps its series"
                                             : "series begin anew",
                      absl::StrJoin(target.fields(), ",")});
    }
  }
  return rows.empty()
             ? ""
             : FormatTable({"CHANGE", "JOB", "URL", "LABELS", "SERIES", "BECAUSE OF"}, rows);
}

void PrintTables(const PlanConfigResponse& plan) {
  std::fputs(JobTable(plan).c_str(), stdout);
  std::fputs(TargetTable(plan).c_str(), stdout);
  std::vector<std::vector<std::string>> sinks;
  for (const std::string& change : plan.sink_changes()) sinks.push_back({change});
  if (plan.external_labels_changed()) sinks.push_back({"external_labels: changed"});
  if (!sinks.empty()) std::fputs(FormatTable({"STORAGE"}, sinks).c_str(), stdout);
}

void PrintWarnings(const PlanConfigResponse& plan) {
  for (const auto& warning : plan.warnings()) {
    const std::string place =
        warning.line() == 0
            ? ""
            : absl::StrCat("line ", warning.line(), ", column ", warning.column(), ": ");
    std::fprintf(stderr, "warning: %s%s\n", place.c_str(), warning.message().c_str());
  }
}

// What a reload of that text would do; changes nothing. Whether it would do anything.
absl::StatusOr<bool> RunPlan(Connection& connection, const PlanOptions& options) {
  status::v1::PlanConfigRequest request;
  ASSIGN_OR_RETURN(*request.mutable_config(), ReadInput(options.file));
  if (!options.trawl_config.empty()) {
    ASSIGN_OR_RETURN(*request.mutable_trawl_config(), ReadInput(options.trawl_config));
  }
  request.set_max_targets(options.max_targets);
  PlanConfigResponse plan;
  RETURN_IF_ERROR(
      connection.Call(connection.status(), &StatusService::Stub::PlanConfig, request, plan));
  if (options.json) {
    ASSIGN_OR_RETURN(const std::string json, FormatJson({&plan}));
    std::fputs(json.c_str(), stdout);
  } else {
    PrintTables(plan);
    PrintWarnings(plan);
  }
  return plan.sink_changes_size() > 0 || plan.external_labels_changed() ||
         std::any_of(plan.jobs().begin(), plan.jobs().end(), [](const JobPlan& job) {
           return job.change() != JobPlan::UNCHANGED || ChangesTargets(job);
         });
}

}  // namespace

void AddPlanCommand(Program& program) {
  const auto options = std::make_shared<PlanOptions>();
  CLI::App* plan = program.AddCall(program.app(), "plan",
                                   "what a reload of a configuration would do, target by target; "
                                   "changes nothing; exit code 0 if "
                                   "it would do nothing, 4 if it would do something",
                                   [&program, options](Connection& connection) {
                                     options->json = program.json();
                                     const absl::StatusOr<bool> changes =
                                         RunPlan(connection, *options);
                                     if (changes.ok() && *changes)
                                       program.set_exit_code(kExitWouldChange);
                                     return changes.status();
                                   });
  plan->add_option("file", options->file, "Prometheus' YAML; - for stdin")->required();
  plan->add_option("--trawl.config", options->trawl_config,
                   "trawl's own file; without it the running one");
  plan->add_option("--targets", options->max_targets, "targets to list, a job")
      ->capture_default_str();
}

}  // namespace trawl

#include "server/config_reloads.h"

#include <deque>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "server/proto_conversions.h"
#include "server/status_conversions.h"

namespace trawl {

ConfigReloads::ConfigReloads(Options options, Deps deps)
    : options_(std::move(options)),
      deps_(std::move(deps)),
      plans_(options_.max_plans,
             absl::StrCat(options_.max_plans, " plans are waiting already: --status.max-plans")),
      planner_(options_.planner, ConfigPlanner::Deps{deps_.files, deps_.clients}) {}

void ConfigReloads::Reload(StatusService::ReloadCallback done) {
  if (reloads_.Add(std::move(done)) == CallAdded::kFirst) {
    deps_.loop.Post([this] { RunReloads(); });
  }
}

void ConfigReloads::Plan(status::v1::PlanConfigRequest request, StatusService::PlanCallback done,
                         std::function<bool()> gone) {
  const CallAdded added = plans_.Add({std::move(request), std::move(done), std::move(gone)});
  if (added == CallAdded::kFirst) deps_.plan_loop.Post([this] { RunPlans(); });
  if (added == CallAdded::kFull) deps_.metrics.plans_refused_total.Increment();
}

absl::StatusOr<status::v1::GetConfigResponse> ConfigReloads::Show(
    const status::v1::GetConfigRequest& request) const {
  const auto shown = shown_.Get();  // stays while it is read
  return ShowConfig(*shown, request);
}

void ConfigReloads::Close() {
  reloads_.Close();
  plans_.Close();
}

absl::Status ConfigReloads::Start(const LoadedConfig& first) {
  LogInfo("Loading configuration file", {{"filename", options_.planner.config_file}});
  const absl::Duration begin = deps_.clock.Steady();
  for (const ConfigWarning& warning : first.warnings) {
    LogWarn("Configuration", {{"warning", warning.ToString()}});
  }
  RETURN_IF_ERROR(Apply(first));
  LogInfo("Completed loading of configuration file",
          {{"filename", options_.planner.config_file},
           {"totalDuration", deps_.clock.Steady() - begin}});
  return absl::OkStatus();
}

void ConfigReloads::RunReloads() {
  std::deque<StatusService::ReloadCallback> waiting = reloads_.Take();
  if (waiting.empty()) return;
  const absl::StatusOr<status::v1::ReloadConfigResponse> result = ReloadFiles();
  if (!result.ok()) {
    Publish(std::string(result.status().message()));
    deps_.metrics.ConfigFailed();
    LogError("Error reloading config", {{"err", result.status()}});
  }
  for (StatusService::ReloadCallback& done : waiting) done(result);
}

absl::StatusOr<status::v1::ReloadConfigResponse> ConfigReloads::ReloadFiles() {
  LogInfo("Loading configuration file", {{"filename", options_.planner.config_file}});
  const absl::Duration begin = deps_.clock.Steady();
  LoadOptions load;
  load.env = options_.planner.env;
  load.check_client = CheckBy(deps_.clients);
  absl::StatusOr<LoadedConfig> next = LoadConfigFiles(
      deps_.files, {options_.planner.config_file, options_.planner.trawl_config_file}, load);
  // The request was right, the files are not.
  if (!next.ok()) return absl::FailedPreconditionError(next.status().message());
  status::v1::ReloadConfigResponse response;
  for (status::v1::JobPlan& plan : planner_.PlanReload(running_, *next, *deps_.pools())) {
    *response.add_jobs() = std::move(plan);
  }
  for (const ConfigWarning& warning : next->warnings) {
    LogWarn("Configuration", {{"warning", warning.ToString()}});
    *response.add_warnings() = ToProto(warning);
  }
  RETURN_IF_ERROR(Apply(*next));
  LogInfo("Completed loading of configuration file",
          {{"filename", options_.planner.config_file},
           {"totalDuration", deps_.clock.Steady() - begin}});
  return response;
}

// What was accepted runs, also if single jobs could not take it.
absl::Status ConfigReloads::Apply(const LoadedConfig& next) {
  RETURN_IF_ERROR(deps_.accept(*next.config));
  absl::Status status = deps_.apply(next);
  running_ = next;
  loaded_ = deps_.clock.Now();
  Publish(std::string(status.message()));
  if (status.ok()) deps_.metrics.ConfigLoaded(loaded_);
  return status;
}

void ConfigReloads::RunPlans() {
  while (std::optional<PlanCall> call = plans_.TakeFirst()) call->done(RunPlan(*call));
}

absl::StatusOr<status::v1::PlanConfigResponse> ConfigReloads::RunPlan(const PlanCall& call) const {
  if (call.gone()) return absl::CancelledError("the caller is gone");
  const auto shown = shown_.Get();  // stays while it is read
  if (shown->files.config == nullptr) {
    return absl::UnavailableError("no configuration is loaded yet");
  }
  return planner_.Plan(call.request, shown->files, *deps_.pools());
}

void ConfigReloads::Publish(std::string last_error) {
  auto shown = std::make_shared<RunningConfig>();
  shown->files = running_;
  shown->has_trawl_config = !options_.planner.trawl_config_file.empty();
  shown->loaded = loaded_;
  shown->last_reload_error = std::move(last_error);
  shown_.Set(std::move(shown));
}

}  // namespace trawl

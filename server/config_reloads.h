#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/base/event_loop.h"
#include "core/base/file_system.h"
#include "core/base/published.h"
#include "core/config/config_files.h"
#include "core/fetch/fetcher.h"
#include "core/scrape/pool_status.h"
#include "core/telemetry/server_metrics.h"
#include "server/call_queue.h"
#include "server/config_planner.h"
#include "server/config_view.h"
#include "server/status_service.h"
#include "trawl/status/v1/status.pb.h"

namespace trawl {

// The configuration that runs, and how another comes in its place.
//
//   1. Reloads run on the loop, one at a time. Who asks for one before it has begun shares it.
//      Plans, which take seconds where there are many targets, run on a loop of their own, one at a
//      time, and hold up neither reloads nor the process' end.
//   2. A reload that is refused leaves what runs, and its error is shown until one succeeds.
//   3. Everybody who asks is answered; after Close with kUnavailable.
//
// Reload, Plan, Show and Close: any thread. Start: the loop's thread. The loops run nothing of it
// when it goes.
class ConfigReloads {
 public:
  struct Options {
    ConfigPlanner::Options planner;
    size_t max_plans = 8;  // that wait for their turn
  };
  struct Deps {
    EventLoop& loop;
    EventLoop& plan_loop;
    const Clock& clock;
    FileSystem& files;
    HttpClientFactory& clients;
    std::function<std::shared_ptr<const PoolsSnapshot>()> pools;
    // ConfigApplier's.
    std::function<absl::Status(const Config&)> accept;
    std::function<absl::Status(const LoadedConfig&)> apply;
    ServerMetrics& metrics;
  };

  ConfigReloads(Options options, Deps deps);

  // Applies the first one. On an error the process should end.
  absl::Status Start(const LoadedConfig& first);

  // Errors: kFailedPrecondition if the files are wrong, others as they can't be applied.
  void Reload(StatusService::ReloadCallback done);
  // What a reload of these texts would do. Nothing is worked out for a caller that is `gone` when
  // its turn comes. kInvalidArgument: the reload would be refused; kResourceExhausted: max_plans
  // wait already.
  void Plan(status::v1::PlanConfigRequest request, StatusService::PlanCallback done,
            std::function<bool()> gone);
  // What runs, secrets masked. kNotFound: no such job.
  absl::StatusOr<status::v1::GetConfigResponse> Show(
      const status::v1::GetConfigRequest& request) const;

  // Who waits, and who comes later, is told that it is too late.
  void Close();

 private:
  struct PlanCall {
    status::v1::PlanConfigRequest request;
    StatusService::PlanCallback done;
    std::function<bool()> gone;
    void operator()(const absl::Status& status) { done(status); }
  };

  void RunReloads();
  void RunPlans();
  absl::StatusOr<status::v1::PlanConfigResponse> RunPlan(const PlanCall& call) const;
  absl::StatusOr<status::v1::ReloadConfigResponse> ReloadFiles();
  absl::Status Apply(const LoadedConfig& next);
  void Publish(std::string last_error);

  const Options options_;
  const Deps deps_;
  CallQueue<StatusService::ReloadCallback> reloads_;
  CallQueue<PlanCall> plans_;
  Published<RunningConfig> shown_;
  const ConfigPlanner planner_;

  // The loop's thread.
  LoadedConfig running_;
  absl::Time loaded_ = absl::InfinitePast();
};

}  // namespace trawl

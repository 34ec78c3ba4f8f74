#pragma once

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/base/epoll_loop.h"
#include "core/base/file_system.h"
#include "core/base/published.h"
#include "core/discovery/config_sources.h"
#include "core/discovery/discovery.h"
#include "core/discovery/state_store.h"
#include "core/fetch/curl_http_client.h"
#include "core/fetch/descriptor_budget.h"
#include "core/model/labels.h"
#include "core/scrape/scrape_manager.h"
#include "core/telemetry/metrics.h"
#include "server/access/access_control.h"
#include "server/access/guarded_status_service.h"
#include "server/access/tokens.h"
#include "server/access/web_guard.h"
#include "server/append_collector.h"
#include "server/call_queue.h"
#include "server/config_files.h"
#include "server/config_planner.h"
#include "server/config_view.h"
#include "server/data_directory.h"
#include "server/discovery_service.h"
#include "server/flags.h"
#include "server/http_server.h"
#include "server/reflection_service.h"
#include "server/rpc_server.h"
#include "server/shard_thread.h"
#include "server/sinks.h"
#include "server/spooling.h"
#include "server/status_service.h"
#include "server/target_inspector.h"
#include "server/watch_targets.h"

namespace trawl {

// All of trawld: the one place that knows every class. It wires them, carries out reloads, and
// takes everything down in the order in which nothing waits for what is gone.
//
// Main thread only. SIGHUP, SIGINT and SIGTERM must be blocked before it is made.
class App {
 public:
  // Starts everything: kInvalidArgument if the configuration is wrong (nothing was started then);
  // others are of the machine (a port is taken, the data directory is in use, …).
  // `files` outlives the object.
  static absl::StatusOr<std::unique_ptr<App>> Start(const Flags& flags, EnvLookup env,
                                                    FileSystem& files);
  ~App();

  // Until SIGINT, SIGTERM or /-/quit; then drains, in less than 10 s: scraping stops without
  // stale markers, what was scraped goes to storage, the servers end.
  void Run();

 private:
  struct PlanCall {
    status::v1::PlanConfigRequest request;
    StatusService::PlanCallback done;
    void operator()(const absl::Status& status) { done(status); }
  };

  App(const Flags& flags, EnvLookup env, FileSystem& files);

  // Start, step by step.
  absl::Status OpenResources();
  void StartSpooling();
  void StartShards();
  std::vector<EpochLane> OpenEarlierLogs();
  absl::Status StartDiscovery();
  absl::Status StartServers(ListenSockets rpc_sockets);
  absl::Status OpenAccess();
  void RefreshAccess();
  void GiveMemoryBack();
  void CollectMetrics();
  void CollectFetching();
  void WatchSignals();

  // Reloads.
  void OnSignal();
  void RunReloads();
  absl::StatusOr<status::v1::ReloadConfigResponse> Reload();
  void RunPlans();
  SinkFlags MakeSinkFlags() const;
  absl::Status CheckClients(const Config& config);
  absl::Status Apply(const LoadedConfig& next);
  void SetPushJobs(const Config& config);
  void CountJobsWithoutSource();
  absl::StatusOr<status::v1::SkipRecordResponse> SkipRecord(
      const status::v1::SkipRecordRequest& request);
  void ShowConfig(std::string last_reload_error);

  void Drain();
  void DrainLanes();

  std::vector<std::shared_ptr<const LaneStatus>> LaneStatuses() const;
  std::vector<std::shared_ptr<const SpoolStatus>> SpoolStatuses() const;
  status::v1::Spool DescribeSpool() const;
  std::set<std::string> FailingSinks() const;
  status::v1::GetBuildInfoResponse MakeBuildInfo() const;

  // Constant after Start.
  const Flags flags_;
  const EnvLookup env_;
  SystemClock clock_;
  FileSystem& files_;
  absl::Time start_time_;
  std::string hostname_;
  Metrics metrics_;
  DataDirectory data_;

  // Thread-safe, shared.
  std::unique_ptr<DescriptorBudget> budget_;
  CurlHttpClientFactory clients_;
  Published<Labels> external_labels_;
  Published<RunningConfig> shown_config_;
  Published<std::set<std::string>> push_jobs_;  // jobs whose targets are to be pushed
  std::atomic<bool> ready_{false};
  std::unique_ptr<TokenFile> tokens_;  // null: none
  std::unique_ptr<AccessControl> access_;
  std::unique_ptr<WebGuard> web_guard_;

  EpollLoop main_loop_;
  int signal_fd_ = -1;
  CallQueue<StatusService::ReloadCallback> reloads_;
  CallQueue<PlanCall> plans_;

  // From storage up to discovery: each uses those above it, and goes before them.
  std::unique_ptr<Spooling> spooling_;  // null: records are in memory
  std::vector<std::unique_ptr<ShardThread>> shards_;
  std::unique_ptr<Sinks> sinks_;
  std::unique_ptr<LoopThread> manager_thread_;
  std::unique_ptr<ScrapeManager> manager_;
  std::unique_ptr<LoopThread> state_thread_;
  std::unique_ptr<LoopThread> watch_thread_;
  std::unique_ptr<StateStore> state_store_;
  std::unique_ptr<Discovery> discovery_;
  std::unique_ptr<ConfigSources> config_sources_;
  std::unique_ptr<AppendCollector> append_collector_;

  std::unique_ptr<DiscoveryService> discovery_service_;
  std::unique_ptr<ConfigPlanner> planner_;
  std::unique_ptr<TargetInspector> inspector_;
  std::unique_ptr<TargetWatches> watches_;
  std::unique_ptr<StatusService> status_service_;
  std::unique_ptr<GuardedStatusService> guarded_status_;
  std::unique_ptr<ReflectionService> reflection_;
  std::unique_ptr<RpcServer> rpc_;
  std::unique_ptr<HttpServer> http_;

  // Main thread.
  LoadedConfig running_;
  absl::Time loaded_ = absl::InfinitePast();
};

}  // namespace trawl

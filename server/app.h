#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/base/epoll_loop.h"
#include "core/base/file_system.h"
#include "core/config/config_files.h"
#include "core/fetch/curl_http_client.h"
#include "core/fetch/descriptor_budget.h"
#include "core/scrape/scrape_manager.h"
#include "core/telemetry/metrics.h"
#include "server/access/access_files.h"
#include "server/access/guarded_status_service.h"
#include "server/config_applier.h"
#include "server/config_reloads.h"
#include "server/data_directory.h"
#include "server/descriptor_shares.h"
#include "server/discovery_service.h"
#include "server/discovery_thread.h"
#include "server/flags.h"
#include "server/http_server.h"
#include "server/os_signals.h"
#include "server/push_jobs.h"
#include "server/reflection_service.h"
#include "server/rpc_server.h"
#include "server/shard_threads.h"
#include "server/sinks.h"
#include "server/spooling.h"
#include "server/status_service.h"
#include "server/storage_view.h"
#include "server/target_inspector.h"
#include "server/watch_targets.h"

namespace trawl {

// All of trawld: the one place that knows every class. It wires them, and takes everything down in
// the order in which nothing waits for what is gone.
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
  App(const Flags& flags, const DescriptorShares& descriptors, EnvLookup env, FileSystem& files);

  // Start, step by step.
  absl::Status OpenAccess();
  absl::Status OpenResources();
  void StartSpooling();
  void StartStorage();
  absl::Status StartDiscovery();
  void StartConfiguration();
  void StartServices();
  absl::Status StartHttp();
  absl::Status StartRpc(ListenSockets sockets);
  void CollectMetrics();
  void RefreshAccess();
  void GiveMemoryBack();

  EarlierLanes::Callbacks TellSinks();
  SinkFlags MakeSinkFlags() const;
  status::v1::GetBuildInfoResponse MakeBuildInfo() const;
  StatusService::Deps StatusServiceDeps();

  void Drain();

  // Constant after Start.
  const Flags flags_;
  const DescriptorShares descriptors_;
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
  std::atomic<bool> ready_{false};
  std::unique_ptr<AccessFiles> access_;

  EpollLoop main_loop_;
  std::unique_ptr<OsSignals> signals_;

  // From storage up to discovery: each uses those above it, and goes before them.
  std::unique_ptr<Spooling> spooling_;  // null: records are in memory
  std::unique_ptr<ShardThreads> shards_;
  std::unique_ptr<Sinks> sinks_;
  std::unique_ptr<StorageView> storage_;
  std::unique_ptr<LoopThread> manager_thread_;
  std::unique_ptr<ScrapeManager> manager_;
  std::unique_ptr<DiscoveryThread> discovery_;
  std::unique_ptr<PushJobs> push_jobs_;
  std::unique_ptr<ConfigApplier> applier_;
  std::unique_ptr<ConfigReloads> reloads_;

  std::unique_ptr<DiscoveryService> discovery_service_;
  std::unique_ptr<TargetInspector> inspector_;
  std::unique_ptr<LoopThread> watch_thread_;
  std::unique_ptr<LoopThread> plan_thread_;
  std::unique_ptr<TargetWatches> watches_;
  std::unique_ptr<StatusService> status_service_;
  std::unique_ptr<GuardedStatusService> guarded_status_;
  std::unique_ptr<ReflectionService> reflection_;
  std::unique_ptr<RpcServer> rpc_;
  std::unique_ptr<HttpServer> http_;
};

}  // namespace trawl

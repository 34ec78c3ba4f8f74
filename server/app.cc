#include "server/app.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "server/await.h"
#include "server/heap_trim.h"
#include "server/host.h"
#include "server/proto_conversions.h"
#include "server/version.h"

namespace trawl {
namespace {

// Drain's steps, together under 10 s.
constexpr absl::Duration kScrapesGrace = absl::Seconds(1);
constexpr absl::Duration kLanesGrace = absl::Seconds(5);
constexpr absl::Duration kCallsGrace = absl::Milliseconds(500);
constexpr absl::Duration kStoresGrace = absl::Seconds(2);

// Files that say who may do what are read again so often.
constexpr absl::Duration kAccessRefresh = absl::Seconds(2);

// More than this that the heap holds and nobody uses goes back to the system.
constexpr size_t kMaxUnusedHeap = size_t{64} << 20;
constexpr absl::Duration kHeapLook = absl::Seconds(10);

Metrics::Options MetricsOptions() {
  return {.version = GetBuildInfo().version, .revision = GetBuildInfo().revision};
}

std::vector<std::string> ServiceNames() {
  return {discovery::v1::DiscoveryService::service_full_name(),
          status::v1::StatusService::service_full_name()};
}

}  // namespace

// ---- Start

absl::StatusOr<std::unique_ptr<App>> App::Start(const Flags& flags, EnvLookup env,
                                                FileSystem& files) {
  CurlHttpClientFactory clients;
  LoadOptions load;
  load.env = env;
  load.check_client = CheckBy(clients);
  ASSIGN_OR_RETURN(const LoadedConfig loaded,
                   LoadConfigFiles(files, {flags.config_file, flags.trawl_config}, load));
  const size_t sinks = loaded.config->remote_writes.size() + 1;
  ASSIGN_OR_RETURN(const DescriptorShares descriptors,
                   ShareDescriptors(RaiseDescriptorLimit(), OpenDescriptors(), flags, sinks));
  std::unique_ptr<App> app(new App(flags, descriptors, std::move(env), files));

  ASSIGN_OR_RETURN(ListenSockets rpc_sockets, ListenSockets::Open(flags.grpc_listen));
  // The HTTP server binds for itself, later; a port that is taken is told before anything starts.
  RETURN_IF_ERROR(ListenSockets::Open(flags.web_listen).status());
  RETURN_IF_ERROR(app->OpenAccess());
  RETURN_IF_ERROR(app->OpenResources());
  LogInfo("Starting trawl", {{"version", GetBuildInfo().version},
                             {"revision", GetBuildInfo().revision},
                             {"build", GetBuildInfo().kind}});
  app->StartSpooling();
  app->StartStorage();
  RETURN_IF_ERROR(app->StartDiscovery());
  app->StartConfiguration();
  app->StartServices();
  RETURN_IF_ERROR(app->StartHttp());
  RETURN_IF_ERROR(app->StartRpc(std::move(rpc_sockets)));
  app->CollectMetrics();
  app->signals_ = std::make_unique<OsSignals>(
      app->main_loop_,
      OsSignals::Callbacks{.reload = [&app = *app] { app.reloads_->Reload([](const auto&) {}); },
                           .stop = [&loop = app->main_loop_] { loop.Stop(); }});
  app->RefreshAccess();
  app->GiveMemoryBack();
  RETURN_IF_ERROR(app->reloads_->Start(loaded));
  app->ready_.store(true);
  app->rpc_->SetServing(true);
  LogInfo("Server is ready to receive web requests.");
  return app;
}

App::App(const Flags& flags, const DescriptorShares& descriptors, EnvLookup env, FileSystem& files)
    : flags_(flags),
      descriptors_(descriptors),
      env_(std::move(env)),
      files_(files),
      start_time_(clock_.Now()),
      hostname_(Hostname()),
      metrics_(MetricsOptions()),
      main_loop_(clock_) {}

absl::Status App::OpenResources() {
  ASSIGN_OR_RETURN(data_, OpenDataDirectory(files_, flags_.data_dir, clock_.Now()));
  budget_ = std::make_unique<DescriptorBudget>(descriptors_.targets, descriptors_.cells);
  metrics_.fetch().max_descriptors.Set(static_cast<double>(descriptors_.targets));
  if (descriptors_.max_grpc_connections < flags_.max_grpc_connections ||
      descriptors_.max_web_connections < flags_.max_web_connections) {
    LogWarn("The limit of open files allows fewer connections than the flags do",
            {{"targets", descriptors_.targets},
             {"grpc", descriptors_.max_grpc_connections},
             {"web", descriptors_.max_web_connections}});
  }
  return absl::OkStatus();
}

absl::Status App::OpenAccess() {
  ASSIGN_OR_RETURN(access_, AccessFiles::Open({.rules = flags_.access,
                                               .rpc_tls = flags_.grpc_tls,
                                               .token_file = flags_.grpc_token_file,
                                               .web_config_file = flags_.web_config_file},
                                              {files_, metrics_.server()}));
  return absl::OkStatus();
}

void App::RefreshAccess() {
  access_->Refresh();
  main_loop_.RunAfter(kAccessRefresh, [this] { RefreshAccess(); });
}

void App::GiveMemoryBack() {
  TrimHeap(kMaxUnusedHeap);
  main_loop_.RunAfter(kHeapLook, [this] { GiveMemoryBack(); });
}

void App::StartSpooling() {
  if (flags_.spool.in_memory) return;
  spooling_ =
      std::make_unique<Spooling>(Spooling::Options{.directory = absl::StrCat(data_.path, "/spool"),
                                                   .writer_id = data_.writer_id,
                                                   .epoch = data_.epoch,
                                                   .lanes = ShardCount(flags_),
                                                   .max_bytes = flags_.spool.max_bytes,
                                                   .max_age = flags_.spool.max_age,
                                                   .sync_interval = flags_.spool.sync_interval,
                                                   .max_memory_bytes = flags_.max_queue_bytes},
                                 Spooling::Deps{clock_, files_});
}

EarlierLanes::Callbacks App::TellSinks() {
  return {.drained =
              [this](const std::string& sink, const EpochLane& lane) {
                main_loop_.Post([this, sink, lane] { sinks_->OnDrained(sink, lane); });
              },
          .newest_first =
              [this](const std::string& sink) {
                main_loop_.Post([this, sink] { sinks_->OnNewestFirst(sink); });
              }};
}

void App::StartStorage() {
  ShardThreads::Options options;
  options.count = ShardCount(flags_);
  options.identity = {.writer_id = data_.writer_id,
                      .incarnation = data_.epoch,
                      .epoch = data_.epoch,
                      .lane = 0,
                      .version = GetBuildInfo().version};
  options.max_inflight_bytes = flags_.max_inflight_bytes;
  options.max_queue_bytes = flags_.max_queue_bytes;
  shards_ = std::make_unique<ShardThreads>(
      options,
      ShardThread::Deps{clock_, *budget_, metrics_.scrape(), TellSinks(), spooling_.get()});
  sinks_ = std::make_unique<Sinks>(
      Sinks::Options{
          .data_dir = data_.path, .version = GetBuildInfo().version, .epoch = data_.epoch},
      Sinks::Deps{clock_, main_loop_, files_, shards_->threads(), metrics_.append(),
                  shards_->OpenEarlierLogs()});
  storage_ = std::make_unique<StorageView>(
      StorageView::Options{.epoch = data_.epoch, .max_queue_bytes = flags_.max_queue_bytes},
      StorageView::Deps{.shards = *shards_,
                        .sinks = *sinks_,
                        .spooling = spooling_.get(),
                        .metrics = metrics_,
                        .pools = [this] { return manager_->Snapshot(); }});
  metrics_.append().queue_limit_bytes.Set(static_cast<double>(flags_.max_queue_bytes));
}

absl::Status App::StartDiscovery() {
  manager_thread_ = std::make_unique<LoopThread>(clock_, "manager");
  ScrapeManager::Options options;
  options.fqdn = hostname_;
  options.stop_grace = kScrapesGrace;
  options.max_probes = flags_.max_scrape_now;
  manager_ = std::make_unique<ScrapeManager>(
      options,
      ScrapeManager::Deps{manager_thread_->loop(), shards_->shards(), clients_, metrics_.scrape()});

  const auto reconcile = [this](std::shared_ptr<const DesiredTargets> targets,
                                absl::AnyInvocable<void()> done) {
    manager_->SetTargets(std::move(targets), std::move(done));
  };
  ASSIGN_OR_RETURN(discovery_,
                   DiscoveryThread::Start({.directory = absl::StrCat(data_.path, "/discovery"),
                                           .discovery = flags_.discovery},
                                          {clock_, files_, metrics_.discovery(), reconcile}));
  return absl::OkStatus();
}

void App::StartConfiguration() {
  push_jobs_ =
      std::make_unique<PushJobs>(PushJobs::Deps{discovery_->discovery(), metrics_.discovery()});
  applier_ = std::make_unique<ConfigApplier>(
      MakeSinkFlags(), ConfigApplier::Deps{.sinks = *sinks_,
                                           .shards = *shards_,
                                           .manager = *manager_,
                                           .discovery = discovery_->discovery(),
                                           .sources = discovery_->sources(),
                                           .push_jobs = *push_jobs_});
  plan_thread_ = std::make_unique<LoopThread>(clock_, "plan");
  reloads_ = std::make_unique<ConfigReloads>(
      ConfigReloads::Options{
          .planner = {flags_.config_file, flags_.trawl_config, MakeSinkFlags(), env_},
          .max_plans = flags_.max_plans},
      ConfigReloads::Deps{
          .loop = main_loop_,
          .plan_loop = plan_thread_->loop(),
          .clock = clock_,
          .files = files_,
          .clients = clients_,
          .pools = [this] { return manager_->Snapshot(); },
          .accept = [this](const Config& config) { return applier_->Accept(config); },
          .apply = [this](const LoadedConfig& next) { return applier_->Apply(next); },
          .metrics = metrics_.server()});
}

SinkFlags App::MakeSinkFlags() const {
  return {.storage_address = flags_.storage_address,
          .embedded_path = flags_.embedded_path,
          .default_embedded_path = absl::StrCat(data_.path, "/samples.db")};
}

void App::StartServices() {
  discovery_service_ = std::make_unique<DiscoveryService>(
      DiscoveryService::Options{},
      DiscoveryService::Deps{.discovery = discovery_->discovery(),
                             .pools = [this] { return manager_->Snapshot(); },
                             .external_labels = [this] { return *applier_->external_labels(); },
                             .access = access_->control()});
  inspector_ = std::make_unique<TargetInspector>(*manager_);
  watch_thread_ = std::make_unique<LoopThread>(clock_, "watch");
  watches_ = std::make_unique<TargetWatches>(
      TargetWatches::Options{.max_watchers = flags_.max_watchers,
                             .watch = {.max_silence = flags_.max_watcher_silence}},
      TargetWatches::Deps{.loop = watch_thread_->loop(),
                          .pools = [this] { return manager_->Snapshot(); },
                          .lanes = [this] { return storage_->Lanes(); },
                          .metrics = metrics_.server(),
                          .access = access_->control()});
  status_service_ = std::make_unique<StatusService>(
      StatusService::Options{.build_info = MakeBuildInfo(),
                             .max_queue_bytes = flags_.max_queue_bytes},
      StatusServiceDeps());
  guarded_status_ = std::make_unique<GuardedStatusService>(access_->control(), *status_service_);
  std::vector<std::string> names = ServiceNames();
  names.push_back(ReflectionService::HealthServiceName());
  reflection_ = std::make_unique<ReflectionService>(std::move(names));
}

StatusService::Deps App::StatusServiceDeps() {
  return {.pools = [this] { return manager_->Snapshot(); },
          .reload = [this](auto done) { reloads_->Reload(std::move(done)); },
          .plan =
              [this](auto request, auto done, auto gone) {
                reloads_->Plan(std::move(request), std::move(done), std::move(gone));
              },
          .sinks = [this] { return storage_->SinkDescriptions(); },
          .lanes = [this] { return storage_->Lanes(); },
          .spool = [this] { return storage_->DescribeSpool(); },
          .skip =
              [this](const auto& request, auto done) {
                main_loop_.Post([this, request, done = std::move(done)]() mutable {
                  done(storage_->SkipRecord(request));
                });
              },
          .inspector = *inspector_,
          .config = [this](const auto& request) { return reloads_->Show(request); },
          .watches = *watches_};
}

absl::Status App::StartHttp() {
  HttpServer::Options options;
  options.address = flags_.web_listen;
  options.hostname = hostname_;
  options.enable_lifecycle = flags_.enable_lifecycle;
  options.enable_admin_api = flags_.enable_admin_api;
  options.max_connections = descriptors_.max_web_connections;
  options.max_wait = flags_.web_read_timeout;
  HttpServer::Deps deps{
      .clock = clock_,
      .metrics = metrics_,
      .pools = [this] { return manager_->Snapshot(); },
      .lanes = [this] { return storage_->Lanes(); },
      .config = [this](const auto& request) { return reloads_->Show(request); },
      .ready = [this] { return ready_.load(); },
      .reload =
          [this](absl::AnyInvocable<void(absl::Status)> done) {
            reloads_->Reload(
                [done = std::move(done)](const auto& result) mutable { done(result.status()); });
          },
      .quit = [this] { main_loop_.Stop(); },
      .guard = &access_->web_guard(),
      .inspector = inspector_.get()};
  ASSIGN_OR_RETURN(http_, HttpServer::Start(options, std::move(deps)));
  return absl::OkStatus();
}

absl::Status App::StartRpc(ListenSockets sockets) {
  RpcServer::Options options;
  options.credentials = access_->MakeRpcCredentials();
  options.max_connections = descriptors_.max_grpc_connections;
  options.on_refused = [this] { metrics_.server().grpc_connections_refused_total.Increment(); };
  options.max_resets = flags_.max_grpc_resets;
  options.health_services = ServiceNames();
  options.on_flood = [this] { metrics_.server().grpc_connections_reset_total.Increment(); };
  // What is a little too large is refused by the service, which counts it.
  options.max_message_bytes =
      static_cast<int>(std::min<uint64_t>(flags_.discovery.max_request_bytes + (8 << 20), 1 << 30));
  ASSIGN_OR_RETURN(rpc_, RpcServer::Start(options, std::move(sockets),
                                          {discovery_service_.get(), guarded_status_.get(),
                                           &reflection_->v1(), &reflection_->v1alpha()}));
  LogInfo("Listening",
          {{"component", "grpc"},
           {"address", ListenAddress{flags_.grpc_listen.host, rpc_->port()}.ToString()}});
  LogInfo("Listening",
          {{"component", "web"},
           {"address", ListenAddress{flags_.web_listen.host, http_->port()}.ToString()}});
  return absl::OkStatus();
}

status::v1::GetBuildInfoResponse App::MakeBuildInfo() const {
  status::v1::GetBuildInfoResponse out;
  out.set_version(GetBuildInfo().version);
  out.set_revision(GetBuildInfo().revision);
  out.set_build_kind(GetBuildInfo().kind);
  out.set_compiler(GetBuildInfo().compiler);
  SetTime(start_time_, out.mutable_start_time());
  out.set_writer_id(data_.writer_id);
  out.set_epoch(data_.epoch);
  out.set_shards(ShardCount(flags_));
  return out;
}

void App::CollectMetrics() {
  metrics_.OnCollect([this] {
    storage_->Collect();
    push_jobs_->Count();
    shards_->Collect(metrics_.fetch());
    metrics_.fetch().open_descriptors.Set(static_cast<double>(budget_->used()));
    metrics_.server().grpc_connections.Set(static_cast<double>(rpc_->connections()));
  });
}

// ---- The end

void App::Run() {
  main_loop_.Run();
  Drain();
}

void App::Drain() {
  ready_.store(false);
  reloads_->Close();
  rpc_->SetServing(false);
  LogInfo("Stopping scrapes...");
  discovery_->CloseStreams();
  Awaited<bool> stopped;
  manager_->Stop([stopped] { stopped.Set(true); });
  stopped.Wait();
  if (!shards_->Drain(kLanesGrace)) LogWarn("Some samples did not reach every sink before the end");
  watches_->Close();
  rpc_->Shutdown(kCallsGrace);
  http_->Stop();
  sinks_->Shutdown(kStoresGrace);
  LogInfo("See you next time!");
}

// Also of an app that was half started.
App::~App() {
  if (reloads_ != nullptr) reloads_->Close();
  http_.reset();
  rpc_.reset();
  if (plan_thread_ != nullptr) plan_thread_->Shutdown();
  if (watch_thread_ != nullptr) {
    RunOn(watch_thread_->loop(), [] {});  // what the last calls left there
    watch_thread_->Shutdown();
  }
  if (discovery_ != nullptr) discovery_->Shutdown();
  if (manager_thread_ != nullptr) manager_thread_->Shutdown();
  if (sinks_ != nullptr) sinks_->Shutdown(absl::ZeroDuration());
  if (shards_ != nullptr) shards_->Shutdown();
  manager_.reset();
}

}  // namespace trawl

#include "server/app.h"

#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "server/await.h"
#include "server/heap_trim.h"
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
constexpr absl::Duration kAccessRefresh = absl::Seconds(5);

// More than this that the heap holds and nobody uses goes back to the system.
constexpr size_t kMaxUnusedHeap = size_t{64} << 20;
constexpr absl::Duration kHeapLook = absl::Seconds(10);

// As many descriptors as the system lets us have.
void RaiseDescriptorLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    LogWarn("Can't raise the limit of open files", {{"err", std::strerror(errno)}});
  }
}

// For the servers, the data directory and the stores.
int64_t DescriptorReserve() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 256;
  return std::min<int64_t>(512, static_cast<int64_t>(limit.rlim_cur / 4));
}

std::string Hostname() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0) return "localhost";
  return name;
}

uint32_t ShardCount(const Flags& flags) {
  return flags.shards != 0 ? flags.shards : std::max(1u, std::thread::hardware_concurrency());
}

Metrics::Options MetricsOptions() {
  return {.version = GetBuildInfo().version, .revision = GetBuildInfo().revision};
}

}  // namespace

// ---- Start

absl::StatusOr<std::unique_ptr<App>> App::Start(const Flags& flags, EnvLookup env,
                                                FileSystem& files) {
  std::unique_ptr<App> app(new App(flags, std::move(env), files));
  absl::StatusOr<LoadedConfig> loaded =
      LoadConfigFiles(app->files_, flags.config_file, flags.trawl_config, app->env_);
  RETURN_IF_ERROR(loaded.status());

  ASSIGN_OR_RETURN(ListenSockets rpc_sockets, ListenSockets::Open(flags.grpc_listen));
  // The HTTP server binds for itself, later; a port that is taken is told before anything starts.
  RETURN_IF_ERROR(ListenSockets::Open(flags.web_listen).status());
  RETURN_IF_ERROR(app->OpenAccess());
  RETURN_IF_ERROR(app->OpenResources());
  LogInfo("Starting trawl", {{"version", GetBuildInfo().version},
                             {"revision", GetBuildInfo().revision},
                             {"build", GetBuildInfo().kind}});
  app->StartShards();
  RETURN_IF_ERROR(app->StartDiscovery());
  RETURN_IF_ERROR(app->StartServers(std::move(rpc_sockets)));
  app->CollectMetrics();
  app->WatchSignals();
  app->RefreshAccess();
  app->GiveMemoryBack();

  LogInfo("Loading configuration file", {{"filename", flags.config_file}});
  const absl::Duration begin = app->clock_.Steady();
  for (const ConfigWarning& warning : loaded->warnings) {
    LogWarn("Configuration", {{"warning", warning.ToString()}});
  }
  RETURN_IF_ERROR(app->Apply(*loaded));
  LogInfo("Completed loading of configuration file",
          {{"filename", flags.config_file}, {"totalDuration", app->clock_.Steady() - begin}});
  app->ready_.store(true);
  app->rpc_->SetServing(true);
  LogInfo("Server is ready to receive web requests.");
  return app;
}

App::App(const Flags& flags, EnvLookup env, FileSystem& files)
    : flags_(flags),
      env_(std::move(env)),
      files_(files),
      start_time_(clock_.Now()),
      hostname_(Hostname()),
      metrics_(MetricsOptions()),
      main_loop_(clock_) {}

absl::Status App::OpenResources() {
  ASSIGN_OR_RETURN(data_, OpenDataDirectory(files_, flags_.data_dir, clock_.Now()));
  RaiseDescriptorLimit();
  budget_ =
      std::make_unique<DescriptorBudget>(DescriptorBudget::LimitOfProcess(DescriptorReserve()));
  return absl::OkStatus();
}

absl::Status App::OpenAccess() {
  RETURN_IF_ERROR(MakeRpcCredentials(flags_.grpc_tls).status());
  if (!flags_.grpc_token_file.empty()) {
    ASSIGN_OR_RETURN(tokens_, TokenFile::Open(files_, flags_.grpc_token_file));
  }
  // With tokens, or certificates that may be left out, there are callers that prove nothing.
  access_ = std::make_unique<AccessControl>(AccessPolicy(flags_.access, tokens_ != nullptr),
                                            tokens_.get());
  ASSIGN_OR_RETURN(web_guard_, WebGuard::Open(files_, flags_.web_config_file));
  return absl::OkStatus();
}

// Files of the access rules change while trawld runs.
void App::RefreshAccess() {
  if (tokens_ != nullptr) tokens_->Refresh();
  web_guard_->Refresh();
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

// Lane k is drained by shard k mod shards.
std::vector<EpochLane> App::OpenEarlierLogs() {
  std::vector<EpochLane> opened;
  if (spooling_ == nullptr) return opened;
  const absl::StatusOr<std::vector<StoredLane>> stored = spooling_->Earlier();
  if (!stored.ok()) LogError("The spool can't be listed", {{"err", stored.status()}});
  for (const StoredLane& lane : stored.ok() ? *stored : std::vector<StoredLane>()) {
    ShardThread& shard = *shards_[lane.lane % shards_.size()];
    RunOn(shard.loop(), [&] {
      absl::StatusOr<std::unique_ptr<StoredLog>> log = spooling_->OpenEarlier(lane, shard.loop());
      if (!log.ok()) {
        LogError("A spool of an earlier run can't be opened; the next start tries again",
                 {{"directory", lane.directory}, {"err", log.status()}});
        return;
      }
      LogInfo("Draining the spool of an earlier run", {{"epoch", lane.epoch},
                                                       {"lane", lane.lane},
                                                       {"from", (*log)->first_number()},
                                                       {"to", (*log)->next_number() - 1},
                                                       {"bytes", (*log)->total_bytes()}});
      StoredLog* const source = log->get();
      opened.push_back(EpochLane{lane.epoch, lane.lane});
      shard.earlier().AddLog(opened.back(), *std::move(log),
                             [source] { source->RemoveDirectory(); });
    });
  }
  return opened;
}

void App::StartShards() {
  StartSpooling();
  const uint32_t count = ShardCount(flags_);
  ShardThread::Options options;
  options.hash_key = HashKey::Random();
  options.fetcher.user_agent = absl::StrCat("trawl/", GetBuildInfo().version);
  options.max_body_bytes = std::max<uint64_t>(1, flags_.max_inflight_bytes / count);
  options.log.max_bytes = std::max<size_t>(1, flags_.max_queue_bytes / count);
  options.lane.max_segment_bytes =
      std::min(options.lane.max_segment_bytes, std::max<size_t>(1, options.log.max_bytes / 16));
  if (spooling_ != nullptr) {
    options.lane.max_segment_bytes = Lane::SegmentBytes(spooling_->lane_bytes());
  }
  options.lane.identity = {.writer_id = data_.writer_id,
                           .incarnation = data_.epoch,
                           .epoch = data_.epoch,
                           .lane = 0,
                           .version = GetBuildInfo().version};
  const EarlierLanes::Callbacks earlier{
      .drained =
          [this](const std::string& sink, const EpochLane& lane) {
            main_loop_.Post([this, sink, lane] { sinks_->OnDrained(sink, lane); });
          },
      .newest_first =
          [this](const std::string& sink) {
            main_loop_.Post([this, sink] { sinks_->OnNewestFirst(sink); });
          }};
  std::vector<ShardThread*> shards;
  for (uint32_t number = 0; number < count; ++number) {
    options.number = number;
    options.lane.identity.lane = number;
    shards_.push_back(std::make_unique<ShardThread>(
        options, ShardThread::Deps{clock_, *budget_, metrics_.scrape(), earlier, spooling_.get()}));
    shards.push_back(shards_.back().get());
  }
  sinks_ = std::make_unique<Sinks>(
      Sinks::Options{
          .data_dir = data_.path, .version = GetBuildInfo().version, .epoch = data_.epoch},
      Sinks::Deps{clock_, files_, shards, metrics_.append(), OpenEarlierLogs()});
  metrics_.append().queue_limit_bytes.Set(static_cast<double>(flags_.max_queue_bytes));
}

absl::Status App::StartDiscovery() {
  std::vector<Shard*> shards;
  for (const auto& shard : shards_) shards.push_back(&shard->shard());
  manager_thread_ = std::make_unique<LoopThread>(clock_, "manager");
  ScrapeManager::Options options;
  options.fqdn = hostname_;
  options.stop_grace = kScrapesGrace;
  options.max_probes = flags_.max_scrape_now;
  manager_ = std::make_unique<ScrapeManager>(
      options, ScrapeManager::Deps{manager_thread_->loop(), shards, clients_, metrics_.scrape()});

  state_store_ = std::make_unique<StateStore>(
      StateStore::Options{.directory = absl::StrCat(data_.path, "/discovery")},
      StateStore::Deps{files_, metrics_.discovery()});
  ASSIGN_OR_RETURN(std::vector<RestoredSource> restored, state_store_->Recover());
  LogInfo("Discovery state restored", {{"sources", restored.size()}});
  state_thread_ = std::make_unique<LoopThread>(clock_, "state");
  EpollLoop& loop = state_thread_->loop();
  const auto reconcile = [this](std::shared_ptr<const DesiredTargets> targets,
                                absl::AnyInvocable<void()> done) {
    manager_->SetTargets(std::move(targets), std::move(done));
  };
  RunOn(loop, [&] {
    discovery_ = std::make_unique<Discovery>(
        flags_.discovery,
        Discovery::Deps{loop, reconcile, metrics_.discovery(), state_store_.get()});
    discovery_->Restore(std::move(restored), state_store_->last_running());
    config_sources_ = std::make_unique<ConfigSources>(
        ConfigSources::Deps{loop, loop, files_, *discovery_, metrics_.discovery()});
  });
  return absl::OkStatus();
}

absl::Status App::StartServers(ListenSockets rpc_sockets) {
  const auto pools = [this] { return manager_->Snapshot(); };
  const auto reload = [this](StatusService::ReloadCallback done) {
    if (reloads_.Add(std::move(done))) main_loop_.Post([this] { RunReloads(); });
  };
  const auto plan = [this](status::v1::PlanConfigRequest request,
                           StatusService::PlanCallback done) {
    const bool first = plans_.Add({std::move(request), std::move(done)});
    if (first) main_loop_.Post([this] { RunPlans(); });
  };
  planner_ = std::make_unique<ConfigPlanner>(
      ConfigPlanner::Options{flags_.config_file, flags_.trawl_config, MakeSinkFlags(), env_},
      ConfigPlanner::Deps{files_, clients_});
  discovery_service_ = std::make_unique<DiscoveryService>(
      DiscoveryService::Options{},
      DiscoveryService::Deps{.discovery = *discovery_,
                             .pools = pools,
                             .external_labels = [this] { return *external_labels_.Get(); },
                             .access = *access_});
  inspector_ = std::make_unique<TargetInspector>(*manager_);
  const auto config = [this](const status::v1::GetConfigRequest& request) {
    return trawl::ShowConfig(*shown_config_.Get(), request);
  };
  watch_thread_ = std::make_unique<LoopThread>(clock_, "watch");
  watches_ = std::make_unique<TargetWatches>(
      TargetWatches::Options{.max_watchers = flags_.max_watchers, .watch = {}},
      TargetWatches::Deps{watch_thread_->loop(), pools, metrics_.server()});
  status_service_ = std::make_unique<StatusService>(
      StatusService::Options{.build_info = MakeBuildInfo(),
                             .max_queue_bytes = flags_.max_queue_bytes},
      StatusService::Deps{.pools = pools,
                          .reload = reload,
                          .plan = plan,
                          .sinks = [this] { return sinks_->Descriptions(); },
                          .lanes = [this] { return LaneStatuses(); },
                          .spool = [this] { return DescribeSpool(); },
                          .skip =
                              [this](const status::v1::SkipRecordRequest& request,
                                     StatusService::SkipCallback done) {
                                main_loop_.Post([this, request, done = std::move(done)]() mutable {
                                  done(SkipRecord(request));
                                });
                              },
                          .inspector = *inspector_,
                          .config = config,
                          .watches = *watches_});
  guarded_status_ = std::make_unique<GuardedStatusService>(*access_, *status_service_);
  reflection_ = std::make_unique<ReflectionService>(std::vector<std::string>{
      discovery::v1::DiscoveryService::service_full_name(),
      status::v1::StatusService::service_full_name(), ReflectionService::HealthServiceName()});
  HttpServer::Options http;
  http.address = flags_.web_listen;
  http.hostname = hostname_;
  http.enable_lifecycle = flags_.enable_lifecycle;
  http.enable_admin_api = flags_.enable_admin_api;
  http.max_connections = flags_.max_web_connections;
  HttpServer::Deps http_deps{
      .clock = clock_,
      .metrics = metrics_,
      .pools = pools,
      .config = config,
      .ready = [this] { return ready_.load(); },
      .reload =
          [reload](absl::AnyInvocable<void(absl::Status)> done) {
            reload([done = std::move(done)](
                       const absl::StatusOr<status::v1::ReloadConfigResponse>& result) mutable {
              done(result.status());
            });
          },
      .quit = [this] { main_loop_.Stop(); },
      .guard = web_guard_.get(),
      .inspector = inspector_.get()};
  ASSIGN_OR_RETURN(http_, HttpServer::Start(http, std::move(http_deps)));
  RpcServer::Options rpc;
  ASSIGN_OR_RETURN(rpc.credentials, MakeRpcCredentials(flags_.grpc_tls));
  rpc.max_connections = flags_.max_grpc_connections;
  rpc.on_refused = [this] { metrics_.server().grpc_connections_refused_total.Increment(); };
  // What is a little too large is refused by the service, which counts it.
  rpc.max_message_bytes =
      static_cast<int>(std::min<uint64_t>(flags_.discovery.max_request_bytes + (8 << 20), 1 << 30));
  ASSIGN_OR_RETURN(rpc_, RpcServer::Start(rpc, std::move(rpc_sockets),
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
  out.set_shards(static_cast<uint32_t>(shards_.size()));
  return out;
}

void App::CollectMetrics() {
  append_collector_ = std::make_unique<AppendCollector>(metrics_.append());
  metrics_.OnCollect([this] {
    append_collector_->Collect(LaneStatuses(), FailingSinks());
    if (spooling_ != nullptr) spooling_->Collect(SpoolStatuses(), metrics_.spool());
    CountJobsWithoutSource();
    CollectFetching();
    metrics_.server().grpc_connections.Set(static_cast<double>(rpc_->connections()));
  });
}

void App::CollectFetching() {
  uint64_t bytes = 0;
  uint64_t waits = 0;
  for (const auto& shard : shards_) {
    bytes += shard->bodies().used_bytes();
    waits += shard->bodies().waits();
  }
  FetchMetrics& metrics = metrics_.fetch();
  metrics.inflight_bytes.Set(static_cast<double>(bytes));
  metrics.body_waits_total.Increment(static_cast<double>(waits) - metrics.body_waits_total.Value());
  metrics.open_descriptors.Set(static_cast<double>(budget_->used()));
}

std::set<std::string> App::FailingSinks() const {
  std::set<std::string> out;
  for (const SinkDescription& sink : sinks_->Descriptions()) {
    if (sink.endpoint.failing) out.insert(sink.name);
  }
  return out;
}

std::vector<std::shared_ptr<const LaneStatus>> App::LaneStatuses() const {
  std::vector<std::shared_ptr<const LaneStatus>> out;
  for (const auto& shard : shards_) out.push_back(shard->lane().status());
  for (const auto& shard : shards_) {
    const auto earlier = shard->earlier().status();
    for (const LaneStatus& lane : *earlier) out.emplace_back(earlier, &lane);
  }
  return out;
}

std::vector<std::shared_ptr<const SpoolStatus>> App::SpoolStatuses() const {
  std::vector<std::shared_ptr<const SpoolStatus>> out;
  if (spooling_ == nullptr) return out;
  for (const auto& shard : shards_) out.push_back(shard->spool_status());
  return out;
}

status::v1::Spool App::DescribeSpool() const {
  status::v1::Spool out;
  uint64_t bytes = 0;
  for (const auto& lane : LaneStatuses()) bytes += lane->log_bytes;
  out.set_bytes(bytes);
  out.set_state(spooling_ == nullptr ? status::v1::Spool::MEMORY : status::v1::Spool::OK);
  out.set_max_bytes(spooling_ == nullptr ? flags_.max_queue_bytes : spooling_->max_bytes());
  absl::Time oldest = absl::InfiniteFuture();
  for (const auto& spool : SpoolStatuses()) {
    oldest = std::min(oldest, spool->oldest);
    if (!spool->degraded) continue;
    out.set_state(status::v1::Spool::DEGRADED);
    out.set_error(std::string(spool->last_error.message()));
  }
  if (oldest != absl::InfiniteFuture()) SetTime(oldest, out.mutable_oldest());
  return out;
}

absl::StatusOr<status::v1::SkipRecordResponse> App::SkipRecord(
    const status::v1::SkipRecordRequest& request) {
  const EpochLane lane{request.epoch() != 0 ? request.epoch() : data_.epoch, request.lane()};
  status::v1::SkipRecordResponse response;
  for (const auto& status : LaneStatuses()) {
    if (status->epoch != lane.epoch || status->lane != lane.lane) continue;
    for (const SinkStatus& sink : status->sinks) {
      const bool told = sink.name == request.sink() && sink.stuck_number == request.number();
      if (told) response.set_target_labels(sink.stuck_target);
    }
  }
  ASSIGN_OR_RETURN(const uint64_t samples,
                   sinks_->SkipRecord(request.sink(), lane, request.number(), request.dry_run()));
  response.set_samples(samples);
  return response;
}

// ---- Signals and reloads

void App::WatchSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGHUP, SIGINT, SIGTERM}) sigaddset(&signals, signal);
  signal_fd_ = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  main_loop_.Watch(signal_fd_, FdWatcher::kReadable, [this](uint32_t) { OnSignal(); });
}

void App::OnSignal() {
  signalfd_siginfo info = {};
  while (read(signal_fd_, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGHUP) {
      if (reloads_.Add([](const auto&) {})) RunReloads();
    } else {
      LogInfo("Received an OS signal, exiting gracefully...",
              {{"signal", info.ssi_signo == SIGINT ? "interrupt" : "terminated"}});
      main_loop_.Stop();
    }
  }
}

void App::RunReloads() {
  std::vector<StatusService::ReloadCallback> waiting = reloads_.Take();
  if (waiting.empty()) return;
  const absl::StatusOr<status::v1::ReloadConfigResponse> result = Reload();
  if (result.ok()) {
    metrics_.server().ConfigLoaded(clock_.Now());
  } else {
    ShowConfig(std::string(result.status().message()));
    metrics_.server().ConfigFailed();
    LogError("Error reloading config", {{"err", result.status()}});
  }
  for (StatusService::ReloadCallback& done : waiting) done(result);
}

absl::StatusOr<status::v1::ReloadConfigResponse> App::Reload() {
  LogInfo("Loading configuration file", {{"filename", flags_.config_file}});
  const absl::Duration begin = clock_.Steady();
  absl::StatusOr<LoadedConfig> next =
      LoadConfigFiles(files_, flags_.config_file, flags_.trawl_config, env_);
  // The request was right, the files are not.
  if (!next.ok()) return absl::FailedPreconditionError(next.status().message());
  status::v1::ReloadConfigResponse response;
  for (status::v1::JobPlan& plan : planner_->PlanReload(running_, *next, *manager_->Snapshot())) {
    *response.add_jobs() = std::move(plan);
  }
  for (const ConfigWarning& warning : next->warnings) {
    LogWarn("Configuration", {{"warning", warning.ToString()}});
    *response.add_warnings() = ToProto(warning);
  }
  RETURN_IF_ERROR(Apply(*next));
  LogInfo("Completed loading of configuration file",
          {{"filename", flags_.config_file}, {"totalDuration", clock_.Steady() - begin}});
  return response;
}

void App::RunPlans() {
  for (PlanCall& call : plans_.Take()) {
    call.done(planner_->Plan(call.request, running_, *manager_->Snapshot()));
  }
}

SinkFlags App::MakeSinkFlags() const {
  return {.storage_address = flags_.storage_address,
          .embedded_path = flags_.embedded_path,
          .default_embedded_path = absl::StrCat(data_.path, "/samples.db")};
}

// A file with a certificate or a key that is missing must refuse the configuration as a whole, not
// one pool of it.
absl::Status App::CheckClients(const Config& config) {
  for (const ScrapeConfig& job : config.scrape_configs) {
    const absl::Status status = clients_.MakeClient(job.http).status();
    if (!status.ok()) return Annotate(status, absl::StrCat("job ", job.job_name));
  }
  return absl::OkStatus();
}

absl::Status App::Apply(const LoadedConfig& next) {
  RETURN_IF_ERROR(CheckClients(*next.config));
  RETURN_IF_ERROR(sinks_->Apply(DesiredSinks(MakeSinkFlags(), *next.config)));
  const Labels& external = next.config->global.external_labels;
  external_labels_.Set(std::make_shared<const Labels>(external));
  for (const auto& shard : shards_) {
    RunOn(shard->loop(), [&] { shard->lane().SetExternalLabels(external); });
  }

  Awaited<absl::Status> applied;
  manager_->ApplyConfig(next.config, next.trawl_config,
                        [applied](absl::Status status) { applied.Set(std::move(status)); });
  absl::Status status = applied.Wait();
  running_ = next;
  loaded_ = clock_.Now();
  ShowConfig(std::string(status.message()));
  std::vector<std::string> jobs;
  for (const ScrapeConfig& job : next.config->scrape_configs) jobs.push_back(job.job_name);
  Awaited<bool> known;
  discovery_->SetKnownJobsAsync(std::move(jobs), [known] { known.Set(true); });
  known.Wait();
  Awaited<bool> told;
  config_sources_->ApplyAsync(next.config, [told] { told.Set(true); });
  told.Wait();
  SetPushJobs(*next.config);
  if (status.ok()) metrics_.server().ConfigLoaded(clock_.Now());
  return status;
}

void App::ShowConfig(std::string last_reload_error) {
  auto shown = std::make_shared<RunningConfig>();
  shown->files = running_;
  shown->has_trawl_config = !flags_.trawl_config.empty();
  shown->loaded = loaded_;
  shown->last_reload_error = std::move(last_reload_error);
  shown_config_.Set(std::move(shown));
}

void App::SetPushJobs(const Config& config) {
  auto jobs = std::make_shared<std::set<std::string>>();
  for (const ScrapeConfig& job : config.scrape_configs) {
    if (job.expects_push()) jobs->insert(job.job_name);
  }
  const auto push_jobs = push_jobs_.Get();  // stays while it is read
  for (const std::string& job : *push_jobs) {
    if (!jobs->contains(job)) metrics_.discovery().RemoveJob(job);
  }
  push_jobs_.Set(std::move(jobs));
  CountJobsWithoutSource();
}

// The gauges follow a moment later: discovery is asked on its own loop.
void App::CountJobsWithoutSource() {
  discovery_->ReadAsync([this, jobs = push_jobs_.Get()](const TargetSets& sets) {
    for (const std::string& job : *jobs) {
      const auto desired = sets.Desired(job);
      const bool pushed =
          std::any_of(desired->groups.begin(), desired->groups.end(), [](const OwnedGroup& group) {
            return group.source != "static" && group.source != "file";
          });
      metrics_.discovery().job_without_source.Set({job}, pushed ? 0 : 1);
    }
  });
}

// ---- The end

void App::Run() {
  main_loop_.Run();
  Drain();
}

void App::DrainLanes() {
  std::vector<Awaited<bool>> drained(shards_.size());
  for (size_t i = 0; i < shards_.size(); ++i) {
    Lane& lane = shards_[i]->lane();
    const Awaited<bool> done = drained[i];
    shards_[i]->loop().Post(
        [&lane, done] { lane.Drain(kLanesGrace, [done](bool all) { done.Set(all); }); });
  }
  bool all = true;
  for (const Awaited<bool>& done : drained) all &= done.Wait();
  if (!all) LogWarn("Some samples did not reach every sink before the end");
}

void App::Drain() {
  ready_.store(false);
  reloads_.Close();
  plans_.Close();
  rpc_->SetServing(false);
  LogInfo("Stopping scrapes...");
  Awaited<bool> goodbye;
  discovery_->ShutdownAsync([goodbye] { goodbye.Set(true); });
  goodbye.Wait();
  Awaited<bool> stopped;
  manager_->Stop([stopped] { stopped.Set(true); });
  stopped.Wait();
  DrainLanes();
  watches_->Close();
  rpc_->Shutdown(kCallsGrace);
  http_->Stop();
  sinks_->Shutdown(kStoresGrace);
  LogInfo("See you next time!");
}

// Also of an app that was half started.
App::~App() {
  reloads_.Close();
  plans_.Close();
  http_.reset();
  rpc_.reset();
  if (watch_thread_ != nullptr) {
    RunOn(watch_thread_->loop(), [] {});  // what the last calls left there
    watch_thread_->Shutdown();
  }
  if (state_thread_ != nullptr) {
    RunOn(state_thread_->loop(), [this] {
      config_sources_.reset();
      discovery_.reset();
    });
    state_thread_->Shutdown();
  }
  if (manager_thread_ != nullptr) manager_thread_->Shutdown();
  if (sinks_ != nullptr) sinks_->Shutdown(absl::ZeroDuration());
  for (const auto& shard : shards_) shard->Shutdown();
  manager_.reset();
  if (signal_fd_ >= 0) close(signal_fd_);
}

}  // namespace trawl

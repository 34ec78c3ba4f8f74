#include "server/sinks.h"

#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/append/grpc_append_stream.h"
#include "client/append/storage_channel.h"
#include "client/store/http_senders.h"
#include "client/store/remote_write_backend.h"
#include "client/store/sqlite/sqlite_backend.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "core/fetch/fetch_url.h"
#include "server/await.h"
#include "server/refused_streams.h"

namespace trawl {

// Destroyed in reverse: streams' factories, then their store.
struct Sinks::Sink {
  SinkSpec spec;
  // Of remote_write's endpoint; others have nothing to say here.
  std::shared_ptr<Published<EndpointCondition>> endpoint =
      std::make_shared<Published<EndpointCondition>>();
  // Likewise: how it is spoken to.
  std::shared_ptr<Published<HttpAccess>> access = std::make_shared<Published<HttpAccess>>();
  std::unique_ptr<EmbeddedStore> store;                         // null for a service elsewhere
  absl::Status unopened;                                        // why the store is null as well
  std::vector<std::unique_ptr<AppendStreamFactory>> factories;  // by shard
  DrainOrder order{{}};
};

namespace {

// A registry that can't be written is tried again so soon.
constexpr absl::Duration kSaveAgain = absl::Seconds(5);
// And a store that can't be opened.
constexpr absl::Duration kOpenAgain = absl::Seconds(5);

// Room may be made, and a disk may come back.
bool IsOfTheDisk(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsUnknown(status);
}

bool SameSink(const SinkSpec& a, const SinkSpec& b) { return a.name == b.name && a.kind == b.kind; }

// Its streams lead elsewhere. An endpoint of remote_write stands behind a store of ours, which
// stays.
bool Moved(const SinkSpec& from, const SinkSpec& to) {
  return from.address != to.address && to.kind != status::v1::Sink::REMOTE_WRITE;
}

// Null where there is nothing to say.
absl::StatusOr<std::shared_ptr<const HttpAccess>> MakeAccess(const SinkSpec& spec) {
  if (!spec.remote_write.has_value()) return nullptr;
  auto access =
      MakeHttpAccess(spec.address, spec.remote_write->http, spec.remote_write->remote_timeout);
  if (!access.ok()) return Annotate(access.status(), absl::StrCat("sink ", spec.name));
  return access;
}

std::string UniqueName(std::string name, std::set<std::string>& taken) {
  while (!taken.insert(name).second) name += "-remote";
  return name;
}

}  // namespace

std::vector<SinkSpec> DesiredSinks(const SinkFlags& flags, const Config& config) {
  std::vector<SinkSpec> specs;
  std::set<std::string> taken;
  if (!flags.storage_address.empty()) {
    specs.push_back({UniqueName("storage", taken), status::v1::Sink::STORAGE_SERVICE,
                     flags.storage_address, std::nullopt});
  }
  const bool alone = specs.empty() && config.remote_writes.empty();
  if (flags.embedded_path || alone) {
    specs.push_back({UniqueName("embedded", taken), status::v1::Sink::EMBEDDED,
                     flags.embedded_path.value_or(flags.default_embedded_path), std::nullopt});
  }
  for (const RemoteWriteConfig& remote : config.remote_writes) {
    specs.push_back(
        {UniqueName(remote.name, taken), status::v1::Sink::REMOTE_WRITE, remote.url, remote});
  }
  return specs;
}

std::string SinkSpec::Id() const {
  return absl::StrFormat("%016x", XxHash64(absl::StrCat(name, "\n", int{kind})));
}

Sinks::Sinks(Options options, Deps deps)
    : options_(std::move(options)),
      deps_(std::move(deps)),
      registry_(deps_.files, absl::StrCat(options_.data_dir, "/sinks")) {}

Sinks::~Sinks() { Shutdown(absl::ZeroDuration()); }

// What a change of the sinks comes to: all that can fail has been done, and nothing is changed yet.
struct Sinks::Plan {
  struct Change {
    Sink* sink;
    SinkSpec spec;
    std::shared_ptr<const HttpAccess> access;
    std::unique_ptr<Sink> place;  // null: where it was
  };
  std::vector<std::unique_ptr<Sink>> added;
  std::vector<Change> changed;
  std::set<const Sink*> kept;  // the changed ones, too
};

absl::Status Sinks::Apply(const std::vector<SinkSpec>& specs) {
  ASSIGN_OR_RETURN(Plan plan, MakePlan(specs));
  Commit(std::move(plan));
  return absl::OkStatus();
}

// Stores open last: they leave files behind.
absl::StatusOr<Sinks::Plan> Sinks::MakePlan(const std::vector<SinkSpec>& specs) {
  Plan plan;
  for (const SinkSpec& spec : specs) {
    const auto old = std::find_if(sinks_.begin(), sinks_.end(),
                                  [&](const auto& sink) { return SameSink(sink->spec, spec); });
    if (old != sinks_.end()) plan.kept.insert(old->get());
    if (old != sinks_.end() && (*old)->spec == spec) continue;
    ASSIGN_OR_RETURN(std::shared_ptr<const HttpAccess> access, MakeAccess(spec));
    if (old != sinks_.end()) {
      auto& change = plan.changed.emplace_back();
      change = {old->get(), spec, std::move(access), nullptr};
      if (!Moved((*old)->spec, spec)) continue;
      change.place = std::make_unique<Sink>();
      change.place->spec = spec;
      continue;
    }
    auto& sink = plan.added.emplace_back(std::make_unique<Sink>());
    sink->spec = spec;
    sink->access->Set(std::move(access));
  }
  for (const Plan::Change& change : plan.changed) {
    if (change.place != nullptr) RETURN_IF_ERROR(OpenStore(*change.place));
  }
  for (const auto& sink : plan.added) RETURN_IF_ERROR(OpenAddedStore(*sink));
  return plan;
}

void Sinks::Commit(Plan plan) {
  for (Plan::Change& change : plan.changed) {
    change.sink->spec = std::move(change.spec);
    change.sink->access->Set(std::move(change.access));
    if (change.place != nullptr) {
      MoveTo(*change.sink, *change.place);
    } else {
      StreamAnew(*change.sink);
    }
  }
  std::erase_if(sinks_, [&](const std::unique_ptr<Sink>& sink) {
    if (plan.kept.contains(sink.get())) return false;
    WarnOfBacklog(*sink);
    RemoveFromLanes(*sink);
    registry_.Remove(sink->spec.Id());
    deps_.metrics.RemoveSink(sink->spec.name);
    return true;
  });
  for (std::unique_ptr<Sink>& sink : plan.added) {
    MakeFactories(*sink);
    AddToLanes(*sink);
    sinks_.push_back(std::move(sink));
  }
  applied_ = true;
  OpenLater();
  KeepRegistry();
  for (ShardThread* shard : deps_.shards) {
    RunOn(shard->loop(), [shard] { shard->earlier().CloseUnwanted(); });
  }
  Publish();
}

absl::Status Sinks::OpenStore(Sink& sink) {
  const SinkSpec& spec = sink.spec;
  EmbeddedStore::Options options;
  options.thread_name = absl::StrCat("store-", next_thread_);
  options.version = options_.version;
  absl::StatusOr<std::unique_ptr<EmbeddedStore>> store;
  if (spec.kind == status::v1::Sink::EMBEDDED) {
    SqliteOptions sqlite;
    sqlite.path = spec.address;
    store = EmbeddedStore::Open(options, {deps_.clock},
                                SqliteBackendFactory(std::move(sqlite), deps_.files));
  } else if (spec.kind == status::v1::Sink::REMOTE_WRITE) {
    RemoteWriteOptions remote;
    remote.access = sink.access;
    ASSIGN_OR_RETURN(remote.state_path, RemoteWriteState(spec));
    remote.user_agent = absl::StrCat("trawl/", options_.version);
    remote.on_condition = [endpoint = sink.endpoint](const EndpointCondition& condition) {
      endpoint->Set(std::make_shared<const EndpointCondition>(condition));
    };
    store = EmbeddedStore::Open(options, {deps_.clock},
                                RemoteWriteBackendFactory(std::move(remote), deps_.files));
  } else {
    return absl::OkStatus();
  }
  if (!store.ok()) return Annotate(store.status(), absl::StrCat("sink ", spec.name));
  sink.store = *std::move(store);
  ++next_thread_;
  return absl::OkStatus();
}

absl::Status Sinks::OpenAddedStore(Sink& sink) {
  absl::Status opened = OpenStore(sink);
  if (applied_ || !IsOfTheDisk(opened)) return opened;
  LogError("A store can't be opened: it is tried again, and what is for it waits",
           {{"sink", sink.spec.name}, {"err", opened}});
  sink.unopened = opened;
  return absl::OkStatus();
}

void Sinks::OpenLater() {
  const bool all = std::all_of(sinks_.begin(), sinks_.end(),
                               [](const auto& sink) { return sink->unopened.ok(); });
  if (all || open_timer_ != 0) return;
  open_timer_ = deps_.loop.RunAfter(kOpenAgain, [this] {
    open_timer_ = 0;
    for (const auto& sink : sinks_) {
      if (!sink->unopened.ok()) TryToOpen(*sink);
    }
    OpenLater();
  });
}

void Sinks::TryToOpen(Sink& sink) {
  const absl::Status opened = OpenStore(sink);
  if (opened == sink.unopened) return;
  sink.unopened = opened;
  if (opened.ok()) LogInfo("A store could be opened after all", {{"sink", sink.spec.name}});
  const auto before = std::move(sink.factories);  // in use until StreamAnew is done
  MakeFactories(sink);
  StreamAnew(sink);
}

// The file of its lanes' numbers. They are the sink's, wherever its endpoint is; once the URL was
// of the file's name, too.
absl::StatusOr<std::string> Sinks::RemoteWriteState(const SinkSpec& spec) {
  const auto path_of = [&](const std::string& what) {
    return absl::StrFormat("%s/remote-write/%016x", options_.data_dir, XxHash64(what));
  };
  std::string path = path_of(spec.name);
  if (!absl::IsNotFound(deps_.files.OpenForRead(path).status())) return path;
  const absl::Status moved =
      deps_.files.Rename(path_of(absl::StrCat(spec.name, "\n", spec.address)), path);
  if (!moved.ok() && !absl::IsNotFound(moved)) return moved;
  return path;
}

void Sinks::MakeFactories(Sink& sink) {
  sink.factories.clear();
  for (ShardThread* shard : deps_.shards) {
    if (!sink.unopened.ok()) {
      sink.factories.push_back(std::make_unique<RefusedStreams>(sink.unopened, shard->loop()));
      continue;
    }
    std::function<std::shared_ptr<grpc::Channel>()> make_channel = [address = sink.spec.address] {
      return MakeStorageChannel(address, grpc::InsecureChannelCredentials());
    };
    // Made here, as the store may have been shut down when a stream is opened.
    if (sink.store != nullptr) {
      make_channel = [channel = sink.store->InProcessChannel()] { return channel; };
    }
    sink.factories.push_back(
        std::make_unique<GrpcAppendStreamFactory>(std::move(make_channel), shard->loop()));
  }
}

ShardThread& Sinks::ShardOf(const EpochLane& lane) const {
  return *deps_.shards[lane.lane % deps_.shards.size()];
}

void Sinks::AddToLanes(Sink& sink) {
  const std::string id = sink.spec.Id();
  const SinkRegistry::Entry* const known = registry_.Find(id, sink.spec.name);
  SinkRegistry::Entry entry;
  if (known != nullptr) entry = *known;
  entry.name = sink.spec.name;
  std::set<EpochLane> wanted;
  for (const EpochLane& lane : deps_.earlier) {
    SinkSession::Sink there{.name = sink.spec.name, .start = entry.StartOf(lane)};
    if (known == nullptr || there.start == 0) continue;
    if (const auto skipped = entry.skipped.find(lane); skipped != entry.skipped.end()) {
      there.skipped = skipped->second;
    }
    ShardThread& shard = ShardOf(lane);
    AppendStreamFactory& factory = *sink.factories[lane.lane % deps_.shards.size()];
    RunOn(shard.loop(), [&] { shard.earlier().AddSink(lane, there, factory); });
    wanted.insert(lane);
  }
  sink.order = DrainOrder(std::move(wanted));
  const bool held = !sink.order.RunningStreams();
  if (known == nullptr) entry.since_epoch = options_.epoch;
  for (uint32_t i = 0; i < deps_.shards.size(); ++i) {
    ShardThread& shard = *deps_.shards[i];
    uint64_t start = 0;
    RunOn(shard.loop(),
          [&] { start = shard.lane().AddSink(sink.spec.name, *sink.factories[i], held); });
    if (known == nullptr) entry.starts[i] = start;
  }
  registry_.Set(id, std::move(entry));
  StreamInOrder(sink);
}

// What waits for its next try, with an access that was refused, goes out at once.
void Sinks::StreamAnew(Sink& sink) {
  for (size_t i = 0; i < deps_.shards.size(); ++i) {
    ShardThread& shard = *deps_.shards[i];
    AppendStreamFactory& factory = *sink.factories[i];
    RunOn(shard.loop(), [&] {
      shard.lane().AddSink(sink.spec.name, factory);
      for (const EpochLane& lane : sink.order.left()) {
        if (&ShardOf(lane) == &shard) shard.earlier().ReplaceSink(lane, sink.spec.name, factory);
      }
    });
  }
}

// `place` has the old store then, to which no stream leads any more.
void Sinks::MoveTo(Sink& sink, Sink& place) {
  MakeFactories(place);
  std::swap(sink.store, place.store);
  sink.unopened = absl::OkStatus();
  std::swap(sink.factories, place.factories);
  StreamAnew(sink);
}

void Sinks::WarnOfBacklog(const Sink& sink) const {
  const std::string& name = sink.spec.name;
  uint64_t records = 0;
  uint64_t samples = 0;
  const auto add = [&](const LaneStatus& lane) {
    for (const SinkStatus& status : lane.sinks) {
      if (status.name != name) continue;
      records += status.backlog_records;
      samples += status.backlog_samples;
    }
  };
  for (ShardThread* shard : deps_.shards) {
    RunOn(shard->loop(), [&] { add(shard->lane().Snapshot()); });
    const auto earlier = shard->earlier().status();  // stays while it is read
    for (const LaneStatus& lane : *earlier) add(lane);
  }
  if (records == 0) return;
  LogWarn("A sink is removed before it had everything",
          {{"sink", name}, {"records", records}, {"samples", samples}});
}

void Sinks::RemoveFromLanes(const Sink& sink) {
  for (ShardThread* shard : deps_.shards) {
    RunOn(shard->loop(), [&] {
      shard->lane().RemoveSink(sink.spec.name);
      shard->earlier().RemoveSink(sink.spec.name);
    });
  }
}

// ---- What earlier runs left

void Sinks::StreamInOrder(Sink& sink) {
  const std::string& name = sink.spec.name;
  for (const EpochLane& lane : sink.order.Streaming()) {
    ShardThread* const shard = &ShardOf(lane);
    shard->loop().Post([shard, lane, name] { shard->earlier().ReleaseSink(lane, name); });
  }
  if (!sink.order.RunningStreams()) return;
  for (ShardThread* const shard : deps_.shards) {
    shard->loop().Post([shard, name] { shard->lane().ReleaseSink(name); });
  }
}

Sinks::Sink* Sinks::FindSink(const std::string& name) {
  for (const auto& sink : sinks_) {
    if (sink->spec.name == name) return sink.get();
  }
  return nullptr;
}

void Sinks::OnDrained(const std::string& name, const EpochLane& lane) {
  Sink* const sink = FindSink(name);
  if (sink == nullptr || sink->order.done()) return;
  sink->order.Drained(lane);
  if (sink->order.done()) {
    LogInfo("A sink has all that earlier runs left", {{"sink", name}});
  }
  StreamInOrder(*sink);
}

void Sinks::OnNewestFirst(const std::string& name) {
  Sink* const sink = FindSink(name);
  if (sink == nullptr || sink->order.RunningStreams()) return;
  sink->order.SetNewestFirst();
  StreamInOrder(*sink);
}

absl::StatusOr<uint64_t> Sinks::SkipRecord(const std::string& name, const EpochLane& lane,
                                           uint64_t number, bool dry_run) {
  Sink* const sink = FindSink(name);
  if (sink == nullptr) return absl::NotFoundError(absl::StrCat("no sink ", name));
  ASSIGN_OR_RETURN(const uint64_t samples, SkipOnShard(name, lane, number, /*dry_run=*/true));
  if (dry_run) return samples;
  const SinkRegistry::Entry before = *registry_.Find(sink->spec.Id(), name);
  registry_.Skip(sink->spec.Id(), lane, number);
  if (absl::Status saved = registry_.Save(); !saved.ok()) {
    registry_.Set(sink->spec.Id(), before);  // nor is it to be kept later
    SaveRegistry();
    return saved;
  }
  return SkipOnShard(name, lane, number, /*dry_run=*/false);
}

absl::StatusOr<uint64_t> Sinks::SkipOnShard(const std::string& sink, const EpochLane& lane,
                                            uint64_t number, bool dry_run) {
  if (lane.epoch == options_.epoch && lane.lane >= deps_.shards.size()) {
    return absl::NotFoundError(absl::StrCat("no lane ", lane.lane));
  }
  ShardThread& shard = ShardOf(lane);
  absl::StatusOr<uint64_t> samples;
  RunOn(shard.loop(), [&] {
    samples = lane.epoch == options_.epoch
                  ? shard.lane().SkipRecord(sink, number, dry_run)
                  : shard.earlier().SkipRecord(lane, sink, number, dry_run);
  });
  return samples;
}

void Sinks::KeepRegistry() {
  std::set<std::string> ids;
  for (const auto& sink : sinks_) ids.insert(sink->spec.Id());
  std::set<uint64_t> epochs = {options_.epoch};
  for (const EpochLane& lane : deps_.earlier) epochs.insert(lane.epoch);
  for (const std::string& gone : registry_.Keep(ids, epochs)) {
    if (deps_.earlier.empty()) continue;
    LogWarn("A sink of earlier runs is not configured any more: what they left is not for it",
            {{"sink", gone}});
  }
  SaveRegistry();
}

// Until it is done: without it a sink is new to the next run, and what waits for it is lost.
void Sinks::SaveRegistry() {
  deps_.loop.Cancel(std::exchange(save_timer_, 0));
  const absl::Status saved = registry_.Save();
  if (saved.ok()) {
    if (std::exchange(unsaved_, false)) LogInfo("Which sinks there are is kept after all");
    return;
  }
  if (!std::exchange(unsaved_, true)) {
    LogError("Which sinks there are can't be kept for the next run: it is tried again",
             {{"err", saved}});
  }
  save_timer_ = deps_.loop.RunAfter(kSaveAgain, [this] {
    save_timer_ = 0;
    SaveRegistry();
  });
}

void Sinks::Publish() {
  auto descriptions = std::make_shared<std::vector<Described>>();
  for (const auto& sink : sinks_) {
    const bool url = sink->spec.kind == status::v1::Sink::REMOTE_WRITE;
    descriptions->push_back({{sink->spec.name,
                              sink->spec.kind,
                              url ? RedactUrl(sink->spec.address) : sink->spec.address,
                              {}},
                             sink->endpoint});
  }
  descriptions_.Set(std::move(descriptions));
}

std::vector<SinkDescription> Sinks::Descriptions() const {
  std::vector<SinkDescription> out;
  const auto descriptions = descriptions_.Get();  // stays while it is read
  for (const Described& sink : *descriptions) {
    out.push_back(sink.as_configured);
    out.back().endpoint = *sink.endpoint->Get();
  }
  return out;
}

void Sinks::Shutdown(absl::Duration deadline) {
  deps_.loop.Cancel(std::exchange(save_timer_, 0));
  deps_.loop.Cancel(std::exchange(open_timer_, 0));
  if (!sinks_.empty()) {
    for (ShardThread* shard : deps_.shards) {
      RunOn(shard->loop(), [shard] {
        shard->lane().Shutdown();
        shard->earlier().Shutdown();
      });
    }
  }
  for (const auto& sink : sinks_) {
    sink->factories.clear();
    if (sink->store != nullptr) sink->store->Shutdown(deadline);
  }
  sinks_.clear();
}

}  // namespace trawl

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/store/embedded_store.h"
#include "core/append/drain_order.h"
#include "core/append/sink.h"
#include "core/base/clock.h"
#include "core/base/event_loop.h"
#include "core/base/file_system.h"
#include "core/base/published.h"
#include "core/config/config.h"
#include "core/telemetry/append_metrics.h"
#include "server/shard_thread.h"
#include "server/sink_registry.h"
#include "server/status_conversions.h"

namespace trawl {

// A store that samples are to go to.
struct SinkSpec {
  std::string name;
  status::v1::Sink::Kind kind = status::v1::Sink::KIND_UNSPECIFIED;
  std::string address;  // of a service, URL or path
  std::optional<RemoteWriteConfig> remote_write;
  friend bool operator==(const SinkSpec&, const SinkSpec&) = default;

  // What it is, over runs: name and kind, as a hash. Where it is may change.
  std::string Id() const;
};

struct SinkFlags {
  std::string storage_address;               // "": none
  std::optional<std::string> embedded_path;  // unset: only if there is no other sink
  std::string default_embedded_path;
};
// The store at storage_address, each remote_write, and SQLite if it is asked for or there is
// nothing else. Names are unique. Pure.
std::vector<SinkSpec> DesiredSinks(const SinkFlags& flags, const Config& config);

// Brings every lane's records to every sink: one stream a lane and sink, over gRPC to a service,
// and over gRPC's in-process channel to a store of our own. What earlier runs left goes first, for
// each sink by itself (DrainOrder); a sink that is new gets nothing of it.
//
// The main thread only, but for Descriptions.
class Sinks {
 public:
  struct Options {
    std::string data_dir;  // remote_write keeps its numbers there, and the registry of sinks is
    std::string version;
    uint64_t epoch = 0;  // of this run
  };
  struct Deps {
    const Clock& clock;
    EventLoop& loop;  // the main thread's
    FileSystem& files;
    std::vector<ShardThread*> shards;
    AppendMetrics& metrics;
    // What earlier runs left: the lanes whose logs stand in the shards' EarlierLanes, lane k with
    // shard k mod shards.
    std::vector<EpochLane> earlier;
  };

  Sinks(Options options, Deps deps);
  ~Sinks();

  // From now on the sinks are these. A sink of the same name and kind keeps its place in the lanes.
  // Its credentials, and another URL of remote_write, count from the next request on; elsewhere at
  // another address new streams go on from what the store there says to have. What a sink that is
  // gone had not got is told in the log. An error, of a store or of a sink's certificates, has
  // changed nothing. But the first time a store of ours that can't be opened for its disk, which
  // is full or fails, is no error: what is for it waits in the lanes, and it is tried again.
  absl::Status Apply(const std::vector<SinkSpec>& specs);

  // Of EarlierLanes::Callbacks.
  void OnDrained(const std::string& sink, const EpochLane& lane);
  void OnNewestFirst(const std::string& sink);

  // Gives a record up for a sink; that is remembered on disk first. How many samples that takes.
  // kNotFound: no such sink or lane. kFailedPrecondition: the sink doesn't wait for that record.
  absl::StatusOr<uint64_t> SkipRecord(const std::string& sink, const EpochLane& lane,
                                      uint64_t number, bool dry_run);

  // Takes the sinks from the lanes and stops the stores, with what they took committed. Before the
  // shards' threads end. Idempotent.
  void Shutdown(absl::Duration deadline);

  // Any thread.
  std::vector<SinkDescription> Descriptions() const;

 private:
  struct Sink;
  struct Plan;
  // What Descriptions tells of a sink.
  struct Described {
    SinkDescription as_configured;
    std::shared_ptr<const Published<EndpointCondition>> endpoint;
  };

  absl::StatusOr<Plan> MakePlan(const std::vector<SinkSpec>& specs);
  void Commit(Plan plan);
  absl::Status OpenStore(Sink& sink);
  absl::Status OpenAddedStore(Sink& sink);
  void OpenLater();
  void TryToOpen(Sink& sink);
  absl::StatusOr<std::string> RemoteWriteState(const SinkSpec& spec);
  void MakeFactories(Sink& sink);
  void AddToLanes(Sink& sink);
  void StreamAnew(Sink& sink);
  void StreamInOrder(Sink& sink);
  Sink* FindSink(const std::string& name);
  ShardThread& ShardOf(const EpochLane& lane) const;
  absl::StatusOr<uint64_t> SkipOnShard(const std::string& sink, const EpochLane& lane,
                                       uint64_t number, bool dry_run);
  void KeepRegistry();
  void SaveRegistry();
  void MoveTo(Sink& sink, Sink& place);
  void RemoveFromLanes(const Sink& sink);
  void WarnOfBacklog(const Sink& sink) const;
  void Publish();

  const Options options_;
  const Deps deps_;
  SinkRegistry registry_;
  std::vector<std::unique_ptr<Sink>> sinks_;
  uint32_t next_thread_ = 0;
  bool unsaved_ = false;  // the registry, and that was told
  TimerId save_timer_ = 0;
  bool applied_ = false;
  TimerId open_timer_ = 0;  // of stores that could not be opened
  Published<std::vector<Described>> descriptions_;
};

}  // namespace trawl

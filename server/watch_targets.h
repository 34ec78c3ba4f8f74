#pragma once

#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "core/append/sink.h"
#include "core/base/event_loop.h"
#include "core/scrape/pool_status.h"
#include "core/telemetry/server_metrics.h"
#include "server/access/access_control.h"
#include "server/target_watch.h"
#include "trawl/status/v1/status.pb.h"

namespace trawl {

// Serves StatusService.WatchTargets: a bounded number of watches, all on one event loop of their
// own, as looking at many targets and writing them down takes its time.
//
// Watch is thread-safe. The loop outlives the calls; the object outlives the loop's last turn.
class TargetWatches {
 public:
  struct Options {
    size_t max_watchers = 32;
    TargetWatch::Options watch;  // its interval is the least one
  };
  struct Deps {
    EventLoop& loop;
    std::function<std::shared_ptr<const PoolsSnapshot>()> pools;            // thread-safe
    std::function<std::vector<std::shared_ptr<const LaneStatus>>()> lanes;  // likewise
    ServerMetrics& metrics;
    // Ends watches whose caller's token is worth nothing any more. Outlives the calls.
    AccessControl& access;
  };

  TargetWatches(const Options& options, Deps deps);
  ~TargetWatches();

  // The reactor owns itself. kUnauthenticated: the caller isn't known; kInvalidArgument: a filter
  // can't be read; kResourceExhausted: there are max_watchers.
  grpc::ServerWriteReactor<status::v1::WatchTargetsResponse>* Watch(
      const grpc::ServerContextBase& context, const status::v1::WatchTargetsRequest& request);

  // Ends all watches with kUnavailable, and those that come.
  void Close();

 private:
  class Reactor;
  class Slots;

  const Options options_;
  const Deps deps_;
  const std::shared_ptr<Slots> slots_;
};

}  // namespace trawl

#include "server/watch_targets.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/base/mutex.h"
#include "server/grpc_status.h"
#include "server/proto_conversions.h"

namespace trawl {

namespace pb = status::v1;

// The watches there are. Thread-safe.
class TargetWatches::Slots {
 public:
  Slots(size_t max, ServerMetrics& metrics) : max_(max), metrics_(metrics) {}

  absl::Status Take(Reactor& reactor);
  void Return(Reactor& reactor);
  void Close();

 private:
  const size_t max_;
  ServerMetrics& metrics_;
  Mutex mutex_;
  bool closed_ TRAWL_GUARDED_BY(mutex_) = false;
  std::set<Reactor*> taken_ TRAWL_GUARDED_BY(mutex_);
};

// gRPC's half of a watch: carries messages from the loop to gRPC, one at a time. Deletes itself, on
// the loop, when gRPC is done with it.
class TargetWatches::Reactor final : public grpc::ServerWriteReactor<pb::WatchTargetsResponse>,
                                     private TargetWatch::Reader,
                                     private OpenStream {
 public:
  Reactor(const Deps& deps, std::shared_ptr<Slots> slots)
      : loop_(deps.loop), access_(deps.access), slots_(std::move(slots)) {}

  void Enter(const grpc::ServerContextBase& context, Caller caller) {
    access_.Enter(*this, context, std::move(caller));
  }
  // Once; on any thread.
  void Begin(const TargetWatch::Options& options, const Deps& deps, TargetFilter filter) {
    loop_.Post([this, options, deps, filter = std::move(filter)]() mutable {
      watch_.emplace(options,
                     TargetWatch::Deps{deps.loop, deps.pools, deps.lanes, *this, deps.metrics},
                     std::move(filter));
      watch_->Start();
    });
  }

  // Any thread; the first one counts.
  void EndNow(grpc::Status status) {
    MutexLock lock(mutex_);
    if (std::exchange(finished_, true)) return;
    Finish(std::move(status));
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return EndNow({grpc::StatusCode::CANCELLED, "the client is gone"});
    // The reactor goes on the loop too, and after this.
    loop_.Post([this] { watch_->OnWritten(); });
  }
  void OnCancel() override { EndNow({grpc::StatusCode::CANCELLED, "cancelled"}); }
  void OnDone() override {
    access_.Leave(*this);
    slots_->Return(*this);
    loop_.Post([self = std::unique_ptr<Reactor>(this)] {});
  }

 private:
  void End(const absl::Status& why) override { EndNow(ToGrpcStatus(why)); }
  void Write(pb::WatchTargetsResponse message) override {
    MutexLock lock(mutex_);
    if (finished_) return;
    message_ = std::move(message);
    StartWrite(&message_);
  }

  EventLoop& loop_;
  AccessControl& access_;
  const std::shared_ptr<Slots> slots_;
  std::optional<TargetWatch> watch_;  // the loop's
  pb::WatchTargetsResponse message_;  // gRPC's while it is written
  // Start… and Finish are called with the lock held, so that none can come after Finish.
  Mutex mutex_;
  bool finished_ TRAWL_GUARDED_BY(mutex_) = false;
};

absl::Status TargetWatches::Slots::Take(Reactor& reactor) {
  MutexLock lock(mutex_);
  if (closed_) return absl::UnavailableError("trawld is ending");
  if (taken_.size() >= max_) {
    metrics_.watchers_refused_total.Increment();
    return absl::ResourceExhaustedError(
        absl::StrCat("there are ", taken_.size(), " watchers already: --status.max-watchers"));
  }
  taken_.insert(&reactor);
  metrics_.watchers.Set(static_cast<double>(taken_.size()));
  return absl::OkStatus();
}

void TargetWatches::Slots::Return(Reactor& reactor) {
  MutexLock lock(mutex_);
  taken_.erase(&reactor);
  metrics_.watchers.Set(static_cast<double>(taken_.size()));
}

// With the lock held, as a reactor that is in the set lives until it is taken out. gRPC runs no
// reaction from inside Finish.
void TargetWatches::Slots::Close() {
  MutexLock lock(mutex_);
  closed_ = true;
  for (Reactor* reactor : taken_) {
    reactor->EndNow({grpc::StatusCode::UNAVAILABLE, "trawld is ending"});
  }
}

TargetWatches::TargetWatches(const Options& options, Deps deps)
    : options_(options),
      deps_(std::move(deps)),
      slots_(std::make_shared<Slots>(options_.max_watchers, deps_.metrics)) {}

TargetWatches::~TargetWatches() = default;

grpc::ServerWriteReactor<pb::WatchTargetsResponse>* TargetWatches::Watch(
    const grpc::ServerContextBase& context, const pb::WatchTargetsRequest& request) {
  pb::ListTargetsRequest filters;
  filters.set_job(request.job());
  filters.set_source(request.source());
  filters.set_health(request.health());
  filters.set_state(request.state());
  *filters.mutable_matchers() = request.matchers();
  absl::StatusOr<TargetFilter> filter = TargetFilter::Make(filters);
  absl::StatusOr<Caller> caller = deps_.access.Identify(context);
  auto* reactor = new Reactor(deps_, slots_);
  absl::Status admitted = caller.ok() ? filter.status() : caller.status();
  if (admitted.ok()) admitted = slots_->Take(*reactor);
  if (!admitted.ok()) {
    reactor->EndNow(ToGrpcStatus(admitted));
    return reactor;
  }
  TargetWatch::Options watch = options_.watch;
  watch.interval = std::max(watch.interval, ToDuration(request.min_interval()));
  reactor->Begin(watch, deps_, *std::move(filter));
  reactor->Enter(context, *std::move(caller));
  return reactor;
}

void TargetWatches::Close() { slots_->Close(); }

}  // namespace trawl

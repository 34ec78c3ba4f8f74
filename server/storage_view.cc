#include "server/storage_view.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "core/base/status_macros.h"
#include "server/proto_conversions.h"
#include "server/status_conversions.h"

namespace trawl {
namespace {

std::set<std::string> FailingSinks(const std::vector<SinkDescription>& sinks) {
  std::set<std::string> out;
  for (const SinkDescription& sink : sinks) {
    if (sink.endpoint.failing) out.insert(sink.name);
  }
  return out;
}

}  // namespace

StorageView::StorageView(const Options& options, const Deps& deps)
    : options_(options), deps_(deps), collector_(deps.metrics.append()) {}

status::v1::Spool StorageView::DescribeSpool() const {
  status::v1::Spool out;
  uint64_t bytes = 0;
  for (const auto& lane : Lanes()) bytes += lane->log_bytes;
  out.set_bytes(bytes);
  const bool in_memory = deps_.spooling == nullptr;
  out.set_state(in_memory ? status::v1::Spool::MEMORY : status::v1::Spool::OK);
  out.set_max_bytes(in_memory ? options_.max_queue_bytes : deps_.spooling->max_bytes());
  absl::Time oldest = absl::InfiniteFuture();
  for (const auto& spool : deps_.shards.SpoolStatuses()) {
    oldest = std::min(oldest, spool->oldest);
    if (!spool->degraded) continue;
    out.set_state(status::v1::Spool::DEGRADED);
    out.set_error(std::string(spool->last_error.message()));
  }
  if (oldest != absl::InfiniteFuture()) SetTime(oldest, out.mutable_oldest());
  return out;
}

void StorageView::Collect() {
  const std::vector<SinkDescription> sinks = SinkDescriptions();
  collector_.Collect(Lanes(), FailingSinks(sinks));
  for (const SinkDescription& sink : sinks) {
    collector_.CollectUndivided(sink.name, sink.endpoint.undivided_samples);
  }
  if (deps_.spooling != nullptr) {
    deps_.spooling->Collect(deps_.shards.SpoolStatuses(), deps_.metrics.spool());
  }
}

absl::StatusOr<status::v1::SkipRecordResponse> StorageView::SkipRecord(
    const status::v1::SkipRecordRequest& request) {
  const EpochLane lane{request.epoch() != 0 ? request.epoch() : options_.epoch, request.lane()};
  status::v1::SkipRecordResponse response;
  for (const auto& status : Lanes()) {
    if (status->epoch != lane.epoch || status->lane != lane.lane) continue;
    for (const SinkStatus& sink : status->sinks) {
      const bool told = sink.name == request.sink() && sink.stuck_number == request.number();
      if (!told) continue;
      response.set_target_labels(StuckTargetText(sink));
      status::v1::TargetRef target = TargetWithLabels(*deps_.pools(), sink.stuck_target);
      if (!target.id().empty()) *response.mutable_target() = std::move(target);
    }
  }
  ASSIGN_OR_RETURN(
      const uint64_t samples,
      deps_.sinks.SkipRecord(request.sink(), lane, request.number(), request.dry_run()));
  response.set_samples(samples);
  return response;
}

}  // namespace trawl

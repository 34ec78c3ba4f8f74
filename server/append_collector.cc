#include "server/append_collector.h"

#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {
namespace {

std::string GapName(int reason) {
  return absl::AsciiStrToLower(
      storage::v1::Gap::Reason_Name(static_cast<storage::v1::Gap::Reason>(reason)));
}

std::string RejectName(int code) {
  return absl::AsciiStrToLower(
      storage::v1::Reject::Code_Name(static_cast<storage::v1::Reject::Code>(code)));
}

}  // namespace

void AppendCollector::Collect(std::span<const std::shared_ptr<const LaneStatus>> lanes,
                              const std::set<std::string>& failing) {
  std::map<uint32_t, uint64_t> queued;  // by lane, over all epochs
  std::map<std::pair<std::string, uint32_t>, bool> stuck;
  std::map<std::string, bool> degraded;
  // An endpoint can refuse before the lane has published that it has the sink.
  for (const std::string& sink : failing) degraded[sink] = true;
  for (const auto& lane : lanes) {
    queued[lane->lane] += lane->log_bytes;
    for (const SinkStatus& sink : lane->sinks) {
      stuck[{sink.name, lane->lane}] |= sink.stuck_number != 0;
      degraded[sink.name] |= sink.degraded;
    }
    CollectLane(*lane);
  }
  for (const auto& [lane, bytes] : queued) {
    metrics_.queue_bytes.Set({absl::StrCat(lane)}, static_cast<double>(bytes));
  }
  for (const auto& [sink, is_stuck] : stuck) {
    metrics_.sink_stuck.Set({sink.first, absl::StrCat(sink.second)}, is_stuck ? 1 : 0);
  }
  for (const auto& [sink, is_degraded] : degraded) {
    metrics_.sink_degraded.Set({sink}, is_degraded ? 1 : 0);
  }
}

void AppendCollector::CollectUndivided(const std::string& sink, uint64_t samples) {
  if (samples == 0) return;
  metrics_.sink_undivided_samples_total.Increment({sink}, Added("undivided/" + sink, samples));
}

double AppendCollector::Added(const std::string& counter, uint64_t value) {
  uint64_t& seen = seen_[counter];
  const uint64_t added = value >= seen ? value - seen : value;
  seen = value;
  return static_cast<double>(added);
}

void AppendCollector::CollectLane(const LaneStatus& lane) {
  const std::string name = absl::StrCat(lane.lane);
  if (!lane.earlier) {
    metrics_.records_total.Increment({name}, Added("records/" + name, lane.next_number - 1));
    metrics_.samples_total.Increment(Added("samples/" + name, lane.samples));
    CountDropped(name, "cap", lane.capped_samples);
    CountDropped(name, "age", lane.aged_samples);
    CountDropped(name, "refused", lane.refused_samples);
  }
  for (const SinkStatus& sink : lane.sinks) CollectSink(lane, sink);
  for (const SinkStatus& sink : lane.drained_sinks) CollectSink(lane, sink);
}

void AppendCollector::CountDropped(const std::string& lane, std::string_view reason,
                                   uint64_t samples) {
  metrics_.dropped_samples_total.Increment(
      {reason}, Added(absl::StrCat("dropped/", reason, "/", lane), samples));
}

void AppendCollector::CollectSink(const LaneStatus& of, const SinkStatus& sink) {
  const std::string& name = sink.name;
  const std::string lane = absl::StrCat(of.lane);
  const auto added = [&](std::string_view what, uint64_t value) {
    return Added(absl::StrCat(what, "/", of.epoch, "/", lane, "/", name), value);
  };
  if (!of.earlier) {
    metrics_.sink_connected.Set({name, lane}, sink.state == SinkState::kStreaming ? 1 : 0);
    metrics_.sink_durable_number.Set({name, lane}, static_cast<double>(sink.durable));
  }
  metrics_.sink_bytes_sent_total.Increment({name}, added("bytes", sink.body_bytes_sent));
  metrics_.sink_samples_acked_total.Increment({name}, added("stored", sink.samples_acked));
  const uint64_t again = sink.streams_opened > 0 ? sink.streams_opened - 1 : 0;
  metrics_.sink_reconnects_total.Increment({name}, added("reconnects", again));
  for (const auto& [code, samples] : sink.reject_samples) {
    const std::string text = RejectName(code);
    metrics_.sink_rejected_samples_total.Increment({name, text},
                                                   added("rejected/" + text, samples));
  }
  for (const auto& [reason, samples] : sink.gap_samples) {
    const std::string text = GapName(reason);
    metrics_.sink_lost_samples_total.Increment({name, text}, added("lost/" + text, samples));
  }
}

}  // namespace trawl

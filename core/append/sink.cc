#include "core/append/sink.h"

namespace trawl {

std::string_view SinkStateName(SinkState state) {
  switch (state) {
    case SinkState::kHeld:
      return "held";
    case SinkState::kWaiting:
      return "waiting";
    case SinkState::kOpening:
      return "opening";
    case SinkState::kStreaming:
      return "streaming";
  }
  return "unknown";
}

RejectedSamples::Counts RejectedOf(std::span<const std::shared_ptr<const LaneStatus>> lanes,
                                   uint64_t target) {
  RejectedSamples::Counts counts;
  for (const auto& lane : lanes) {
    if (lane->rejected == nullptr) continue;
    const auto found = lane->rejected->find(target);
    if (found == lane->rejected->end()) continue;
    for (const auto& [of, samples] : *found->second) counts[of] += samples;
  }
  return counts;
}

std::string StuckTargetText(const SinkStatus& status) {
  return status.stuck_target.empty() ? "" : status.stuck_target.ToString();
}

}  // namespace trawl

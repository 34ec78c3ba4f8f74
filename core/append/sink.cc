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

}  // namespace trawl

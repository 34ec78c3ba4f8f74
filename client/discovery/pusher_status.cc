#include "client/discovery/pusher_status.h"

#include <algorithm>

namespace trawl {

std::string_view PushStateName(PushState state) {
  switch (state) {
    case PushState::kWaiting:
      return "waiting";
    case PushState::kOpening:
      return "opening";
    case PushState::kSending:
      return "sending";
    case PushState::kInSync:
      return "in sync";
    case PushState::kFenced:
      return "fenced";
    case PushState::kReleasing:
      return "releasing";
  }
  return "";
}

bool PusherStatus::InSync() const {
  return !trawlds.empty() && std::all_of(trawlds.begin(), trawlds.end(), [](const auto& trawld) {
    return trawld.state == PushState::kInSync;
  });
}

}  // namespace trawl

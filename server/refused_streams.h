#pragma once

#include <memory>

#include "absl/status/status.h"
#include "core/append/append_stream.h"
#include "core/base/event_loop.h"

namespace trawl {

// Streams to a store that is not open: each ends at once and says why. Whoever opens them backs
// off, shows the reason and keeps what there is, as for a store that can't be reached.
class RefusedStreams final : public AppendStreamFactory {
 public:
  RefusedStreams(absl::Status why, EventLoop& loop);
  std::unique_ptr<AppendStream> Open(AppendStream::Observer& observer) override;

 private:
  const absl::Status why_;
  EventLoop& loop_;
};

}  // namespace trawl

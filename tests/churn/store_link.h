#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "client/store/store_sessions.h"
#include "core/append/append_stream.h"
#include "core/base/event_loop.h"

namespace trawl {

// The wire between a lane and a store on the same loop. It can be cut, and mended.
class StoreLink final : public AppendStreamFactory {
 public:
  StoreLink(EventLoop& loop, StoreSessions& store) : loop_(loop), store_(store) {}

  std::unique_ptr<AppendStream> Open(AppendStream::Observer& observer) override;
  // Streams break, and new ones don't open.
  void Cut();
  void Mend() { cut_ = false; }

 private:
  // One stream's two ends; outlives both, for what is on its way.
  struct Ends {
    AppendStream::Observer* observer = nullptr;  // null: the lane's end is gone
    bool closed = false;                         // the lane's end was told
  };
  class Stream;
  class Wire;

  void Close(uint64_t id, const absl::Status& status);

  EventLoop& loop_;
  StoreSessions& store_;
  bool cut_ = false;
  uint64_t last_id_ = 0;
  std::map<uint64_t, std::shared_ptr<Ends>> open_;
};

}  // namespace trawl

#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "core/append/append_stream.h"
#include "core/base/event_loop.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// An AppendStream whose store is the test: it sees what is written, and says when a write is
// complete, what the store answers and when the stream breaks. Keeps to the stream's contract and
// CHECKs that its user does. What the test orders happens in a turn of the loop of its own, in
// order; with a FakeEventLoop: when the test runs it.
// The loop's thread only.
class FakeAppendStreamFactory final : public AppendStreamFactory {
 public:
  explicit FakeAppendStreamFactory(EventLoop& loop) : loop_(loop) {}

  std::unique_ptr<AppendStream> Open(AppendStream::Observer& observer) override;

  // Each write completes by itself, as soon as it was made. Default: true.
  void CompleteWrites(bool on) { complete_writes_ = on; }

  size_t opened() const { return opened_; }
  // A stream is there, and neither closed nor destroyed. The calls below need one.
  bool open() const;
  bool write_pending() const;
  bool half_closed() const;
  // Everything that was written on the newest stream, in order.
  const std::vector<storage::v1::AppendRequest>& written() const { return newest_->written; }

  void CompleteWrite();
  void Answer(storage::v1::AppendResponse response);
  // OK: the store ended the stream.
  void Close(const absl::Status& status);

 private:
  // Outlives the stream, for callbacks that are on their way.
  struct State {
    AppendStream::Observer* observer = nullptr;  // null: destroyed
    bool write_pending = false;
    bool half_closed = false;
    bool closing = false;  // OnClosed is on its way, or was told
    bool closed = false;   // it was told
    std::vector<storage::v1::AppendRequest> written;
  };
  class Stream;

  EventLoop& loop_;
  bool complete_writes_ = true;
  size_t opened_ = 0;
  std::shared_ptr<State> newest_ = std::make_shared<State>();
};

}  // namespace trawl

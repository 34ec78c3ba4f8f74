#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/base/event_loop.h"
#include "core/base/message_stream.h"

namespace trawl {

// Streams whose server is the test: it sees what is written, and says when a write is complete,
// what the server answers and when the stream breaks. Keeps to the stream's contract and CHECKs
// that its user does. What the test orders happens in a turn of the loop of its own, in order;
// with a FakeEventLoop: when the test runs it.
// The loop's thread only.
template <typename Request, typename Response>
class FakeMessageStreamFactory final : public MessageStreamFactory<Request, Response> {
 public:
  using Observer = typename MessageStream<Request, Response>::Observer;

  explicit FakeMessageStreamFactory(EventLoop& loop) : loop_(loop) {}

  std::unique_ptr<MessageStream<Request, Response>> Open(Observer& observer) override {
    ++opened_;
    newest_ = std::make_shared<State>();
    newest_->observer = &observer;
    return std::make_unique<Stream>(*this, newest_);
  }

  // Each write completes by itself, as soon as it was made. Default: true.
  void CompleteWrites(bool on) { complete_writes_ = on; }

  size_t opened() const { return opened_; }
  // A stream is there, and neither closed nor destroyed. The calls below need one.
  bool open() const { return newest_->observer != nullptr && !newest_->closing; }
  bool write_pending() const { return newest_->write_pending; }
  bool half_closed() const { return newest_->half_closed; }
  // Everything that was written on the newest stream, in order.
  const std::vector<Request>& written() const { return newest_->written; }

  void CompleteWrite() {
    Check(newest_->write_pending, "no write is pending");
    PostWritten(loop_, newest_);
  }

  void Answer(Response response) {
    Check(open(), "no stream is open");
    loop_.Post([state = newest_, response = std::move(response)] {
      if (state->observer != nullptr && !state->closed) state->observer->OnMessage(response);
    });
  }

  // OK: the server ended the stream.
  void Close(const absl::Status& status) {
    Check(open(), "no stream is open");
    PostClosed(loop_, newest_, status);
  }

 private:
  // Outlives the stream, for callbacks that are on their way.
  struct State {
    Observer* observer = nullptr;  // null: destroyed
    bool write_pending = false;
    bool half_closed = false;
    bool closing = false;  // OnClosed is on its way, or was told
    bool closed = false;   // it was told
    std::vector<Request> written;
  };

  class Stream final : public MessageStream<Request, Response> {
   public:
    Stream(FakeMessageStreamFactory& factory, std::shared_ptr<State> state)
        : factory_(factory), loop_(factory.loop_), state_(std::move(state)) {}
    ~Stream() override { state_->observer = nullptr; }

    void Write(Request message) override {
      Check(!state_->write_pending, "only one write may be pending");
      Check(!state_->half_closed, "no write after HalfClose");
      state_->write_pending = true;
      state_->written.push_back(std::move(message));
      if (factory_.complete_writes_) PostWritten(loop_, state_);
    }

    void HalfClose() override {
      Check(!state_->half_closed, "HalfClose once only");
      state_->half_closed = true;
    }

    void Cancel() override { PostClosed(loop_, state_, absl::CancelledError("cancelled")); }

   private:
    FakeMessageStreamFactory& factory_;
    EventLoop& loop_;
    const std::shared_ptr<State> state_;
  };

  static void Check(bool kept, const char* rule) {
    if (kept) return;
    std::fprintf(stderr, "MessageStream: %s\n", rule);
    std::abort();
  }

  // A stream that ended tells of no write any more.
  static void PostWritten(EventLoop& loop, const std::shared_ptr<State>& state) {
    loop.Post([state] {
      if (state->observer == nullptr || state->closed || !state->write_pending) return;
      state->write_pending = false;
      state->observer->OnWritten();
    });
  }

  static void PostClosed(EventLoop& loop, const std::shared_ptr<State>& state,
                         const absl::Status& status) {
    if (state->closing) return;
    state->closing = true;
    loop.Post([state, status] {
      state->closed = true;
      if (state->observer != nullptr) state->observer->OnClosed(status);
    });
  }

  EventLoop& loop_;
  bool complete_writes_ = true;
  size_t opened_ = 0;
  std::shared_ptr<State> newest_ = std::make_shared<State>();
};

}  // namespace trawl

#include "tests/fakes/fake_append_stream.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace trawl {
namespace {

void Check(bool kept, const char* rule) {
  if (kept) return;
  std::fprintf(stderr, "AppendStream: %s\n", rule);
  std::abort();
}

}  // namespace

class FakeAppendStreamFactory::Stream final : public AppendStream {
 public:
  Stream(FakeAppendStreamFactory& factory, std::shared_ptr<State> state)
      : factory_(factory), loop_(factory.loop_), state_(std::move(state)) {}
  ~Stream() override { state_->observer = nullptr; }

  void Write(storage::v1::AppendRequest message) override {
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

 private:
  FakeAppendStreamFactory& factory_;
  EventLoop& loop_;
  const std::shared_ptr<State> state_;
};

std::unique_ptr<AppendStream> FakeAppendStreamFactory::Open(AppendStream::Observer& observer) {
  ++opened_;
  newest_ = std::make_shared<State>();
  newest_->observer = &observer;
  return std::make_unique<Stream>(*this, newest_);
}

bool FakeAppendStreamFactory::open() const {
  return newest_->observer != nullptr && !newest_->closing;
}

bool FakeAppendStreamFactory::write_pending() const { return newest_->write_pending; }
bool FakeAppendStreamFactory::half_closed() const { return newest_->half_closed; }

void FakeAppendStreamFactory::CompleteWrite() {
  Check(newest_->write_pending, "no write is pending");
  Stream::PostWritten(loop_, newest_);
}

void FakeAppendStreamFactory::Answer(storage::v1::AppendResponse response) {
  Check(open(), "no stream is open");
  loop_.Post([state = newest_, response = std::move(response)] {
    if (state->observer != nullptr && !state->closed) state->observer->OnMessage(response);
  });
}

void FakeAppendStreamFactory::Close(const absl::Status& status) {
  Check(open(), "no stream is open");
  Stream::PostClosed(loop_, newest_, status);
}

}  // namespace trawl

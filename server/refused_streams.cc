#include "server/refused_streams.h"

#include <utility>

#include "absl/time/time.h"

namespace trawl {
namespace {

class RefusedStream final : public AppendStream {
 public:
  RefusedStream(const absl::Status& why, EventLoop& loop, Observer& observer) : loop_(loop) {
    close_timer_ = loop.RunAfter(absl::ZeroDuration(), [this, why, &observer] {
      close_timer_ = 0;
      observer.OnClosed(why);  // which may destroy this
    });
  }
  ~RefusedStream() override { loop_.Cancel(close_timer_); }
  void Write(storage::v1::AppendRequest /*message*/) override {}
  void HalfClose() override {}
  void Cancel() override {}  // it ends anyway

 private:
  EventLoop& loop_;
  TimerId close_timer_ = 0;
};

}  // namespace

RefusedStreams::RefusedStreams(absl::Status why, EventLoop& loop)
    : why_(std::move(why)), loop_(loop) {}

std::unique_ptr<AppendStream> RefusedStreams::Open(AppendStream::Observer& observer) {
  return std::make_unique<RefusedStream>(why_, loop_, observer);
}

}  // namespace trawl

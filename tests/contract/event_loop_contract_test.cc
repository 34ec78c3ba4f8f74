#include "tests/contract/event_loop_contract.h"

#include <memory>

#include "core/base/clock.h"
#include "core/base/epoll_loop.h"
#include "tests/fakes/fake_event_loop.h"

namespace trawl {
namespace {

class EpollLoopDriver final : public EventLoopDriver {
 public:
  EventLoop& loop() override { return *loop_; }

  // Ends as soon as it is done; the bound is the test runner's.
  void RunUntil(const std::function<bool()>& done, absl::Duration) override {
    CheckEachTurn(done);
    loop_->Run();
  }

  void Destroy() override { loop_.reset(); }

 private:
  // Looks at the end of the turn, so that the turn's own end callbacks have run.
  void CheckEachTurn(const std::function<bool()>& done) {
    loop_->RunAfter(absl::Microseconds(100), [this, done] {
      if (done()) {
        loop_->Stop();
      } else {
        CheckEachTurn(done);
      }
    });
  }

  SystemClock clock_;
  std::unique_ptr<EpollLoop> loop_ = std::make_unique<EpollLoop>(clock_);
};

class FakeEventLoopDriver final : public EventLoopDriver {
 public:
  EventLoop& loop() override { return *loop_; }
  void RunUntil(const std::function<bool()>& done, absl::Duration time) override {
    loop_->RunUntilIdle();
    if (!done()) loop_->Advance(time);
  }
  void Destroy() override { loop_.reset(); }

 private:
  std::unique_ptr<FakeEventLoop> loop_ = std::make_unique<FakeEventLoop>();
};

template <typename Driver>
std::unique_ptr<EventLoopDriver> Make() {
  return std::make_unique<Driver>();
}

INSTANTIATE_TEST_SUITE_P(EpollLoop, EventLoopContractTest,
                         ::testing::Values(&Make<EpollLoopDriver>));
INSTANTIATE_TEST_SUITE_P(FakeEventLoop, EventLoopContractTest,
                         ::testing::Values(&Make<FakeEventLoopDriver>));

}  // namespace
}  // namespace trawl

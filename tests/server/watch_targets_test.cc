#include "server/watch_targets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "core/base/clock.h"
#include "core/base/epoll_loop.h"
#include "core/telemetry/metrics.h"
#include "server/await.h"
#include "tests/server/service_fixture.h"
#include "tests/server/tokens_in_memory.h"
#include "trawl/status/v1/status.grpc.pb.h"

namespace trawl {
namespace {

namespace pb = status::v1;
using ::testing::HasSubstr;

// A status service that is nothing but watches.
class Service final : public pb::StatusService::CallbackService {
 public:
  explicit Service(TargetWatches& watches) : watches_(watches) {}
  grpc::ServerWriteReactor<pb::WatchTargetsResponse>* WatchTargets(
      grpc::CallbackServerContext* context, const pb::WatchTargetsRequest* request) override {
    return watches_.Watch(*context, *request);
  }

 private:
  TargetWatches& watches_;
};

// The service in a server without a port, over a loop of its own.
class WatchTargetsTest : public ::testing::Test {
 protected:
  WatchTargetsTest() {
    auto pools = std::make_shared<PoolsSnapshot>();
    pools->pools = {MakePool("node", {MakeTarget("node", "a:1"), MakeTarget("node", "b:1")})};
    pools_ = std::move(pools);
    watches_ = std::make_unique<TargetWatches>(
        TargetWatches::Options{.max_watchers = 2, .watch = {}},
        TargetWatches::Deps{
            .loop = thread_.loop(),
            .pools = [this] { return pools_; },
            .lanes = [] { return std::vector<std::shared_ptr<const LaneStatus>>(); },
            .metrics = metrics_.server(),
            .access = access_});
    service_ = std::make_unique<Service>(*watches_);
    server_ = std::make_unique<InProcessServer>(std::vector<grpc::Service*>{service_.get()});
    stub_ = pb::StatusService::NewStub(server_->Channel());
  }
  ~WatchTargetsTest() override {
    watches_->Close();
    server_.reset();
    RunOn(thread_.loop(), [] {});
  }

  struct Call {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<pb::WatchTargetsResponse>> reader;

    pb::WatchTargetsResponse Next() {
      pb::WatchTargetsResponse message;
      EXPECT_TRUE(reader->Read(&message));
      return message;
    }
    grpc::Status End() {
      pb::WatchTargetsResponse message;
      while (reader->Read(&message)) {
      }
      return reader->Finish();
    }
  };
  std::unique_ptr<Call> Watch(const pb::WatchTargetsRequest& request = {}) {
    auto call = std::make_unique<Call>();
    call->context.AddMetadata("authorization", "Bearer 0123456789abcdef");
    call->reader = stub_->WatchTargets(&call->context, request);
    return call;
  }

  void ReadTokensAgain(std::string_view text) {
    tokens_.Replace(text);
    access_.EndUnproved();
  }

  SystemClock clock_;
  TokensInMemory tokens_{"eye 0123456789abcdef\n"};
  AccessControl access_{AccessPolicy({}, true), &tokens_.file()};
  Metrics metrics_;
  LoopThread thread_{clock_, "watch"};
  std::shared_ptr<const PoolsSnapshot> pools_;
  std::unique_ptr<TargetWatches> watches_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<InProcessServer> server_;
  std::unique_ptr<pb::StatusService::Stub> stub_;
};

TEST_F(WatchTargetsTest, TheStateComesOverTheWire) {
  const auto call = Watch();

  EXPECT_EQ(call->Next().snapshot_part().targets_size(), 2);
  EXPECT_EQ(call->Next().snapshot_done().targets(), 2u);
  EXPECT_EQ(metrics_.server().watchers.Value(), 1);
  call->context.TryCancel();
  EXPECT_EQ(call->End().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(WatchTargetsTest, AFilterThatCantBeReadIsRefused) {
  pb::WatchTargetsRequest request;
  request.add_matchers("a!b");

  EXPECT_EQ(Watch(request)->End().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(WatchTargetsTest, TooManyWatchersAreRefusedWithTheNameOfTheLimit) {
  const auto one = Watch();
  const auto two = Watch();
  one->Next();
  two->Next();

  const grpc::Status refused = Watch()->End();

  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("--status.max-watchers"));
  EXPECT_EQ(metrics_.server().watchers_refused_total.Value(), 1);
}

TEST_F(WatchTargetsTest, TheEndOfTheServerEndsWatchesAndThoseThatCome) {
  const auto call = Watch();
  call->Next();

  watches_->Close();

  EXPECT_EQ(call->End().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Watch()->End().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(WatchTargetsTest, AWatchWhoseTokenIsTakenAwayEndsThoughNothingHappens) {
  const auto call = Watch();
  call->Next();
  call->Next();

  ReadTokensAgain("other fedcba9876543210\n");

  const grpc::Status end = call->End();
  EXPECT_EQ(end.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(end.error_message(), "the token of this stream is not known any more");
  EXPECT_EQ(Watch()->End().error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(WatchTargetsTest, AWatchWhoseTokenStandsForAnotherNameEnds) {
  const auto call = Watch();
  call->Next();

  ReadTokensAgain("other 0123456789abcdef\n");

  const grpc::Status end = call->End();
  EXPECT_EQ(end.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(end.error_message(), "the token of this stream stands for another name now");
}

TEST_F(WatchTargetsTest, AWatcherThatIsGoneLeavesItsPlace) {
  for (int i = 0; i < 5; ++i) {
    const auto call = Watch();
    call->Next();
    call->context.TryCancel();
    call->End();
    // Its place is free when gRPC is done with it, which it does not tell.
    while (metrics_.server().watchers.Value() > 0) RunOn(thread_.loop(), [] {});
  }
  EXPECT_EQ(metrics_.server().watchers_refused_total.Value(), 0);
}

}  // namespace
}  // namespace trawl

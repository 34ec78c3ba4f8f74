#include "client/discovery/discovery_client.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/mutex.h"
#include "core/telemetry/metrics.h"
#include "server/access/access_control.h"
#include "server/await.h"
#include "server/discovery_service.h"
#include "server/grpc_compat.h"
#include "tests/client/discovery/test_groups.h"
#include "tests/matchers/status_matchers.h"
#include "tests/server/tokens_in_memory.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kToken[] = "0123456789abcdef";
constexpr char kTokens[] = "pusher 0123456789abcdef\n";

// A trawld's discovery service, the real one, on a port of this machine.
class TrawldOnAPort {
 public:
  explicit TrawldOnAPort(const TokenFile* tokens = nullptr)
      : access_(AccessPolicy({}, tokens != nullptr), tokens) {
    RunOn(thread_.loop(), [this] {
      discovery_ = std::make_unique<Discovery>(
          Discovery::Options{},
          Discovery::Deps{thread_.loop(), [](auto, absl::AnyInvocable<void()> done) { done(); },
                          metrics_.discovery()});
      discovery_->SetKnownJobsAsync({"node"}, [] {});
    });
    service_ = std::make_unique<DiscoveryService>(
        DiscoveryService::Options{},
        DiscoveryService::Deps{*discovery_, [] { return std::make_shared<const PoolsSnapshot>(); },
                               [] { return Labels(); }, access_});
    grpc::ServerBuilder builder;
    SetServerDefaults(builder, 1 << 20);
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
  }
  ~TrawldOnAPort() {
    ShutdownServer(*server_, absl::ZeroDuration());
    RunOn(thread_.loop(), [this] { discovery_.reset(); });
  }

  AccessControl& access() { return access_; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  // Returns when each call has ended, whoever ends it.
  void WaitForTheEndOfCalls() { server_->Shutdown(); }

  // Of job node, whoever wants them.
  std::set<std::string> Targets() {
    std::set<std::string> targets;
    Read([&](const TargetSets& sets) {
      const auto desired = sets.Desired("node");
      for (const OwnedGroup& group : desired->groups) {
        targets.insert(group.group->targets.begin(), group.group->targets.end());
      }
    });
    return targets;
  }
  std::vector<SourceView> Sources() {
    std::vector<SourceView> sources;
    Read([&](const TargetSets& sets) { sources = sets.Sources(discovery_->Now()); });
    return sources;
  }

 private:
  void Read(absl::AnyInvocable<void(const TargetSets&)> read) {
    Awaited<bool> done;
    discovery_->ReadAsync([&, done](const TargetSets& sets) {
      read(sets);
      done.Set(true);
    });
    done.Wait();
  }

  SystemClock clock_;
  Metrics metrics_;
  LoopThread thread_{clock_, "state"};
  std::unique_ptr<Discovery> discovery_;
  AccessControl access_;
  std::unique_ptr<DiscoveryService> service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

class DiscoveryClientTest : public ::testing::Test {
 protected:
  void Start(DiscoveryClient::Options options) {
    options.source = "test";
    options.on_changed = [this](const PusherStatus& status) {
      MutexLock lock(mutex_);
      status_ = status;
      changed_.NotifyAll();
    };
    absl::StatusOr<std::unique_ptr<DiscoveryClient>> client =
        DiscoveryClient::Start(std::move(options));
    ASSERT_OK(client);
    client_ = *std::move(client);
  }
  // As a caller sees it by on_changed alone.
  template <typename Condition>
  PusherStatus WaitUntil(Condition condition) {
    MutexLock lock(mutex_);
    while (!condition(status_)) changed_.Wait(mutex_);
    return status_;
  }
  // A change shows in the status at once, before any trawld has it.
  PusherStatus WaitUntilInSync(size_t targets) {
    return WaitUntil([targets](const PusherStatus& status) {
      return status.targets == targets && status.InSync();
    });
  }

  TrawldOnAPort trawld_;
  Mutex mutex_;
  CondVar changed_;
  PusherStatus status_ TRAWL_GUARDED_BY(mutex_);
  std::unique_ptr<DiscoveryClient> client_;
};

TEST_F(DiscoveryClientTest, WithoutASourceOrAnAddressItDoesNotStart) {
  EXPECT_THAT(DiscoveryClient::Start({.addresses = {"a:1"}}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("source")));
  EXPECT_THAT(DiscoveryClient::Start({.source = "test"}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("address")));
}

TEST_F(DiscoveryClientTest, WhatIsReplacedAndUpdatedIsAtTheTrawld) {
  Start({.instance = "replica-1", .fencing_token = 7, .addresses = {trawld_.address()}});

  EXPECT_OK(
      client_->Replace({MakeGroup("node", "0", {"a:1", "b:1"}), MakeGroup("node", "1", {"c:1"})}));
  WaitUntilInSync(3);
  EXPECT_OK(client_->Update({MakeGroup("node", "2", {"d:1", "e:1"})}, {{"node", "1"}}));
  WaitUntilInSync(4);

  EXPECT_THAT(trawld_.Targets(), ElementsAre("a:1", "b:1", "d:1", "e:1"));
  EXPECT_EQ(client_->Status()->targets, 4u);
  const std::vector<SourceView> sources = trawld_.Sources();
  ASSERT_EQ(sources.size(), 1u);
  EXPECT_EQ(sources[0].name, "test");
  EXPECT_EQ(sources[0].instance, "replica-1");
  EXPECT_EQ(sources[0].fencing_token, 7u);
}

TEST_F(DiscoveryClientTest, AnotherFencingTokenIsSaidToTheTrawld) {
  Start({.fencing_token = 7, .addresses = {trawld_.address()}});
  EXPECT_OK(client_->Replace({MakeGroup("node", "0", {"a:1"})}));
  WaitUntilInSync(1);

  client_->SetFencingToken(8);
  WaitUntil([](const PusherStatus& status) {
    return status.InSync() && status.trawlds[0].streams_opened == 2;
  });

  EXPECT_EQ(trawld_.Sources()[0].fencing_token, 8u);
}

TEST_F(DiscoveryClientTest, WhatCouldNotBeSentIsRefusedAtOnceAndChangesNothing) {
  Start({.addresses = {trawld_.address()}});
  EXPECT_OK(client_->Replace({MakeGroup("node", "0", {"a:1"})}));
  WaitUntilInSync(1);

  EXPECT_THAT(client_->Replace({MakeGroup("", "0", {"b:1"})}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(
      client_->Update({MakeGroup("node", "1", {"b:1"}), MakeGroup("node", "1", {"c:1"})}, {}),
      StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(client_->SetTrawlds({}, 1), StatusIs(absl::StatusCode::kInvalidArgument));

  EXPECT_OK(client_->Update({MakeGroup("node", "2", {"d:1"})}, {}));
  WaitUntilInSync(2);
  EXPECT_THAT(trawld_.Targets(), ElementsAre("a:1", "d:1"));
}

TEST_F(DiscoveryClientTest, ATrawldThatLeavesGivesUpTheSourceOnceAnotherHasItsTargets) {
  TrawldOnAPort other;
  Start({.addresses = {trawld_.address()}});
  EXPECT_OK(client_->Replace({MakeGroup("node", "0", {"a:1", "b:1"})}));
  WaitUntilInSync(2);

  EXPECT_OK(client_->SetTrawlds({other.address()}, 1));
  WaitUntil([&](const PusherStatus& status) {
    return status.InSync() && status.trawlds.size() == 1 &&
           status.trawlds[0].address == other.address();
  });

  EXPECT_THAT(other.Targets(), ElementsAre("a:1", "b:1"));
  EXPECT_THAT(trawld_.Targets(), IsEmpty());
  EXPECT_THAT(trawld_.Sources(), IsEmpty());
}

TEST_F(DiscoveryClientTest, ItsEndEndsTheStreamsAndTheTrawldKeepsTheTargets) {
  Start({.addresses = {trawld_.address()}});
  EXPECT_OK(client_->Replace({MakeGroup("node", "0", {"a:1"})}));
  WaitUntilInSync(1);

  client_.reset();
  trawld_.WaitForTheEndOfCalls();

  EXPECT_THAT(trawld_.Targets(), ElementsAre("a:1"));
}

TEST_F(DiscoveryClientTest, ATrawldOutOfReachIsToldAndKeepsNobodyFromEnding) {
  std::string nobody;
  { nobody = TrawldOnAPort().address(); }
  Start({.addresses = {nobody}});
  EXPECT_OK(client_->Replace({MakeGroup("node", "0", {"a:1"})}));

  const PusherStatus last = WaitUntil([](const PusherStatus& status) {
    return status.trawlds.size() == 1 && !status.trawlds[0].last_error.ok();
  });
  client_.reset();

  EXPECT_THAT(last.trawlds[0].last_error, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_FALSE(last.InSync());
}

TEST_F(DiscoveryClientTest, ItsTokenGoesWithStreamsAndReleases) {
  TokensInMemory tokens(kTokens);
  TrawldOnAPort guarded(&tokens.file());
  Start({.addresses = {guarded.address()}, .token = kToken});
  EXPECT_OK(client_->Replace({MakeGroup("node", "0", {"a:1"})}));
  WaitUntilInSync(1);
  EXPECT_THAT(guarded.Targets(), ElementsAre("a:1"));

  EXPECT_OK(client_->SetTrawlds({trawld_.address()}, 1));
  WaitUntil([&](const PusherStatus& status) {
    return status.InSync() && status.trawlds.size() == 1 &&
           status.trawlds[0].address == trawld_.address();
  });

  EXPECT_THAT(guarded.Sources(), IsEmpty());
}

TEST_F(DiscoveryClientTest, AnotherTokenIsTakenWithoutARestart) {
  TokensInMemory tokens(kTokens);
  TrawldOnAPort guarded(&tokens.file());
  std::atomic<bool> rotated = false;
  DiscoveryClient::Options options{.addresses = {guarded.address()}};
  options.read_token = [&] { return rotated ? kToken : "another 16 bytes"; };
  options.session.backoff.max = absl::Milliseconds(10);
  Start(std::move(options));
  EXPECT_OK(client_->Replace({MakeGroup("node", "0", {"a:1"})}));
  WaitUntil([](const PusherStatus& status) {
    return status.trawlds.size() == 1 && absl::IsUnauthenticated(status.trawlds[0].last_error);
  });

  rotated = true;
  WaitUntilInSync(1);
  client_.reset();
}

TEST_F(DiscoveryClientTest, ATokenThatIsReplacedWhileItsStreamIsOpenLosesNoTarget) {
  TokensInMemory tokens(kTokens);
  TrawldOnAPort guarded(&tokens.file());
  std::atomic<bool> rotated = false;
  DiscoveryClient::Options options{.addresses = {guarded.address()}};
  options.read_token = [&] { return rotated ? "another_16_bytes" : kToken; };
  options.session.backoff.max = absl::Milliseconds(10);
  Start(std::move(options));
  EXPECT_OK(client_->Replace({MakeGroup("node", "0", {"a:1"})}));
  WaitUntilInSync(1);

  tokens.Replace("pusher another_16_bytes\n");
  guarded.access().EndUnproved();
  WaitUntil([](const PusherStatus& status) {
    return absl::IsUnauthenticated(status.trawlds[0].last_error);
  });
  EXPECT_THAT(guarded.Targets(), ElementsAre("a:1"));
  EXPECT_OK(client_->Update({MakeGroup("node", "1", {"b:1"})}, {}));
  rotated = true;
  WaitUntilInSync(2);

  EXPECT_THAT(guarded.Targets(), ElementsAre("a:1", "b:1"));
  client_.reset();
}

TEST_F(DiscoveryClientTest, AWrongTokenIsTold) {
  TokensInMemory tokens(kTokens);
  TrawldOnAPort guarded(&tokens.file());
  Start({.addresses = {guarded.address()}, .token = "another 16 bytes"});
  EXPECT_OK(client_->Replace({MakeGroup("node", "0", {"a:1"})}));

  const PusherStatus last = WaitUntil([](const PusherStatus& status) {
    return status.trawlds.size() == 1 && !status.trawlds[0].last_error.ok();
  });

  EXPECT_THAT(last.trawlds[0].last_error, StatusIs(absl::StatusCode::kUnauthenticated));
  EXPECT_THAT(guarded.Targets(), IsEmpty());
}

}  // namespace
}  // namespace trawl

#include "server/discovery_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/epoll_loop.h"
#include "core/base/mutex.h"
#include "core/base/published.h"
#include "core/telemetry/metrics.h"
#include "server/await.h"
#include "tests/server/service_fixture.h"
#include "tests/server/tokens_in_memory.h"

namespace trawl {
namespace {

namespace pb = discovery::v1;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The real discovery state; its loops are told by a fake.
class DiscoveryServiceTest : public ::testing::Test {
 protected:
  explicit DiscoveryServiceTest(AccessPolicy policy = AccessPolicy(),
                                const TokenFile* tokens = nullptr)
      : access_(std::move(policy), tokens) {
    Discovery::Options options;
    options.max_request_bytes = 100'000;
    RunOn(thread_.loop(), [this, &options] {
      discovery_ = std::make_unique<Discovery>(
          options, Discovery::Deps{thread_.loop(),
                                   [this](std::shared_ptr<const DesiredTargets> targets,
                                          absl::AnyInvocable<void()> done) {
                                     reconciled_.push_back(targets->job);
                                     if (hold_)
                                       held_.push_back(std::move(done));
                                     else
                                       done();
                                   },
                                   metrics_.discovery()});
    });
    Awaited<bool> known;
    discovery_->SetKnownJobsAsync({"blackbox", "node"}, [known] { known.Set(true); });
    known.Wait();
    service_ = std::make_unique<DiscoveryService>(
        DiscoveryService::Options{},
        DiscoveryService::Deps{*discovery_, [this] { return pools_.Get(); },
                               [] {
                                 return Labels{{"replica", "a"}};
                               },
                               access_});
    server_ = std::make_unique<InProcessServer>(std::vector<grpc::Service*>{service_.get()});
    stub_ = pb::DiscoveryService::NewStub(server_->Channel());
  }
  ~DiscoveryServiceTest() override {
    server_.reset();
    RunOn(thread_.loop(), [this] { discovery_.reset(); });
  }

  grpc::Status Push(const pb::PushRequest& request) {
    grpc::ClientContext context;
    pushed_.Clear();
    return stub_->Push(&context, request, &pushed_);
  }
  static pb::PushRequest OneTarget(const std::string& target) {
    pb::PushRequest request;
    request.set_source("ops");
    pb::TargetGroup& group = *request.add_groups();
    group.set_job("node");
    group.add_targets(target);
    return request;
  }

  SystemClock clock_;
  Metrics metrics_;
  LoopThread thread_{clock_, "state"};
  Published<PoolsSnapshot> pools_;
  bool hold_ = false;                             // loop's thread
  std::vector<absl::AnyInvocable<void()>> held_;  // loop's thread
  std::vector<std::string> reconciled_;           // loop's thread
  std::unique_ptr<Discovery> discovery_;
  AccessControl access_;
  std::unique_ptr<DiscoveryService> service_;
  std::unique_ptr<InProcessServer> server_;
  std::unique_ptr<pb::DiscoveryService::Stub> stub_;
  pb::PushResponse pushed_;
};

TEST_F(DiscoveryServiceTest, PushIsAnsweredWithWhatItChanged) {
  ASSERT_TRUE(Push(OneTarget("a:9100")).ok());

  EXPECT_EQ(pushed_.result().status(), pb::Ack::APPLIED);
  EXPECT_EQ(pushed_.result().counts().added(), 1u);
  EXPECT_EQ(pushed_.result().counts().targets(), 1u);
  EXPECT_EQ(pushed_.result().applied_version(), 1u);
}

TEST_F(DiscoveryServiceTest, CountsOfActiveTargetsAreTheManagers) {
  auto snapshot = std::make_shared<PoolsSnapshot>();
  snapshot->pools = {MakePool("node", {MakeTarget("node", "a:9100", "ops")})};
  pools_.Set(snapshot);
  pb::PushRequest request = OneTarget("a:9100");
  request.mutable_groups(0)->add_targets("b:9100");

  ASSERT_TRUE(Push(request).ok());

  EXPECT_EQ(pushed_.result().counts().active(), 1u);
  EXPECT_EQ(pushed_.result().counts().dropped(), 1u);
}

TEST_F(DiscoveryServiceTest, ABadPushNamesThePathAndChangesNothing) {
  pb::PushRequest request = OneTarget("a:9100");
  *request.add_groups() = OneTarget("http://b/").groups(0);
  request.mutable_groups(1)->set_job("blackbox");

  const grpc::Status status = Push(request);

  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("groups[1].targets[0]: "));
  RunOn(thread_.loop(), [this] { EXPECT_TRUE(reconciled_.empty()); });
}

TEST_F(DiscoveryServiceTest, AnUnknownJobIsAWarning) {
  pb::PushRequest request = OneTarget("a:9100");
  request.mutable_groups(0)->set_job("nodes");

  ASSERT_TRUE(Push(request).ok());

  ASSERT_EQ(pushed_.result().issues_size(), 1);
  EXPECT_EQ(pushed_.result().issues(0).code(), pb::Issue::UNKNOWN_JOB);
  EXPECT_EQ(pushed_.result().issues(0).severity(), pb::Issue::WARNING);
}

TEST_F(DiscoveryServiceTest, UpdateAndListGroupsInPages) {
  pb::UpdateRequest update;
  update.set_source("ops");
  for (const char* key : {"k1", "k2", "k3"}) {
    pb::TargetGroup& group = *update.add_upsert();
    group.set_job("node");
    group.set_key(key);
    group.add_targets("a:1");
  }
  grpc::ClientContext update_context;
  pb::UpdateResponse updated;
  ASSERT_TRUE(stub_->Update(&update_context, update, &updated).ok());

  std::vector<std::string> keys;
  pb::ListGroupsRequest request;
  request.set_page_size(2);
  do {
    grpc::ClientContext context;
    pb::ListGroupsResponse page;
    ASSERT_TRUE(stub_->ListGroups(&context, request, &page).ok());
    for (const pb::Group& group : page.groups()) keys.push_back(group.group().key());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());

  EXPECT_THAT(keys, ElementsAre("k1", "k2", "k3"));
}

TEST_F(DiscoveryServiceTest, ReleaseOfAnUnknownSourceIsNotFound) {
  pb::ReleaseRequest request;
  request.set_source("nobody");
  grpc::ClientContext context;
  pb::ReleaseResponse response;

  EXPECT_EQ(stub_->Release(&context, request, &response).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(DiscoveryServiceTest, ARenewalOfAnUnknownSourceIsNotFoundAndALeaseOfNoTimeInvalid) {
  pb::UpdateRequest request;
  request.set_source("typo");
  pb::UpdateResponse response;
  grpc::ClientContext unknown;
  EXPECT_EQ(stub_->Update(&unknown, request, &response).error_code(), grpc::StatusCode::NOT_FOUND);

  ASSERT_TRUE(Push(OneTarget("a:9100")).ok());
  request.set_source("ops");
  request.mutable_lease()->mutable_ttl()->set_seconds(-5);
  request.mutable_lease()->set_on_expiry(pb::LeasePolicy::REMOVE);
  grpc::ClientContext negative;
  const grpc::Status status = stub_->Update(&negative, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("lease.ttl: a duration of at least 1s"));
}

TEST_F(DiscoveryServiceTest, WhatTheShrinkGuardHoldsIsListedAndAccepted) {
  pb::PushRequest request = OneTarget("a:9100");
  for (int i = 0; i < 50; ++i) request.mutable_groups(0)->add_targets(absl::StrCat("n", i));
  ASSERT_TRUE(Push(request).ok());
  ASSERT_TRUE(Push(OneTarget("a:9100")).ok());
  EXPECT_EQ(pushed_.result().counts().held(), 50u);
  ASSERT_EQ(pushed_.result().issues_size(), 1);
  EXPECT_EQ(pushed_.result().issues(0).code(), pb::Issue::REMOVALS_HELD);

  grpc::ClientContext groups_context;
  pb::ListGroupsResponse groups;
  ASSERT_TRUE(stub_->ListGroups(&groups_context, {}, &groups).ok());
  ASSERT_EQ(groups.groups_size(), 1);
  EXPECT_EQ(groups.groups(0).group().targets_size(), 1);
  EXPECT_EQ(groups.groups(0).held_targets_size(), 50);
  grpc::ClientContext sources_context;
  pb::ListSourcesResponse sources;
  ASSERT_TRUE(stub_->ListSources(&sources_context, {}, &sources).ok());
  EXPECT_EQ(sources.sources(0).counts().held(), 50u);
  EXPECT_TRUE(sources.sources(0).has_held_until());

  pb::AcceptHeldRequest accept;
  accept.set_source("ops");
  pb::AcceptHeldResponse accepted;
  grpc::ClientContext nothing_context;
  EXPECT_EQ(stub_->AcceptHeld(&nothing_context, accept, &accepted).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  accept.set_what(pb::AcceptHeldRequest::REMOVALS);
  grpc::ClientContext accept_context;
  ASSERT_TRUE(stub_->AcceptHeld(&accept_context, accept, &accepted).ok());
  EXPECT_EQ(accepted.counts().removed(), 50u);
  EXPECT_EQ(accepted.counts().held(), 0u);
  EXPECT_EQ(accepted.counts().targets(), 1u);
}

TEST_F(DiscoveryServiceTest, ACallThatIsTooLargeSaysHowLargeItMayBe) {
  pb::PushRequest request = OneTarget(std::string(200'000, 'a'));
  const grpc::Status status = Push(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("at most 100000 are allowed"));
}

// --- Sync

class NamelessTest : public DiscoveryServiceTest {
 protected:
  NamelessTest() : DiscoveryServiceTest(AccessPolicy({.push = {*ParsePushRule("k8s.example")}})) {}
};

TEST_F(NamelessTest, AStreamOfWhoMayPushNothingEndsWithoutAWord) {
  grpc::ClientContext context;
  const auto stream = stub_->Sync(&context);
  pb::SyncResponse response;

  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

class SyncTest : public DiscoveryServiceTest {
 protected:
  using DiscoveryServiceTest::DiscoveryServiceTest;
  struct Client {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReaderWriter<pb::SyncRequest, pb::SyncResponse>> stream;
    uint64_t next_id = 1;

    void Send(pb::SyncRequest request) {
      request.set_id(next_id++);
      EXPECT_TRUE(stream->Write(request));
    }
    pb::SyncResponse Read() {
      pb::SyncResponse response;
      EXPECT_TRUE(stream->Read(&response));
      return response;
    }
  };

  std::unique_ptr<Client> Open(uint64_t version = 1, std::optional<uint64_t> token = {},
                               std::optional<pb::LeasePolicy> lease = {}) {
    auto client = std::make_unique<Client>();
    if (!bearer_.empty()) client->context.AddMetadata("authorization", "Bearer " + bearer_);
    client->stream = stub_->Sync(&client->context);
    pb::SyncRequest hello;
    hello.mutable_hello()->set_source("k8s");
    hello.mutable_hello()->set_instance("pod-1");
    hello.mutable_hello()->set_history_id("h1");
    hello.mutable_hello()->set_version(version);
    if (token) hello.mutable_hello()->set_fencing_token(*token);
    if (lease) *hello.mutable_hello()->mutable_lease() = *lease;
    client->Send(hello);
    return client;
  }

  static pb::SyncRequest Delta(uint64_t base, uint64_t version, const std::string& key) {
    pb::SyncRequest request;
    request.mutable_delta()->set_base_version(base);
    request.mutable_delta()->set_version(version);
    pb::TargetGroup& group = *request.mutable_delta()->add_upsert();
    group.set_job("node");
    group.set_key(key);
    group.add_targets("a:1");
    return request;
  }

  void SendSnapshot(Client& client, uint64_t version) {
    pb::SyncRequest begin;
    begin.mutable_snapshot_begin()->set_version(version);
    begin.mutable_snapshot_begin()->set_groups(1);
    begin.mutable_snapshot_begin()->set_bytes(1000);
    client.Send(begin);
    pb::SyncRequest part;
    *part.mutable_snapshot_part()->add_groups() = Delta(0, 0, "k0").delta().upsert(0);
    client.Send(part);
    pb::SyncRequest end;
    end.mutable_snapshot_end();
    client.Send(end);
  }

  std::string bearer_;  // "": none
};

TEST_F(SyncTest, HelloIsWelcomedWithTheTermsOfTheStream) {
  auto client = Open();

  const pb::Welcome welcome = client->Read().welcome();

  EXPECT_EQ(welcome.need(), pb::Welcome::SNAPSHOT);
  EXPECT_GE(welcome.max_in_flight(), 1u);
  EXPECT_THAT(welcome.jobs(), ElementsAre("blackbox", "node"));
  EXPECT_EQ(welcome.external_labels().at("replica"), "a");
  client->stream->WritesDone();
  EXPECT_TRUE(client->stream->Finish().ok());
}

TEST_F(SyncTest, HeartbeatsAreDueOftenEnoughForALeaseThatRemoves) {
  const auto heartbeat_under = [&](int seconds, pb::LeasePolicy::OnExpiry on_expiry) {
    pb::LeasePolicy lease;
    lease.mutable_ttl()->set_seconds(seconds);
    lease.set_on_expiry(on_expiry);
    auto client = Open(1, {}, lease);
    const pb::Welcome welcome = client->Read().welcome();
    client->stream->WritesDone();
    EXPECT_TRUE(client->stream->Finish().ok());
    return absl::Seconds(welcome.heartbeat_interval().seconds()) +
           absl::Nanoseconds(welcome.heartbeat_interval().nanos());
  };

  EXPECT_EQ(heartbeat_under(60, pb::LeasePolicy::REMOVE), absl::Seconds(10));
  EXPECT_EQ(heartbeat_under(3, pb::LeasePolicy::REMOVE), absl::Seconds(1));
  EXPECT_EQ(heartbeat_under(3, pb::LeasePolicy::KEEP), absl::Seconds(10));
}

TEST_F(SyncTest, ASnapshotIsStagedAndAppliedAtItsEndAndDeltasFollow) {
  auto client = Open(40);
  client->Read();

  SendSnapshot(*client, 40);
  client->Send(Delta(40, 41, "k1"));

  EXPECT_EQ(client->Read().ack().status(), pb::Ack::STAGED);
  EXPECT_EQ(client->Read().ack().status(), pb::Ack::STAGED);
  const pb::Ack applied = client->Read().ack();
  EXPECT_EQ(applied.id(), 4u);
  EXPECT_EQ(applied.status(), pb::Ack::APPLIED);
  EXPECT_EQ(applied.applied_version(), 40u);
  EXPECT_EQ(client->Read().ack().applied_version(), 41u);
  client->stream->WritesDone();
  EXPECT_TRUE(client->stream->Finish().ok());
}

TEST_F(SyncTest, AGapIsRejectedAndAResyncFollows) {
  auto client = Open();
  client->Read();

  client->Send(Delta(7, 8, "k1"));

  EXPECT_EQ(client->Read().ack().status(), pb::Ack::REJECTED);
  EXPECT_TRUE(client->Read().has_resync());
}

TEST_F(SyncTest, ManyMessagesAreAllAnsweredInOrderHoweverSlowlyTheyAreRead) {
  auto client = Open();
  client->Read();
  constexpr uint64_t kMessages = 500;  // far more than the server reads ahead of its answers
  std::thread writer([&client] {
    pb::SyncRequest heartbeat;
    heartbeat.mutable_heartbeat();
    for (uint64_t i = 0; i < kMessages; ++i) client->Send(heartbeat);
    client->stream->WritesDone();
  });

  for (uint64_t i = 0; i < kMessages; ++i) EXPECT_EQ(client->Read().ack().id(), i + 2);
  writer.join();
  EXPECT_TRUE(client->stream->Finish().ok());
}

TEST_F(SyncTest, WhatIsNoHelloEndsTheStream) {
  Client client;
  client.stream = stub_->Sync(&client.context);
  client.Send(Delta(0, 1, "k"));

  pb::SyncResponse response;
  EXPECT_FALSE(client.stream->Read(&response));
  EXPECT_EQ(client.stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(SyncTest, AHigherTokenSendsTheHolderAway) {
  auto first = Open(1, 7);
  first->Read();
  auto second = Open(1, 8);
  EXPECT_TRUE(second->Read().has_welcome());

  EXPECT_TRUE(first->Read().goaway().fenced());
  EXPECT_EQ(first->stream->Finish().error_code(), grpc::StatusCode::ABORTED);
}

TEST_F(SyncTest, AUnaryPushIsRefusedWhileAStreamHoldsTheSource) {
  auto client = Open();
  client->Read();
  pb::PushRequest request = OneTarget("a:1");
  request.set_source("k8s");

  const grpc::Status status = Push(request);

  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("pod-1"));
}

TEST_F(SyncTest, ACancelledStreamFreesItsSource) {
  auto client = Open();
  client->Read();

  client->context.TryCancel();
  client->stream->Finish();

  // The session ends a moment later, on the discovery loop.
  pb::PushRequest request = OneTarget("a:1");
  request.set_source("k8s");
  grpc::Status status;
  do {
    status = Push(request);
  } while (status.error_code() == grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(SyncTest, AStreamThatEndsWhileItsLoopsAreNotToldYetHarmsNobody) {
  RunOn(thread_.loop(), [this] { hold_ = true; });
  {
    auto client = Open(40);
    client->Read();
    SendSnapshot(*client, 40);
    client->Read();
    client->Read();
    client->context.TryCancel();
    client->stream->Finish();
  }
  RunOn(thread_.loop(), [this] {
    hold_ = false;
    for (auto& done : held_) done();
    held_.clear();
  });
  EXPECT_TRUE(Push(OneTarget("b:1")).ok());
}

TEST_F(SyncTest, ShutdownSaysGoodbye) {
  auto client = Open();
  client->Read();
  Awaited<bool> done;
  discovery_->ShutdownAsync([done] { done.Set(true); });
  done.Wait();

  EXPECT_TRUE(client->Read().has_goaway());
  EXPECT_EQ(client->stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

// --- Streams and their tokens

class TokenSyncTest : private TokensInMemory, public SyncTest {
 protected:
  TokenSyncTest()
      : TokensInMemory("pusher 0123456789abcdef\nother fedcba9876543210\n"),
        SyncTest(AccessPolicy({}, true), &file()) {
    bearer_ = "0123456789abcdef";
  }

  std::unique_ptr<Client> OpenAndPush() {
    auto client = Open(40);
    client->Read();
    SendSnapshot(*client, 40);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(client->Read().has_ack());
    return client;
  }
  void ReadTokensAgain(std::string_view text) {
    Replace(text);
    access_.EndUnproved();
  }
  static void ExpectUnauthenticated(const grpc::Status& end, std::string_view message) {
    EXPECT_EQ(end.error_code(), grpc::StatusCode::UNAUTHENTICATED);
    EXPECT_EQ(end.error_message(), message);
  }
  static grpc::Status End(Client& client) {
    pb::SyncResponse response;
    while (client.stream->Read(&response)) continue;
    return client.stream->Finish();
  }
  size_t Targets() {
    Awaited<size_t> targets;
    discovery_->ReadAsync([targets](const TargetSets& sets) {
      size_t count = 0;
      const auto desired = sets.Desired("node");
      for (const OwnedGroup& group : desired->groups) count += group.group->targets.size();
      targets.Set(count);
    });
    return targets.Wait();
  }
};

TEST_F(TokenSyncTest, AStreamWhoseTokenIsTakenAwayEndsAndWhatItPushedStays) {
  auto client = OpenAndPush();

  ReadTokensAgain("other fedcba9876543210\n");

  ExpectUnauthenticated(End(*client), "the token of this stream is not known any more");
  EXPECT_EQ(Targets(), 1u);
}

TEST_F(TokenSyncTest, AStreamWhoseTokenStandsForAnotherNameEnds) {
  auto client = OpenAndPush();

  ReadTokensAgain("other 0123456789abcdef\n");

  ExpectUnauthenticated(End(*client), "the token of this stream stands for another name now");
}

TEST_F(TokenSyncTest, AStreamWhoseTokenStaysGoesOnWhenOthersChange) {
  auto client = OpenAndPush();

  ReadTokensAgain("pusher 0123456789abcdef\nthird abcdefabcdefabcdef\n");

  client->Send(Delta(40, 41, "k1"));
  EXPECT_EQ(client->Read().ack().status(), pb::Ack::APPLIED);
  client->stream->WritesDone();
  EXPECT_TRUE(End(*client).ok());
}

}  // namespace
}  // namespace trawl

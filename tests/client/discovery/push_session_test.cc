#include "client/discovery/push_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "tests/client/discovery/test_groups.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/fakes/fake_message_stream.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

namespace pb = discovery::v1;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using FakeSyncStreams = FakeMessageStreamFactory<pb::SyncRequest, pb::SyncResponse>;

class PushSessionTest : public ::testing::Test, private PushSession::Listener {
 protected:
  PushSessionTest() { Make({}); }

  void Make(const PushSession::Options& options) {
    session_.reset();
    session_ =
        std::make_unique<PushSession>("t:1", PushSession::Identity{"k8s", "me", {}, {}}, options,
                                      PushSession::Deps{loop_, random_, *this, streams_});
  }

  void Put(const std::string& key, const std::vector<std::string>& targets = {"a:1"}) {
    session_->share().Put(std::make_shared<const pb::TargetGroup>(MakeGroup("node", key, targets)));
    session_->Wake();
    loop_.RunUntilIdle();
  }
  void Remove(const std::string& key) {
    session_->share().Remove({"node", key});
    session_->Wake();
    loop_.RunUntilIdle();
  }
  void Start() {
    session_->Start("h");
    loop_.RunUntilIdle();
  }
  void Answer(const pb::SyncResponse& response) {
    streams_.Answer(response);
    loop_.RunUntilIdle();
  }
  void Welcome(pb::Welcome::Need need, const std::string& history = "h", uint64_t applied = 0,
               const std::function<void(pb::Welcome&)>& more = nullptr) {
    pb::SyncResponse response;
    pb::Welcome& welcome = *response.mutable_welcome();
    welcome.set_need(need);
    welcome.set_history_id(history);
    welcome.set_applied_version(applied);
    welcome.set_max_in_flight(2);
    welcome.set_max_message_bytes(1 << 20);
    welcome.mutable_heartbeat_interval()->set_seconds(10);
    if (more) more(welcome);
    Answer(response);
  }
  void Ack(uint64_t id, pb::Ack::Status status, uint64_t applied,
           const std::function<void(pb::Ack&)>& more = nullptr) {
    pb::SyncResponse response;
    pb::Ack& ack = *response.mutable_ack();
    ack.set_id(id);
    ack.set_status(status);
    ack.set_applied_version(applied);
    if (more) more(ack);
    Answer(response);
  }
  // Acks everything that was written and is not answered yet, as a trawld does.
  void AckAll() {
    while (acked_ < streams_.written().size()) {
      const pb::SyncRequest& request = streams_.written()[acked_++];
      if (request.has_snapshot_begin()) staged_ = request.snapshot_begin().version();
      if (request.has_snapshot_begin() || request.has_snapshot_part()) {
        Ack(request.id(), pb::Ack::STAGED, 0);
      } else if (request.has_snapshot_end()) {
        Ack(request.id(), pb::Ack::APPLIED, applied_ = staged_);
      } else if (request.has_delta()) {
        Ack(request.id(), pb::Ack::APPLIED, applied_ = request.delta().version());
      } else if (request.has_heartbeat()) {
        Ack(request.id(), pb::Ack::NOOP, applied_);
      }
    }
  }
  // A session whose trawld has group "a".
  void MakeInSync() {
    Put("a");
    Start();
    Welcome(pb::Welcome::SNAPSHOT, "");
    AckAll();
    ASSERT_TRUE(session_->in_sync());
  }
  const pb::SyncRequest& Last() { return streams_.written().back(); }

  // PushSession::Listener
  absl::Status OnWelcome(PushSession&, const pb::Welcome&) override { return welcome_verdict_; }
  void OnPushed(PushSession&) override { ++pushed_; }

  FakeEventLoop loop_;
  FakeSyncStreams streams_{loop_};
  absl::BitGen random_;
  absl::Status welcome_verdict_;
  int pushed_ = 0;
  size_t acked_ = 0;
  uint64_t staged_ = 0;
  uint64_t applied_ = 0;
  std::unique_ptr<PushSession> session_;
};

TEST_F(PushSessionTest, HelloSaysWhoSpeaksAndHowFarItIs) {
  Put("a");
  Start();

  ASSERT_THAT(streams_.written(), SizeIs(1));
  const pb::Hello& hello = streams_.written()[0].hello();
  EXPECT_EQ(streams_.written()[0].id(), 1u);
  EXPECT_EQ(hello.source(), "k8s");
  EXPECT_EQ(hello.instance(), "me");
  EXPECT_EQ(hello.history_id(), "h");
  EXPECT_EQ(hello.version(), session_->share().version());
  EXPECT_FALSE(hello.has_fencing_token());
}

TEST_F(PushSessionTest, NothingIsSentBeforeWelcome) {
  Start();
  Put("a");

  EXPECT_THAT(streams_.written(), SizeIs(1));
  EXPECT_EQ(session_->Snapshot().state, PushState::kOpening);
}

TEST_F(PushSessionTest, AnotherHistoryGetsASnapshotWithinTheWindow) {
  Make({.message_bytes = 600});
  for (int i = 0; i < 30; ++i) Put(absl::StrCat("g", i), {"some-host.example.org:9100"});
  Start();
  Welcome(pb::Welcome::SNAPSHOT, "other", 7);

  // Two messages may be under way.
  ASSERT_THAT(streams_.written(), SizeIs(3));
  EXPECT_EQ(streams_.written()[1].snapshot_begin().groups(), 30u);
  EXPECT_TRUE(streams_.written()[2].has_snapshot_part());
  Ack(2, pb::Ack::STAGED, 7);
  EXPECT_THAT(streams_.written(), SizeIs(4));
  acked_ = 2;
  staged_ = streams_.written()[1].snapshot_begin().version();
  AckAll();

  uint64_t groups = 0;
  uint64_t bytes = 0;
  for (const pb::SyncRequest& request : streams_.written()) {
    groups += static_cast<uint64_t>(request.snapshot_part().groups_size());
    bytes += request.snapshot_part().ByteSizeLong();
    EXPECT_LE(request.ByteSizeLong(), 600u);
  }
  EXPECT_EQ(groups, 30u);
  EXPECT_LE(bytes, streams_.written()[1].snapshot_begin().bytes());
  EXPECT_TRUE(Last().has_snapshot_end());
  EXPECT_TRUE(session_->in_sync());
}

TEST_F(PushSessionTest, AnEmptyShareIsTold) {
  Start();
  Welcome(pb::Welcome::SNAPSHOT, "other", 7);
  AckAll();

  EXPECT_EQ(streams_.written()[1].snapshot_begin().groups(), 0u);
  EXPECT_GT(streams_.written()[1].snapshot_begin().version(), 0u);
  EXPECT_TRUE(session_->in_sync());
}

TEST_F(PushSessionTest, ChangesAreDeltasOneAtATime) {
  MakeInSync();
  const uint64_t base = session_->share().version();

  Put("b");
  Put("c");
  Remove("a");

  // One is under way; the others wait, and are one change.
  const pb::Delta first = Last().delta();
  EXPECT_EQ(first.base_version(), base);
  ASSERT_THAT(first.upsert(), SizeIs(1));
  AckAll();
  const pb::Delta second = Last().delta();
  EXPECT_EQ(second.base_version(), first.version());
  ASSERT_THAT(second.upsert(), SizeIs(1));
  EXPECT_EQ(second.upsert(0).key(), "c");
  ASSERT_THAT(second.remove(), SizeIs(1));
  EXPECT_EQ(second.remove(0).key(), "a");
  EXPECT_TRUE(session_->in_sync());
  EXPECT_EQ(session_->Snapshot().deltas_sent, 2u);
}

TEST_F(PushSessionTest, AChangeThatFitsNoMessageIsASnapshot) {
  Make({.message_bytes = 600});
  MakeInSync();
  streams_.CompleteWrites(false);
  for (int i = 0; i < 30; ++i) Put(absl::StrCat("g", i), {"some-host.example.org:9100"});
  AckAll();  // of the delta with g0
  streams_.CompleteWrites(true);
  streams_.CompleteWrite();
  loop_.RunUntilIdle();
  AckAll();

  EXPECT_TRUE(Last().has_snapshot_end());
  EXPECT_TRUE(session_->in_sync());
}

TEST_F(PushSessionTest, ComesBackWithADeltaFromWhatIsApplied) {
  MakeInSync();
  const uint64_t base = session_->share().version();
  streams_.Close(absl::UnavailableError("gone"));
  loop_.RunUntilIdle();
  EXPECT_EQ(session_->Snapshot().state, PushState::kWaiting);
  Put("b");
  loop_.Advance(absl::Seconds(5));
  Welcome(pb::Welcome::DELTA, "h", base);

  EXPECT_EQ(Last().delta().base_version(), base);
  ASSERT_THAT(Last().delta().upsert(), SizeIs(1));
  EXPECT_EQ(Last().delta().upsert(0).key(), "b");
}

TEST_F(PushSessionTest, AlreadyAppliedSendsNothing) {
  MakeInSync();
  streams_.Close(absl::UnavailableError("gone"));
  loop_.Advance(absl::Seconds(5));
  Welcome(pb::Welcome::NOTHING, "h", session_->share().version());

  EXPECT_THAT(streams_.written(), SizeIs(1));
  EXPECT_TRUE(session_->in_sync());
}

TEST_F(PushSessionTest, ATrawldThatWentBackFurtherThanIsRememberedGetsASnapshot) {
  Put("a");
  Put("b");
  Start();
  Welcome(pb::Welcome::SNAPSHOT, "");
  AckAll();
  streams_.Close(absl::UnavailableError("gone"));
  loop_.Advance(absl::Seconds(5));
  Welcome(pb::Welcome::DELTA, "h", 2);  // restored from an older disk

  EXPECT_TRUE(streams_.written()[1].has_snapshot_begin());
}

TEST_F(PushSessionTest, ATrawldThatIsAheadInTheHistoryIsCaughtUpWith) {
  Put("a");
  Start();
  Welcome(pb::Welcome::SNAPSHOT, "h", 90);

  EXPECT_EQ(streams_.written()[1].snapshot_begin().version(), 90u);
}

TEST_F(PushSessionTest, RefusedGroupsAreKeptUntilTheyChangeOrGo) {
  MakeInSync();
  const auto refuse = [](const std::string& key) {
    return [key](pb::Ack& ack) {
      pb::Issue& issue = *ack.add_issues();
      issue.set_severity(pb::Issue::ERROR);
      issue.mutable_group()->set_job("node");
      issue.mutable_group()->set_key(key);
      issue.set_detail("is no host");
      ack.set_issue_count(1);
    };
  };
  Put("b", {"x/y"});
  Ack(Last().id(), pb::Ack::APPLIED_PARTLY, Last().delta().version(), refuse("b"));
  ASSERT_THAT(session_->Snapshot().refused, SizeIs(1));
  EXPECT_EQ(session_->Snapshot().refused[0].detail(), "is no host");
  EXPECT_TRUE(session_->in_sync());

  Put("c");
  Ack(Last().id(), pb::Ack::APPLIED, Last().delta().version());
  EXPECT_THAT(session_->Snapshot().refused, SizeIs(1));
  Put("b", {"x:1"});
  Ack(Last().id(), pb::Ack::APPLIED, Last().delta().version());
  EXPECT_THAT(session_->Snapshot().refused, IsEmpty());

  Put("d", {"x/y"});
  Ack(Last().id(), pb::Ack::APPLIED_PARTLY, Last().delta().version(), refuse("d"));
  Remove("d");
  Ack(Last().id(), pb::Ack::APPLIED, Last().delta().version());
  EXPECT_THAT(session_->Snapshot().refused, IsEmpty());
  EXPECT_EQ(session_->Snapshot().refused_count, 0u);
}

TEST_F(PushSessionTest, AGroupThatFitsIntoNoMessageOfTheTrawldIsLeftOutUntilItDoes) {
  const auto takes = [](uint32_t bytes) {
    return [bytes](pb::Welcome& welcome) { welcome.set_max_message_bytes(bytes); };
  };
  Put("a");
  Put("large", std::vector<std::string>(100, "some-host.example.org:9100"));
  Start();
  Welcome(pb::Welcome::SNAPSHOT, "", 0, takes(1024));
  AckAll();
  EXPECT_EQ(streams_.written()[1].snapshot_begin().groups(), 1u);
  EXPECT_TRUE(session_->in_sync());
  ASSERT_THAT(session_->Snapshot().refused, SizeIs(1));
  EXPECT_EQ(session_->Snapshot().refused[0].group().key(), "large");
  EXPECT_EQ(session_->Snapshot().refused[0].code(), pb::Issue::TOO_LARGE);
  EXPECT_EQ(session_->Snapshot().refused_count, 1u);

  // What else changes is a delta as ever.
  Put("b");
  Put("large", std::vector<std::string>(101, "some-host.example.org:9100"));
  AckAll();
  EXPECT_EQ(session_->Snapshot().snapshots_sent, 1u);
  EXPECT_TRUE(session_->in_sync());
  EXPECT_THAT(session_->Snapshot().refused, SizeIs(1));

  streams_.Close(absl::UnavailableError("it restarts with another limit"));
  loop_.Advance(absl::Seconds(5));
  Welcome(pb::Welcome::NOTHING, "h", applied_, takes(1 << 20));
  acked_ = 1;
  AckAll();
  EXPECT_EQ(streams_.written()[1].snapshot_begin().groups(), 3u);
  EXPECT_TRUE(session_->in_sync());
  EXPECT_THAT(session_->Snapshot().refused, IsEmpty());
  EXPECT_EQ(session_->Snapshot().refused_count, 0u);
}

TEST_F(PushSessionTest, WhatIsWantedIsSentAgainAtTheAppliedVersion) {
  MakeInSync();
  pb::SyncResponse response;
  for (const char* key : {"a", "unknown"}) {
    pb::GroupKey& group = *response.mutable_want()->add_groups();
    group.set_job("node");
    group.set_key(key);
  }
  Answer(response);

  const pb::Delta& delta = Last().delta();
  EXPECT_EQ(delta.base_version(), session_->share().version());
  EXPECT_EQ(delta.version(), delta.base_version());
  ASSERT_THAT(delta.upsert(), SizeIs(1));
  EXPECT_EQ(delta.upsert(0).key(), "a");
  Ack(Last().id(), pb::Ack::APPLIED, delta.version());
  EXPECT_TRUE(session_->in_sync());
}

TEST_F(PushSessionTest, AResyncIsAnsweredWithWhatItNeeds) {
  MakeInSync();
  Put("b");
  Ack(Last().id(), pb::Ack::REJECTED, 1,
      [](pb::Ack& ack) { ack.add_issues()->set_code(pb::Issue::VERSION_GAP); });
  pb::SyncResponse response;
  response.mutable_resync()->set_need(pb::Welcome::SNAPSHOT);
  response.mutable_resync()->set_reason("released by an operator");
  Answer(response);
  const size_t before = streams_.written().size();
  loop_.Advance(absl::Seconds(5));

  ASSERT_GT(streams_.written().size(), before);
  EXPECT_TRUE(streams_.written()[before].has_snapshot_begin());
  EXPECT_EQ(session_->Snapshot().resyncs, 1u);
}

TEST_F(PushSessionTest, ATrawldWithAnotherVersionThanItAckedGetsEverythingAgain) {
  MakeInSync();
  loop_.Advance(absl::Seconds(10));
  ASSERT_TRUE(Last().has_heartbeat());
  Ack(Last().id(), pb::Ack::NOOP, applied_);
  EXPECT_TRUE(session_->in_sync());

  loop_.Advance(absl::Seconds(10));
  acked_ = streams_.written().size();
  Ack(Last().id(), pb::Ack::NOOP, applied_ + 1);

  EXPECT_FALSE(session_->settled());
  EXPECT_EQ(session_->Snapshot().resyncs, 1u);
  ASSERT_GT(streams_.written().size(), acked_);
  EXPECT_TRUE(streams_.written()[acked_].has_snapshot_begin());
  AckAll();
  EXPECT_TRUE(session_->in_sync());
  EXPECT_EQ(session_->Snapshot().applied_version, applied_);
}

TEST_F(PushSessionTest, ARejectedChangeIsTriedAgainAfterABackOffAsASnapshot) {
  MakeInSync();
  Put("b");
  Ack(Last().id(), pb::Ack::REJECTED, session_->share().version() - 1, [](pb::Ack& ack) {
    pb::Issue& issue = *ack.add_issues();
    issue.set_field("delta");
    issue.set_detail("is wrong");
  });
  EXPECT_THAT(session_->Snapshot().last_error.message(), HasSubstr("is wrong"));
  EXPECT_EQ(session_->Snapshot().state, PushState::kSending);
  const size_t before = streams_.written().size();
  loop_.RunUntilIdle();
  ASSERT_EQ(streams_.written().size(), before);
  loop_.Advance(absl::Seconds(5));

  ASSERT_GT(streams_.written().size(), before);
  EXPECT_TRUE(streams_.written()[before].has_snapshot_begin());
}

TEST_F(PushSessionTest, NoRoomForTheSnapshotWaitsAsLongAsAsked) {
  Put("a");
  Start();
  Welcome(pb::Welcome::SNAPSHOT, "");
  const size_t sent = streams_.written().size();
  const auto no_room = [](pb::Ack& ack) { ack.mutable_retry_after()->set_seconds(60); };
  for (size_t i = 1; i < sent; ++i) {
    Ack(streams_.written()[i].id(), pb::Ack::REJECTED, 0, no_room);
  }
  acked_ = sent;
  for (int i = 0; i < 59; ++i) {
    loop_.Advance(absl::Seconds(1));
    AckAll();
  }
  for (const pb::SyncRequest& request :
       std::vector(streams_.written().begin() + static_cast<int>(sent), streams_.written().end())) {
    EXPECT_TRUE(request.has_heartbeat());
  }
  loop_.Advance(absl::Seconds(6));
  AckAll();

  EXPECT_TRUE(session_->in_sync());
}

TEST_F(PushSessionTest, SilenceIsFilledWithHeartbeatsAlsoWhenTheWindowIsShut) {
  MakeInSync();
  const size_t before = streams_.written().size();
  loop_.Advance(absl::Seconds(10));
  ASSERT_EQ(streams_.written().size(), before + 1);
  EXPECT_TRUE(Last().has_heartbeat());

  Put("b");  // is not answered
  loop_.Advance(absl::Seconds(10));
  EXPECT_TRUE(Last().has_heartbeat());
}

TEST_F(PushSessionTest, ATrawldThatAnswersNoHeartbeatIsGivenUpAndTriedAgain) {
  MakeInSync();
  for (int i = 0; i < 10; ++i) {
    loop_.Advance(absl::Seconds(10));
    AckAll();
    ASSERT_TRUE(session_->in_sync());
  }

  // It hangs; the connection stands.
  loop_.Advance(absl::Seconds(29));
  EXPECT_TRUE(session_->in_sync());
  loop_.Advance(absl::Seconds(1));
  EXPECT_FALSE(session_->in_sync());
  EXPECT_THAT(session_->Snapshot().last_error,
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("nothing was heard")));
  loop_.Advance(absl::Seconds(5));
  EXPECT_EQ(streams_.opened(), 2u);

  Welcome(pb::Welcome::NOTHING, "h", session_->share().version());
  EXPECT_TRUE(session_->in_sync());
}

TEST_F(PushSessionTest, ATrawldThatDoesNotWelcomeIsGivenUpAndTriedAgain) {
  Start();
  loop_.Advance(absl::Seconds(29));
  EXPECT_EQ(session_->Snapshot().state, PushState::kOpening);
  loop_.Advance(absl::Seconds(6));

  EXPECT_EQ(streams_.opened(), 2u);
  EXPECT_THAT(session_->Snapshot().last_error, StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(PushSessionTest, AShortLeaseGivesATrawldNoLessTimeToAnswer) {
  Put("a");
  Start();
  Welcome(pb::Welcome::SNAPSHOT, "", 0,
          [](pb::Welcome& welcome) { welcome.mutable_heartbeat_interval()->set_seconds(1); });
  AckAll();
  loop_.Advance(absl::Seconds(29));

  EXPECT_TRUE(session_->in_sync());
}

TEST_F(PushSessionTest, ReconnectsWithGrowingDelays) {
  Start();
  size_t opened = 1;
  for (int i = 0; i < 20; ++i) {
    streams_.Close(absl::UnavailableError("connection refused"));
    loop_.RunUntilIdle();
    loop_.Advance(absl::Seconds(5));
    ASSERT_EQ(streams_.opened(), ++opened);
  }
  EXPECT_THAT(session_->Snapshot().last_error, StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(PushSessionTest, GoawayIsHeeded) {
  MakeInSync();
  pb::SyncResponse response;
  response.mutable_goaway()->set_reason("the server is stopping");
  response.mutable_goaway()->mutable_retry_after()->set_seconds(30);
  Answer(response);
  loop_.Advance(absl::Seconds(29));
  EXPECT_EQ(streams_.opened(), 1u);
  loop_.Advance(absl::Seconds(2));

  EXPECT_EQ(streams_.opened(), 2u);
}

TEST_F(PushSessionTest, FencedIsForGoodUntilTheTokenIsAnother) {
  MakeInSync();
  pb::SyncResponse response;
  response.mutable_goaway()->set_reason("another client took the source over");
  response.mutable_goaway()->set_fenced(true);
  Answer(response);
  loop_.Advance(absl::Hours(1));
  EXPECT_EQ(streams_.opened(), 1u);
  EXPECT_EQ(session_->Snapshot().state, PushState::kFenced);

  session_->SetFencingToken(9);
  loop_.RunUntilIdle();
  EXPECT_EQ(streams_.opened(), 2u);
  EXPECT_EQ(Last().hello().fencing_token(), 9u);
}

TEST_F(PushSessionTest, ATrawldThatTheListenerRefusesIsSentNothing) {
  Put("a");
  Start();
  welcome_verdict_ = absl::FailedPreconditionError("equal labels");
  Welcome(pb::Welcome::SNAPSHOT, "");

  EXPECT_THAT(streams_.written(), SizeIs(1));
  EXPECT_EQ(session_->Snapshot().last_error.message(), "equal labels");
  EXPECT_EQ(session_->Snapshot().state, PushState::kWaiting);
}

TEST_F(PushSessionTest, ShrinkingIsMeantForWhatWasThereWhenItWasSaid) {
  MakeInSync();
  session_->SetSourceTargets(500);
  session_->share().Remove({"node", "a"});
  session_->AllowShrink();
  session_->Wake();
  loop_.RunUntilIdle();
  EXPECT_TRUE(Last().delta().allow_shrink());
  EXPECT_EQ(Last().delta().source_targets(), 500u);
  AckAll();
  Put("b");

  EXPECT_FALSE(Last().delta().allow_shrink());
}

TEST_F(PushSessionTest, ABrokenProtocolEndsTheStream) {
  MakeInSync();
  Ack(77, pb::Ack::APPLIED, 1);
  EXPECT_THAT(session_->Snapshot().last_error, StatusIs(absl::StatusCode::kInternal));

  loop_.Advance(absl::Seconds(5));
  Welcome(pb::Welcome::NOTHING, "h", session_->share().version());
  Welcome(pb::Welcome::NOTHING, "h", session_->share().version());
  EXPECT_THAT(session_->Snapshot().last_error, StatusIs(absl::StatusCode::kInternal));
}

}  // namespace
}  // namespace trawl

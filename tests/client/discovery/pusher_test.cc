#include "client/discovery/pusher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "tests/client/discovery/test_groups.h"
#include "tests/client/discovery/test_trawld.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

namespace pb = discovery::v1;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Targets = std::set<std::pair<std::string, std::string>>;

class PusherTest : public ::testing::Test, public Pusher::Listener {
 protected:
  void Make(const std::vector<std::string>& addresses, size_t replicas = 1,
            const std::vector<std::string>& leaving = {}) {
    pusher_ = std::make_unique<Pusher>(Pusher::Options{{"k8s", "me", {}, {}}, {}},
                                       Pusher::Deps{loop_, random_, trawlds_, *this});
    EXPECT_OK(pusher_->SetTrawlds(Division(addresses, replicas), leaving));
  }
  // The pusher dies; what the trawlds have stays.
  void Restart(const std::vector<std::string>& addresses, size_t replicas = 1,
               const std::vector<std::string>& leaving = {}) {
    pusher_.reset();
    Settle();
    Make(addresses, replicas, leaving);
  }
  void Settle() { loop_.Advance(absl::Seconds(30)); }

  static std::vector<pb::TargetGroup> Groups(int groups, int targets = 10) {
    std::vector<pb::TargetGroup> result;
    for (int g = 0; g < groups; ++g) {
      std::vector<std::string> addresses;
      for (int t = 0; t < targets; ++t) addresses.push_back(absl::StrCat("h", g, "-", t, ":1"));
      result.push_back(MakeGroup("node", absl::StrCat("g", g), addresses, {{"group", "x"}}));
    }
    return result;
  }
  void Replace(std::vector<pb::TargetGroup> groups) {
    EXPECT_OK(pusher_->Replace(std::move(groups), {}));
  }
  // Each of a:1 and b:1 leads where the other one did; streams live on.
  void ExchangePlaces() {
    trawlds_.Lead("a:1", "b:1");
    trawlds_.Lead("b:1", "a:1");
  }
  Targets At(const std::string& address) { return trawlds_.at(address).Targets("k8s"); }
  static Targets Both(const Targets& a, const Targets& b) {
    Targets both;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::inserter(both, both.end()));
    return both;
  }
  static Targets Union(Targets a, const Targets& b) {
    a.insert(b.begin(), b.end());
    return a;
  }
  const TrawldStatus& StatusOf(const std::string& address) {
    status_ = pusher_->Snapshot();
    for (const TrawldStatus& trawld : status_.trawlds) {
      if (trawld.address == address) return trawld;
    }
    ADD_FAILURE() << "no trawld " << address;
    return status_.trawlds.front();
  }

  void OnPusherChanged() override { ++told_; }

  FakeEventLoop loop_;
  absl::BitGen random_;
  TestTrawlds trawlds_{loop_};
  PusherStatus status_;
  int told_ = 0;
  std::unique_ptr<Pusher> pusher_;
};

TEST_F(PusherTest, OneTrawldGetsEverything) {
  Make({"a:1"});
  Replace(Groups(3));
  Settle();

  EXPECT_THAT(At("a:1"), SizeIs(30));
  EXPECT_TRUE(pusher_->Snapshot().InSync());
  EXPECT_EQ(pusher_->Snapshot().targets, 30u);
  EXPECT_EQ(StatusOf("a:1").counts.targets(), 30u);
  EXPECT_GT(told_, 0);
}

TEST_F(PusherTest, NothingIsSentBeforeTheFirstReplace) {
  Make({"a:1"});
  Replace(Groups(3));
  Settle();
  Restart({"a:1"});
  EXPECT_OK(pusher_->Update({MakeGroup("node", "new", {"n:1"})}, {}, {}));
  Settle();
  EXPECT_THAT(At("a:1"), SizeIs(30));
  EXPECT_FALSE(pusher_->Snapshot().InSync());

  Replace({});
  Settle();
  EXPECT_THAT(At("a:1"), IsEmpty());
}

TEST_F(PusherTest, EachTargetHasOneOwnerAndKeepsItOverChanges) {
  Make({"a:1", "b:1", "c:1"});
  Replace(Groups(30));
  Settle();
  const Targets a = At("a:1");
  const Targets b = At("b:1");
  EXPECT_EQ(a.size() + b.size() + At("c:1").size(), 300u);
  EXPECT_GT(a.size(), 60u);
  EXPECT_GT(b.size(), 60u);

  EXPECT_OK(pusher_->Update({MakeGroup("node", "g0", {"h0-0:1"}, {{"group", "y"}})},
                            {{"node", "g1"}}, {}));
  Settle();
  for (const char* address : {"a:1", "b:1", "c:1"}) {
    EXPECT_EQ(StatusOf(address).snapshots_sent, 1u);
  }
  EXPECT_EQ(At("a:1").size() + At("b:1").size() + At("c:1").size(), 281u);
  for (const auto& target : At("a:1")) EXPECT_TRUE(a.contains(target));
}

TEST_F(PusherTest, ATrawldThatGetsNothingOfAChangeIsSentNothing) {
  Make({"a:1", "b:1"});
  Replace(Groups(1, 1));
  Settle();
  const bool at_a = !At("a:1").empty();
  EXPECT_OK(pusher_->Update({MakeGroup("node", "g0", {"h0-0:1"}, {{"group", "y"}})}, {}, {}));
  Settle();

  EXPECT_EQ(StatusOf(at_a ? "a:1" : "b:1").deltas_sent, 1u);
  EXPECT_EQ(StatusOf(at_a ? "b:1" : "a:1").deltas_sent, 0u);
}

TEST_F(PusherTest, ATrawldOutOfReachKeepsItsTargets) {
  Make({"a:1", "b:1"});
  Replace(Groups(10));
  Settle();
  const Targets a = At("a:1");
  const Targets b = At("b:1");

  trawlds_.at("b:1").SetReachable(false);
  Settle();
  EXPECT_EQ(At("a:1"), a);
  EXPECT_EQ(StatusOf("b:1").state, PushState::kWaiting);
  trawlds_.at("b:1").SetReachable(true);
  Settle();

  EXPECT_EQ(At("b:1"), b);
  EXPECT_TRUE(pusher_->Snapshot().InSync());
  EXPECT_EQ(StatusOf("b:1").snapshots_sent, 1u);
}

TEST_F(PusherTest, ATrawldThatLostItsDiskGetsItsShareAgain) {
  Make({"a:1", "b:1"});
  Replace(Groups(10));
  Settle();
  const Targets b = At("b:1");
  trawlds_.at("b:1").LoseDisk();
  Settle();

  EXPECT_EQ(At("b:1"), b);
  EXPECT_TRUE(pusher_->Snapshot().InSync());
}

TEST_F(PusherTest, AnAddedTrawldTakesTargetsOverBeforeTheOldOwnersLetGo) {
  Make({"a:1", "b:1"});
  Replace(Groups(10));
  Settle();
  const Targets all = Union(At("a:1"), At("b:1"));

  trawlds_.at("c:1").SetReachable(false);
  EXPECT_OK(pusher_->SetTrawlds(Division({"a:1", "b:1", "c:1"}, 1)));
  Settle();
  EXPECT_EQ(Union(At("a:1"), At("b:1")), all) << "c is not there yet";
  trawlds_.at("c:1").SetReachable(true);
  Settle();

  EXPECT_GT(At("c:1").size(), 10u);
  EXPECT_EQ(Union(Union(At("a:1"), At("b:1")), At("c:1")), all);
  EXPECT_THAT(Both(At("a:1"), At("c:1")), IsEmpty());
  EXPECT_THAT(Both(At("b:1"), At("c:1")), IsEmpty());
  EXPECT_TRUE(pusher_->Snapshot().InSync());
}

TEST_F(PusherTest, ARestartedPusherWithOneMoreAddressHandsOverAsWell) {
  Make({"a:1", "b:1"});
  Replace(Groups(10));
  Settle();
  const Targets all = Union(At("a:1"), At("b:1"));
  trawlds_.at("c:1").SetReachable(false);
  Restart({"a:1", "b:1", "c:1"});
  Replace(Groups(10));
  Settle();
  EXPECT_EQ(Union(At("a:1"), At("b:1")), all) << "c is not there yet";
  trawlds_.at("c:1").SetReachable(true);
  Settle();

  EXPECT_EQ(At("a:1").size() + At("b:1").size() + At("c:1").size(), all.size());
  EXPECT_EQ(Union(Union(At("a:1"), At("b:1")), At("c:1")), all);
}

TEST_F(PusherTest, APusherRestartedInTheMiddleOfAHandOverGoesOnWithIt) {
  Make({"a:1", "b:1"});
  Replace(Groups(10));
  Settle();
  const Targets all = Union(At("a:1"), At("b:1"));
  trawlds_.at("c:1").SetReachable(false);
  EXPECT_OK(pusher_->SetTrawlds(Division({"a:1", "b:1", "c:1"}, 1)));
  Settle();
  for (int i = 0; i < 2; ++i) {
    Restart({"a:1", "b:1", "c:1"});
    Replace(Groups(10));
    Settle();
    EXPECT_EQ(Union(At("a:1"), At("b:1")), all) << "c is not there yet";
  }
  trawlds_.at("c:1").SetReachable(true);
  Settle();
  EXPECT_EQ(At("a:1").size() + At("b:1").size() + At("c:1").size(), all.size());

  // It is over: another restart moves nothing, whoever is there.
  trawlds_.at("c:1").SetReachable(false);
  Restart({"a:1", "b:1", "c:1"});
  Replace(Groups(10));
  Settle();
  EXPECT_EQ(At("a:1").size() + At("b:1").size() + At("c:1").size(), all.size());
}

TEST_F(PusherTest, TargetsThatGoDuringAHandOverGoEverywhere) {
  Make({"a:1", "b:1"});
  Replace(Groups(10));
  Settle();
  trawlds_.at("c:1").SetReachable(false);
  EXPECT_OK(pusher_->SetTrawlds(Division({"a:1", "b:1", "c:1"}, 1)));
  Settle();
  Replace(Groups(5));
  Settle();

  EXPECT_EQ(At("a:1").size() + At("b:1").size(), 50u);
}

TEST_F(PusherTest, AnAddressThatLeavesIsReleasedOnceTheOthersHaveItsTargets) {
  Make({"a:1", "b:1", "c:1"});
  Replace(Groups(10));
  Settle();
  const Targets c = At("c:1");
  trawlds_.at("a:1").SetReachable(false);
  EXPECT_OK(pusher_->SetTrawlds(Division({"a:1", "b:1"}, 1)));
  Settle();
  EXPECT_EQ(At("c:1"), c) << "a does not have its part yet";
  EXPECT_EQ(StatusOf("c:1").state, PushState::kReleasing);
  EXPECT_FALSE(pusher_->Snapshot().InSync());
  trawlds_.at("a:1").SetReachable(true);
  Settle();

  EXPECT_THAT(At("c:1"), IsEmpty());
  EXPECT_EQ(At("a:1").size() + At("b:1").size(), 100u);
  EXPECT_TRUE(pusher_->Snapshot().InSync());
}

TEST_F(PusherTest, ALeaverOutOfReachIsReleasedWhenItComesBack) {
  Make({"a:1", "b:1"});
  Replace(Groups(10));
  Settle();
  trawlds_.at("b:1").SetReachable(false);
  EXPECT_OK(pusher_->SetTrawlds(Division({"a:1"}, 1)));
  Settle();
  EXPECT_THAT(StatusOf("b:1").last_error, StatusIs(absl::StatusCode::kUnavailable));
  trawlds_.at("b:1").SetReachable(true);
  Settle();

  EXPECT_THAT(At("b:1"), IsEmpty());
  EXPECT_THAT(At("a:1"), SizeIs(100));
}

TEST_F(PusherTest, ALeaverOfAnEarlierRunIsReleasedWhenItIsNamed) {
  Make({"a:1", "b:1"});
  Replace(Groups(10));
  Settle();
  Restart({"a:1"}, 1, {"b:1", "never-was:1"});
  Replace(Groups(10));
  Settle();

  EXPECT_THAT(At("b:1"), IsEmpty());
  EXPECT_THAT(At("a:1"), SizeIs(100));
  EXPECT_TRUE(pusher_->Snapshot().InSync());
}

TEST_F(PusherTest, AnAddressThatComesBackBeforeItIsReleasedIsInUseAgain) {
  Make({"a:1", "b:1"});
  Replace(Groups(10));
  Settle();
  const Targets b = At("b:1");
  trawlds_.at("a:1").SetReachable(false);
  EXPECT_OK(pusher_->SetTrawlds(Division({"a:1"}, 1)));
  Settle();
  EXPECT_OK(pusher_->SetTrawlds(Division({"a:1", "b:1"}, 1)));
  trawlds_.at("a:1").SetReachable(true);
  Settle();

  EXPECT_EQ(At("b:1"), b);
  EXPECT_THAT(Both(At("a:1"), b), IsEmpty());
  EXPECT_EQ(At("a:1").size() + b.size(), 100u);
}

TEST_F(PusherTest, ALeaverThatAnotherStreamHoldsKeepsItsTargets) {
  Make({"a:1", "b:1"});
  Replace(Groups(10));
  Settle();
  // The same trawld under another name: it is pushed to, and must not be emptied.
  Pusher other({{"k8s", "other", {}, {}}, {}}, {loop_, random_, trawlds_, *this});
  EXPECT_OK(pusher_->SetTrawlds(Division({"a:1"}, 1)));
  EXPECT_OK(other.SetTrawlds(Division({"b:1"}, 1)));
  EXPECT_OK(other.Replace(Groups(3), {}));
  Settle();

  EXPECT_THAT(At("b:1"), SizeIs(30));
  EXPECT_TRUE(pusher_->Snapshot().InSync()) << "it was given up";
}

TEST_F(PusherTest, ATrawldThatTwoAddressesLeadToIsToldAndHasTheShareOfOne) {
  trawlds_.Lead("b:1", "a:1");
  Make({"a:1", "b:1"});
  Replace(Groups(10));
  Settle();
  const Targets first = At("a:1");
  EXPECT_LT(first.size(), 100u);
  for (int i = 0; i < 100; ++i) {
    loop_.Advance(absl::Seconds(1));
    EXPECT_EQ(At("a:1"), first);
    EXPECT_FALSE(pusher_->Snapshot().InSync());
  }

  const bool a_has_it = StatusOf("a:1").state == PushState::kInSync;
  EXPECT_THAT(StatusOf(a_has_it ? "b:1" : "a:1").last_error,
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(HasSubstr(a_has_it ? "instance \"me for a:1\"" : "\"me for b:1\""),
                             HasSubstr("do two addresses lead to one trawld?"))));
}

TEST_F(PusherTest, TrawldsThatChangePlacesGetTheShareOfTheirNewAddress) {
  Make({"a:1", "b:1"});
  Replace(Groups(10));
  Settle();
  const Targets a = At("a:1");
  const Targets b = At("b:1");

  ExchangePlaces();
  for (const char* address : {"a:1", "b:1"}) trawlds_.at(address).Kill();
  Settle();
  EXPECT_EQ(At("b:1"), a);
  EXPECT_EQ(At("a:1"), b);
  EXPECT_TRUE(pusher_->Snapshot().InSync());

  EXPECT_OK(pusher_->Update({}, {{"node", "g0"}}, {}));
  Settle();
  EXPECT_EQ(At("a:1").size() + At("b:1").size(), 90u);
}

TEST_F(PusherTest, AStreamThatLeadsToAnotherTrawldAfterItBrokeWaitsForThatOnesOwn) {
  Make({"a:1", "b:1"});
  Replace(Groups(10));
  Settle();
  const Targets a = At("a:1");
  const Targets b = At("b:1");

  // b's stream lives on where b was.
  ExchangePlaces();
  trawlds_.at("a:1").Kill();
  Settle();
  EXPECT_EQ(Union(At("a:1"), At("b:1")), Union(a, b));
  EXPECT_FALSE(pusher_->Snapshot().InSync());
  trawlds_.at("b:1").Kill();
  Settle();

  EXPECT_EQ(At("b:1"), a);
  EXPECT_EQ(At("a:1"), b);
  EXPECT_TRUE(pusher_->Snapshot().InSync());
}

TEST_F(PusherTest, ReplicasGiveEachTargetToSoManyTrawlds) {
  Make({"a:1", "b:1", "c:1"}, 2);
  Replace(Groups(10));
  Settle();

  EXPECT_EQ(At("a:1").size() + At("b:1").size() + At("c:1").size(), 200u);
  EXPECT_EQ(Union(Union(At("a:1"), At("b:1")), At("c:1")).size(), 100u);
}

TEST_F(PusherTest, WithReplicasEqualExternalLabelsAreRefused) {
  trawlds_.Add("a:1", {{"cluster", "x"}});
  trawlds_.Add("b:1", {{"cluster", "x"}});
  Make({"a:1", "b:1"}, 2);
  Replace(Groups(10));
  Settle();

  EXPECT_EQ(At("a:1").size() + At("b:1").size(), 100u) << "one of them got its targets";
  const absl::Status error =
      At("a:1").empty() ? StatusOf("a:1").last_error : StatusOf("b:1").last_error;
  EXPECT_THAT(error, StatusIs(absl::StatusCode::kFailedPrecondition,
                              AllOf(HasSubstr("external_labels are those of trawld"),
                                    HasSubstr("2 replicas"))));
  // Without replicas they may be equal.
  EXPECT_OK(pusher_->SetTrawlds(Division({"a:1", "b:1"}, 1)));
  Settle();
  EXPECT_TRUE(pusher_->Snapshot().InSync());
}

TEST_F(PusherTest, ChangingReplicasAddsAndTakesAway) {
  Make({"a:1", "b:1", "c:1"}, 1);
  Replace(Groups(10));
  Settle();
  EXPECT_OK(pusher_->SetTrawlds(Division({"a:1", "b:1", "c:1"}, 3)));
  Settle();
  for (const char* address : {"a:1", "b:1", "c:1"}) EXPECT_THAT(At(address), SizeIs(100));
  EXPECT_OK(pusher_->SetTrawlds(Division({"a:1", "b:1", "c:1"}, 1)));
  Settle();

  EXPECT_EQ(At("a:1").size() + At("b:1").size() + At("c:1").size(), 100u);
}

TEST_F(PusherTest, RefusedGroupsAreReportedWithTheirTrawld) {
  Make({"a:1"});
  std::vector<pb::TargetGroup> groups = Groups(2);
  groups[1].add_targets("no/host");
  Replace(groups);
  Settle();

  EXPECT_THAT(At("a:1"), SizeIs(10));
  ASSERT_THAT(StatusOf("a:1").refused, SizeIs(1));
  EXPECT_EQ(StatusOf("a:1").refused[0].group().key(), "g1");
  Replace(Groups(2));
  Settle();
  EXPECT_THAT(StatusOf("a:1").refused, IsEmpty());
  EXPECT_THAT(At("a:1"), SizeIs(20));
}

TEST_F(PusherTest, AnUnknownJobIsAWarning) {
  Make({"a:1"});
  Replace({MakeGroup("nodes", "g", {"a:1"})});
  Settle();

  ASSERT_THAT(StatusOf("a:1").warnings, SizeIs(1));
  EXPECT_EQ(StatusOf("a:1").warnings[0].code(), pb::Issue::UNKNOWN_JOB);
  EXPECT_TRUE(pusher_->Snapshot().InSync());
}

TEST_F(PusherTest, GroupsThatCanNotBeSentAreToldAndChangeNothing) {
  Make({"a:1"});
  Replace(Groups(2));
  Settle();
  const absl::Status status =
      pusher_->Replace({MakeGroup("", "k", {}), MakeGroup("node", "", {}),
                        MakeGroup("node", "x", {}), MakeGroup("node", "x", {})},
                       {});
  Settle();

  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                               AllOf(HasSubstr("groups[0].job"), HasSubstr("groups[1].key"),
                                     HasSubstr("groups[3]: job \"node\" has key \"x\" twice"))));
  EXPECT_THAT(At("a:1"), SizeIs(20));
}

TEST_F(PusherTest, AGroupThatFitsIntoNoMessageIsRefusedAloneAndKeepsWhatItHad) {
  Make({"a:1"});
  Replace(Groups(2));
  Settle();
  const auto grown = [](int targets) {
    pb::TargetGroup group = MakeGroup("node", "g1", {});
    for (int i = 0; i < targets; ++i) group.add_targets(absl::StrCat("some-host-", i, ".local:1"));
    return group;
  };
  std::vector<pb::TargetGroup> groups = Groups(3);
  groups[1] = grown(60'000);
  Replace(groups);
  Settle();

  EXPECT_THAT(At("a:1"), SizeIs(30));
  EXPECT_TRUE(pusher_->Snapshot().InSync());
  ASSERT_THAT(StatusOf("a:1").refused, SizeIs(1));
  EXPECT_EQ(StatusOf("a:1").refused[0].code(), pb::Issue::TOO_LARGE);
  EXPECT_EQ(StatusOf("a:1").refused[0].group().job(), "node");
  EXPECT_EQ(StatusOf("a:1").refused[0].group().key(), "g1");
  EXPECT_THAT(StatusOf("a:1").refused[0].detail(), HasSubstr("a message takes at most"));

  groups[1] = grown(50);
  Replace(groups);
  Settle();
  EXPECT_THAT(At("a:1"), SizeIs(70));
  EXPECT_THAT(StatusOf("a:1").refused, IsEmpty());
}

TEST_F(PusherTest, NoAddressIsRefused) {
  Make({"a:1"});
  Replace(Groups(2));
  Settle();

  EXPECT_THAT(pusher_->SetTrawlds(Division({}, 1)), StatusIs(absl::StatusCode::kInvalidArgument));
  Settle();
  EXPECT_THAT(At("a:1"), SizeIs(20));
}

TEST_F(PusherTest, AHigherTokenTakesTheSourceOver) {
  Make({"a:1"});
  pusher_->SetFencingToken(1);
  Replace(Groups(2));
  Settle();
  Pusher leader({{"k8s", "leader", 2, {}}, {}}, {loop_, random_, trawlds_, *this});
  EXPECT_OK(leader.SetTrawlds(Division({"a:1"}, 1)));
  EXPECT_OK(leader.Replace(Groups(3), {}));
  Settle();

  EXPECT_THAT(At("a:1"), SizeIs(30));
  EXPECT_EQ(StatusOf("a:1").state, PushState::kFenced);
  EXPECT_TRUE(leader.Snapshot().InSync());
}

}  // namespace
}  // namespace trawl

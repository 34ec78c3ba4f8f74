#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/discovery/pusher.h"
#include "tests/client/discovery/test_groups.h"
#include "tests/client/discovery/test_trawld.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

namespace pb = discovery::v1;

constexpr uint32_t kSeeds = 15;

using Targets = std::set<std::pair<std::string, std::string>>;

// A pusher, five trawlds, and a model of what is wanted; random events, in virtual time.
class World final : private Pusher::Listener {
 public:
  explicit World(uint32_t seed) : random_(seed) {
    StartPusher();
    for (int i = 0; i < 20; ++i) wanted_[Key()] = RandomGroup();
    ReplaceAll();
    Settle();
  }

  void Step() {
    switch (Uniform(0, 9)) {
      case 0:
        trawlds_.at(Address(Uniform(0, 4))).SetReachable(false);
        break;
      case 1:
        for (int i = 0; i < 5; ++i) trawlds_.at(Address(i)).SetReachable(true);
        break;
      case 2:
        trawlds_.at(Address(Uniform(0, 4))).Kill();
        break;
      case 3:
        ChooseAddresses();
        EXPECT_OK(pusher_->SetTrawlds(Division(addresses_, replicas_)));
        break;
      case 4:
        pusher_.reset();
        StartPusher();
        ReplaceAll();
        break;
      default:
        Change();
    }
    loop_.Advance(absl::Milliseconds(Uniform(0, 3) == 0 ? 3000 : Uniform(0, 50)));
  }

  // With everything in reach each wanted target has its owners, and nothing else is anywhere.
  void CheckSettled() {
    for (int i = 0; i < 5; ++i) trawlds_.at(Address(i)).SetReachable(true);
    Settle();
    std::map<std::pair<std::string, std::string>, size_t> owners;
    for (const std::string& address : addresses_) {
      for (const auto& target : trawlds_.at(address).Targets("k8s")) ++owners[target];
    }
    const Targets wanted = Wanted();
    const size_t expected = std::min(replicas_, addresses_.size());
    for (const auto& target : wanted) {
      EXPECT_EQ(owners[target], expected) << target.second;
    }
    EXPECT_EQ(owners.size(), wanted.size());
    EXPECT_TRUE(pusher_->Snapshot().InSync());
  }

  bool Wants(const std::pair<std::string, std::string>& target) const {
    return Wanted().contains(target);
  }

  // Targets that were scraped somewhere before, and are wanted all along.
  Targets ScrapedAndWanted() {
    const Targets wanted = Wanted();
    Targets result;
    for (int i = 0; i < 5; ++i) {
      for (const auto& target : trawlds_.at(Address(i)).Targets("k8s")) {
        if (wanted.contains(target)) result.insert(target);
      }
    }
    return result;
  }

 private:
  static std::string Address(int i) { return absl::StrCat("trawl-", i, ":1"); }
  int Uniform(int from, int to) { return std::uniform_int_distribution<int>(from, to)(random_); }
  std::string Key() { return absl::StrCat("g", Uniform(0, 40)); }
  std::vector<std::string> RandomGroup() {
    std::set<std::string> targets;
    for (int i = Uniform(0, 8); i > 0; --i)
      targets.insert(absl::StrCat("h", Uniform(0, 300), ":1"));
    return {targets.begin(), targets.end()};
  }
  void ChooseAddresses() {
    addresses_.clear();
    for (int i = 0; i < 5; ++i) {
      if (Uniform(0, 2) > 0) addresses_.push_back(Address(i));
    }
    if (addresses_.empty()) addresses_.push_back(Address(0));
    replicas_ = static_cast<size_t>(Uniform(1, 2));
  }
  void StartPusher() {
    if (addresses_.empty()) ChooseAddresses();
    pusher_ = std::make_unique<Pusher>(Pusher::Options{{"k8s", "me", {}, {}}, {}},
                                       Pusher::Deps{loop_, random_, trawlds_, *this});
    // What an earlier run may have left behind is named, as by an operator.
    std::vector<std::string> leaving;
    for (int i = 0; i < 5; ++i) leaving.push_back(Address(i));
    EXPECT_OK(pusher_->SetTrawlds(Division(addresses_, replicas_), leaving));
  }
  void ReplaceAll() {
    std::vector<pb::TargetGroup> groups;
    for (const auto& [key, targets] : wanted_) groups.push_back(MakeGroup("node", key, targets));
    EXPECT_OK(pusher_->Replace(std::move(groups), {}));
  }
  void Change() {
    std::vector<pb::TargetGroup> upsert;
    std::vector<GroupId> remove;
    for (int i = Uniform(1, 4); i > 0; --i) {
      const std::string key = Key();
      if (Uniform(0, 3) == 0) {
        wanted_.erase(key);
        remove.push_back({"node", key});
        std::erase_if(upsert, [&](const pb::TargetGroup& group) { return group.key() == key; });
      } else if (std::find(remove.begin(), remove.end(), GroupId("node", key)) == remove.end()) {
        wanted_[key] = RandomGroup();
        std::erase_if(upsert, [&](const pb::TargetGroup& group) { return group.key() == key; });
        upsert.push_back(MakeGroup("node", key, wanted_[key]));
      }
    }
    EXPECT_OK(pusher_->Update(std::move(upsert), remove, {}));
  }
  Targets Wanted() const {
    Targets wanted;
    for (const auto& [key, targets] : wanted_) {
      for (const std::string& target : targets) wanted.insert({"node", target});
    }
    return wanted;
  }
  void Settle() { loop_.Advance(absl::Minutes(2)); }
  void OnPusherChanged() override {}

  std::mt19937 random_;
  FakeEventLoop loop_;
  TestTrawlds trawlds_{loop_};
  std::vector<std::string> addresses_;
  size_t replicas_ = 1;
  std::map<std::string, std::vector<std::string>> wanted_;
  std::unique_ptr<Pusher> pusher_;
};

TEST(PusherRandomTest, WhateverHappensEachTargetHasItsOwnersInTheEnd) {
  for (uint32_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    World world(seed);
    for (int i = 0; i < 40; ++i) world.Step();
    world.CheckSettled();
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(PusherRandomTest, ATargetThatIsScrapedAndWantedIsNeverLostOnTheWay) {
  for (uint32_t seed = 1001; seed <= 1000 + kSeeds; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    World world(seed);
    for (int i = 0; i < 40; ++i) {
      const Targets before = world.ScrapedAndWanted();
      world.Step();
      const Targets after = world.ScrapedAndWanted();
      for (const auto& target : before) {
        if (!after.contains(target) && world.Wants(target)) {
          ADD_FAILURE() << target.second << " is scraped nowhere after step " << i;
          return;
        }
      }
    }
  }
}

}  // namespace
}  // namespace trawl

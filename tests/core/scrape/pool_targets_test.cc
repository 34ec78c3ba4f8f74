#include "core/scrape/pool_targets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

ScrapeConfig Job() {
  ScrapeConfig config;
  config.job_name = "job";
  return config;
}

OwnedGroup Group(std::string source, std::string key, std::vector<std::string> targets,
                 Labels labels = {}) {
  return {std::move(source), std::make_shared<const TargetGroup>(TargetGroup{
                                 std::move(key), std::move(targets), std::move(labels)})};
}

std::vector<std::string> Urls(const std::vector<std::shared_ptr<const Target>>& targets) {
  std::vector<std::string> urls;
  for (const auto& target : targets) urls.push_back(target->url);
  std::ranges::sort(urls);
  return urls;
}

TEST(PoolTargetsTest, TellsWhatCameAndWhatWent) {
  PoolTargets targets;
  PoolTargets::Change change = targets.Update(Job(), {Group("s", "0", {"a", "b"})});
  EXPECT_THAT(Urls(change.added), ElementsAre("http://a/metrics", "http://b/metrics"));

  change = targets.Update(Job(), {Group("s", "0", {"b", "c"})});

  EXPECT_THAT(Urls(change.added), ElementsAre("http://c/metrics"));
  EXPECT_THAT(Urls(change.removed), ElementsAre("http://a/metrics"));
  EXPECT_EQ(targets.size(), 2u);
}

TEST(PoolTargetsTest, GroupsThatDidNotChangeCostNothing) {
  PoolTargets targets;
  const OwnedGroup kept = Group("s", "0", {"a"});
  targets.Update(Job(), {kept, Group("s", "1", {"b"})});
  const Target* before = targets.groups()[0]->built.active[0].target.get();

  const PoolTargets::Change change = targets.Update(Job(), {kept, Group("s", "1", {"c"})});

  EXPECT_EQ(targets.groups()[0]->built.active[0].target.get(), before);
  EXPECT_THAT(change.reowned, IsEmpty());
  EXPECT_THAT(change.added, SizeIs(1));
}

TEST(PoolTargetsTest, AnEqualGroupIsNoChange) {
  PoolTargets targets;
  targets.Update(Job(), {Group("s", "0", {"a"})});

  const PoolTargets::Change change = targets.Update(Job(), {Group("s", "0", {"a"})});

  EXPECT_THAT(change.added, IsEmpty());
  EXPECT_THAT(change.removed, IsEmpty());
  EXPECT_THAT(change.reowned, IsEmpty());
}

TEST(PoolTargetsTest, ATargetOfTwoSourcesIsThereOnceAndGoesWithTheLast) {
  PoolTargets targets;
  const OwnedGroup first = Group("a", "0", {"x"}, Labels({{"__meta_from", "a"}}));
  const OwnedGroup second = Group("b", "0", {"x"}, Labels({{"__meta_from", "b"}}));
  PoolTargets::Change change = targets.Update(Job(), {first, second});
  ASSERT_THAT(change.added, SizeIs(1));
  const uint64_t hash = change.added[0]->hash;
  EXPECT_EQ(targets.Get(hash).owners[0].group->source, "a");

  change = targets.Update(Job(), {second});
  EXPECT_THAT(change.removed, IsEmpty());
  EXPECT_THAT(change.reowned, ElementsAre(hash));
  EXPECT_EQ(targets.Get(hash).owners[0].group->source, "b");

  change = targets.Update(Job(), {});
  EXPECT_THAT(change.removed, SizeIs(1));
  EXPECT_EQ(targets.size(), 0u);
}

TEST(PoolTargetsTest, TheSmallestOwnerIsFirstWhateverCameFirst) {
  PoolTargets targets;
  const OwnedGroup late = Group("a", "0", {"x"});
  const OwnedGroup early = Group("b", "0", {"x"});
  PoolTargets::Change change = targets.Update(Job(), {early});
  const uint64_t hash = change.added[0]->hash;

  change = targets.Update(Job(), {late, early});

  EXPECT_THAT(change.reowned, ElementsAre(hash));
  EXPECT_THAT(targets.Get(hash).owners, SizeIs(2));
  EXPECT_EQ(targets.Get(hash).owners[0].group->source, "a");
}

TEST(PoolTargetsTest, TheSameAddressTwiceInAGroupIsOneTarget) {
  PoolTargets targets;

  EXPECT_THAT(targets.Update(Job(), {Group("s", "0", {"x", "x"})}).added, SizeIs(1));
  EXPECT_THAT(targets.Update(Job(), {}).removed, SizeIs(1));
}

TEST(PoolTargetsTest, ATargetThatMovesBetweenGroupsStays) {
  PoolTargets targets;
  targets.Update(Job(), {Group("s", "0", {"x"}), Group("s", "1", {"y"})});

  const PoolTargets::Change change =
      targets.Update(Job(), {Group("s", "0", {"y"}), Group("s", "1", {"x"})});

  EXPECT_THAT(change.added, IsEmpty());
  EXPECT_THAT(change.removed, IsEmpty());
  EXPECT_THAT(change.reowned, SizeIs(2));
}

TEST(PoolTargetsTest, AnotherConfigKeepsTargetsThatItDoesNotChange) {
  PoolTargets targets;
  targets.Update(Job(), {Group("s", "0", {"x"}),
                         Group("s", "1", {"y"}, Labels({{"__metrics_path__", "/own"}}))});
  ScrapeConfig config = Job();
  config.metrics_path = "/other";

  const PoolTargets::Change change = targets.Rebuild(config);

  EXPECT_THAT(Urls(change.added), ElementsAre("http://x/other"));
  EXPECT_THAT(Urls(change.removed), ElementsAre("http://x/metrics"));
  EXPECT_THAT(change.reowned, SizeIs(1));
}

TEST(PoolTargetsTest, BadTargetsAreTold) {
  PoolTargets targets;

  const PoolTargets::Change change = targets.Update(Job(), {Group("s", "g", {"a", "b/c"})});

  ASSERT_THAT(change.new_failures, SizeIs(1));
  EXPECT_EQ(change.new_failures[0]->error,
            "instance 1 in group g: \"b/c\" is not a valid hostname");
  EXPECT_TRUE(change.failed_changed);
}

// Whatever the updates were, the result is that of the last one alone.
TEST(PoolTargetsTest, TheOrderOfUpdatesDoesNotMatter) {
  std::mt19937 random(1);  // NOLINT: the same sequence each time
  PoolTargets targets;
  std::set<uint64_t> there;
  for (int round = 0; round < 200; ++round) {
    std::vector<OwnedGroup> groups;
    std::set<std::string> wanted;
    for (int g = 0; g < 4; ++g) {
      if (random() % 4 == 0) continue;
      std::vector<std::string> addresses;
      for (int t = 0; t < 6; ++t) {
        if (random() % 2 == 0) addresses.push_back(absl::StrCat("host-", t));
      }
      for (const std::string& address : addresses) {
        wanted.insert(absl::StrCat("http://", address, "/metrics"));
      }
      groups.push_back(Group(absl::StrCat("s", g / 2), absl::StrCat(g), addresses));
    }
    const PoolTargets::Change change = targets.Update(Job(), groups);
    for (const auto& target : change.added) ASSERT_TRUE(there.insert(target->hash).second);
    for (const auto& target : change.removed) ASSERT_EQ(there.erase(target->hash), 1u);
    std::set<std::string> urls;
    for (uint64_t hash : there) {
      urls.insert(targets.Get(hash).target->url);
      const auto& owners = targets.Get(hash).owners;
      ASSERT_TRUE(std::ranges::is_sorted(owners, {}, [](const PoolTargets::Owner& owner) {
        return std::tuple(owner.group->source, owner.group->group->key, owner.index);
      }));
    }
    ASSERT_EQ(urls, wanted);
  }
}

}  // namespace
}  // namespace trawl

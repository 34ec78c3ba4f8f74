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

const Target& TargetOf(const std::shared_ptr<const Target>& removed) { return *removed; }
const Target& TargetOf(const PoolTargets::Change::Added& added) { return *added.target; }

template <typename List>
std::vector<std::string> Urls(const List& targets) {
  std::vector<std::string> urls;
  for (const auto& target : targets) urls.push_back(TargetOf(target).url);
  std::ranges::sort(urls);
  return urls;
}

// The owners of the only target.
TargetOwners Owners(const PoolTargets& targets) {
  EXPECT_EQ(targets.active().size(), 1u);
  return (*targets.active().begin())->owners;
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
  const auto before = targets.groups()[0];

  const PoolTargets::Change change = targets.Update(Job(), {kept, Group("s", "1", {"c"})});

  EXPECT_EQ(targets.groups()[0], before);
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
  const uint64_t hash = change.added[0].target->hash;
  EXPECT_EQ(Owners(targets)[0].group->source, "a");

  change = targets.Update(Job(), {second});
  EXPECT_THAT(change.removed, IsEmpty());
  EXPECT_THAT(change.reowned, ElementsAre(hash));
  EXPECT_EQ(Owners(targets)[0].group->source, "b");

  change = targets.Update(Job(), {});
  EXPECT_THAT(change.removed, SizeIs(1));
  EXPECT_EQ(targets.size(), 0u);
}

TEST(PoolTargetsTest, TargetsOfASourceThatIsHeldAreDroppedUntilItIsConfirmed) {
  PoolTargets targets;
  TargetGroup held{"0", {"a", "b"}, {}};
  held.withheld = true;
  const OwnedGroup listed = Group("s", "0", {"a", "b"});

  PoolTargets::Change change =
      targets.Update(Job(), {{"s", std::make_shared<const TargetGroup>(held)}});
  EXPECT_THAT(change.added, IsEmpty());
  EXPECT_EQ(change.failed, 0u);
  EXPECT_EQ(targets.withheld_count(), 2u);
  EXPECT_EQ(targets.dropped_count() + targets.failed_count(), 0u);
  EXPECT_EQ(targets.groups()[0]->built.dropped[1].reason, DropReason::kSourceHeld);

  change = targets.Update(Job(), {listed});
  EXPECT_THAT(Urls(change.added), ElementsAre("http://a/metrics", "http://b/metrics"));
  EXPECT_EQ(targets.withheld_count(), 0u);
}

TEST(PoolTargetsTest, ATargetIsHeldUntilItIsListedAgain) {
  PoolTargets targets;
  targets.Update(Job(), {Group("s", "0", {"a", "b"})});
  TargetGroup held{"0", {"b", "a"}, {}};
  held.held = 1;

  PoolTargets::Change change =
      targets.Update(Job(), {{"s", std::make_shared<const TargetGroup>(held)}});
  EXPECT_THAT(change.added, IsEmpty());
  EXPECT_THAT(change.removed, IsEmpty());
  EXPECT_TRUE(IsHeld(*targets.active().ByUrl()[0]));
  EXPECT_FALSE(IsHeld(*targets.active().ByUrl()[1]));

  targets.Update(Job(), {Group("s", "0", {"b", "a"})});
  EXPECT_FALSE(IsHeld(*targets.active().ByUrl()[0]));
}

TEST(PoolTargetsTest, TheSmallestOwnerIsFirstWhateverCameFirst) {
  PoolTargets targets;
  const OwnedGroup late = Group("a", "0", {"x"});
  const OwnedGroup early = Group("b", "0", {"x"});
  PoolTargets::Change change = targets.Update(Job(), {early});
  const uint64_t hash = change.added[0].target->hash;

  change = targets.Update(Job(), {late, early});

  EXPECT_THAT(change.reowned, ElementsAre(hash));
  EXPECT_THAT(Owners(targets), SizeIs(2));
  EXPECT_EQ(Owners(targets)[0].group->source, "a");
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

  EXPECT_EQ(change.failed, 1u);
  EXPECT_THAT(change.failures,
              ElementsAre("instance 1 in group g: \"b/c\" is not a valid hostname"));
  EXPECT_EQ(targets.failed_count(), 1u);
  targets.Update(Job(), {});
  EXPECT_EQ(targets.failed_count(), 0u);
}

TEST(PoolTargetsTest, OfVeryManyBadTargetsTheFirstAreTold) {
  PoolTargets targets;

  const PoolTargets::Change change =
      targets.Update(Job(), {Group("s", "g", std::vector<std::string>(100, "b/c"))});

  EXPECT_EQ(change.failed, 100u);
  EXPECT_THAT(change.failures, SizeIs(PoolTargets::kMaxFailuresTold));
}

TEST(PoolTargetsTest, AnAddedAddressBuildsNoOtherTargetAnew) {
  PoolTargets targets;
  targets.Update(Job(), {Group("s", "0", {"a"})});
  const auto before = targets.active().ByUrl()[0];

  const PoolTargets::Change change = targets.Update(Job(), {Group("s", "0", {"new", "a"})});

  EXPECT_THAT(Urls(change.added), ElementsAre("http://new/metrics"));
  EXPECT_THAT(change.reowned, IsEmpty());
  EXPECT_EQ(targets.active().ByUrl()[0], before);
}

TEST(PoolTargetsTest, TargetsAreListedByUrlWhicheverGroupsNameThem) {
  const auto listed = [](const ActiveTargets& active) {
    std::vector<std::string> urls;
    for (const auto& target : active.ByUrl()) urls.push_back(target->target->url);
    return urls;
  };
  PoolTargets targets;
  EXPECT_THAT(listed(targets.active()), IsEmpty());
  targets.Update(Job(), {Group("s", "0", {"d", "a"}), Group("s", "1", {"c", "b"})});
  const ActiveTargets before = targets.active();

  targets.Update(Job(), {Group("s", "0", {"e", "a"}), Group("s", "1", {"c", "b"})});

  EXPECT_THAT(listed(before), ElementsAre("http://a/metrics", "http://b/metrics",
                                          "http://c/metrics", "http://d/metrics"));
  EXPECT_THAT(listed(targets.active()), ElementsAre("http://a/metrics", "http://b/metrics",
                                                    "http://c/metrics", "http://e/metrics"));
}

TEST(PoolTargetsTest, LabelsThatATargetDoesNotShowAreSeenByItsReaders) {
  PoolTargets targets;
  targets.Update(Job(), {Group("s", "0", {"a"}, Labels({{"__meta_x", "1"}}))});

  const PoolTargets::Change change =
      targets.Update(Job(), {Group("s", "0", {"a"}, Labels({{"__meta_x", "2"}}))});

  EXPECT_THAT(change.added, IsEmpty());
  EXPECT_THAT(change.reowned, SizeIs(1));
  EXPECT_EQ(Owners(targets)[0].group->labels.Get("__meta_x"), "2");
}

TEST(PoolTargetsTest, OfAddressesThatComeToOneTargetTheFirstIsShown) {
  RelabelConfig same;
  same.target_label = "__address__";
  same.replacement = "one";
  ScrapeConfig config = Job();
  config.relabel_configs = {same};
  config.relabel_rules.rules = std::make_shared<const RelabelRules>(
      RelabelRules::Compile(config.relabel_configs, NameValidation::kUtf8).value());
  PoolTargets targets;
  targets.Update(config, {Group("s", "0", {"a", "b"})});
  EXPECT_EQ(Owners(targets)[0].address, "a");

  const PoolTargets::Change change = targets.Update(config, {Group("s", "0", {"b", "a"})});

  EXPECT_THAT(change.reowned, SizeIs(1));
  EXPECT_EQ(Owners(targets)[0].address, "b");
  EXPECT_EQ(targets.duplicate_count(), 1u);
}

TEST(PoolTargetsTest, SharesAreCountedBySource) {
  PoolTargets targets;
  targets.Update(
      Job(), {Group("a", "0", {"x", "y", "x"}), Group("a", "1", {"x"}), Group("b", "0", {"x"})});

  EXPECT_EQ(targets.sources().at("a").groups, 2u);
  EXPECT_EQ(targets.sources().at("a").active, 2u);
  EXPECT_EQ(targets.sources().at("b").active, 1u);
  EXPECT_EQ(targets.duplicate_count(), 2u);
  targets.Update(Job(), {Group("b", "0", {"x"})});
  EXPECT_FALSE(targets.sources().contains("a"));
  EXPECT_EQ(targets.duplicate_count(), 0u);
}

// Groups of two sources, with addresses that repeat, are dropped by a rule, or are no addresses.
class RandomGroups {
 public:
  // Changes some groups, and leaves the others as they are.
  OwnedGroups Next() {
    std::vector<OwnedGroup> gone;
    std::vector<OwnedGroup> fresh;
    for (int g = 0; g < 60; ++g) {
      if (Below(8) != 0) continue;
      OwnedGroup group = Group(absl::StrCat("s", g / 30), absl::StrCat("key-", g % 30), {},
                               Labels({{"__meta_zone", Below(4) == 0 ? "drop" : "keep"}}));
      if (Below(4) == 0) {
        gone.push_back(group);
        continue;
      }
      auto content = std::make_shared<TargetGroup>(*group.group);
      for (int t = Below(6); t > 0; --t) {
        content->targets.push_back(Below(10) == 0 ? "a/b" : absl::StrCat("host-", Below(40)));
      }
      group.group = std::move(content);
      fresh.push_back(std::move(group));
    }
    groups_ = groups_.Edit(gone, std::move(fresh));
    return groups_;
  }

 private:
  int Below(uint32_t n) { return static_cast<int>(random_() % n); }

  std::mt19937 random_{1};  // NOLINT: the same sequence each time
  OwnedGroups groups_;
};

ScrapeConfig DropZone() {
  RelabelConfig drop;
  drop.action = RelabelAction::kDrop;
  drop.source_labels = {"__meta_zone"};
  drop.regex = "drop";
  ScrapeConfig config = Job();
  config.relabel_configs = {drop};
  config.relabel_rules.rules = std::make_shared<const RelabelRules>(
      RelabelRules::Compile(config.relabel_configs, NameValidation::kUtf8).value());
  return config;
}

// Everything that a reader can see of it.
std::vector<std::string> Describe(const ScrapeConfig& config, const PoolTargets& targets) {
  std::vector<std::string> lines;
  for (const auto& target : targets.active()) {
    std::string line = target->target->url;
    for (const TargetOwner& owner : target->owners) {
      absl::StrAppend(&line, " ", owner.group->source, "/", owner.group->key, "[", owner.address,
                      "]", owner.group->labels.ToString());
    }
    lines.push_back(line);
  }
  for (const auto& group : targets.groups()) {
    lines.push_back(absl::StrCat(group->origin->source, "/", group->origin->key));
    for (const auto& dropped : group->built.dropped) {
      lines.push_back(absl::StrCat(dropped.index, " ", dropped.hash, " ",
                                   static_cast<int>(dropped.reason), " ", dropped.rule));
    }
  }
  for (const auto& [source, share] : targets.sources()) {
    lines.push_back(absl::StrCat(source, " ", share.groups, " ", share.active));
  }
  lines.push_back(absl::StrCat(targets.size(), " ", targets.dropped_count(), " ",
                               targets.failed_count(), " ", targets.duplicate_count(), " ",
                               config.job_name));
  return lines;
}

// Whatever the updates were, also those that were never seen, the result is that of the last one
// alone; and what is told of each step adds up to it.
TEST(PoolTargetsTest, AnUpdateComesToWhatABuildFromNothingComesTo) {
  const ScrapeConfig configs[] = {Job(), DropZone()};
  RandomGroups groups;
  PoolTargets targets;
  std::set<uint64_t> there;
  for (int round = 0; round < 200; ++round) {
    const ScrapeConfig& config = configs[round / 10 % 2];
    std::vector<PoolTargets::Change> changes;
    if (round % 10 == 0) changes.push_back(targets.Rebuild(config));
    for (int unseen = round % 3; unseen > 0; --unseen) groups.Next();
    const OwnedGroups wanted = groups.Next();
    const ActiveTargets before = targets.active();
    changes.push_back(targets.Update(config, wanted));

    for (const PoolTargets::Change& change : changes) {
      for (const auto& added : change.added) {
        ASSERT_TRUE(there.insert(added.target->hash).second);
      }
      for (const auto& target : change.removed) ASSERT_EQ(there.erase(target->hash), 1u);
      for (uint64_t hash : change.reowned) ASSERT_TRUE(there.contains(hash));
    }
    ASSERT_EQ(there.size(), targets.size());
    PoolTargets anew;
    anew.Update(config, wanted);
    ASSERT_EQ(Describe(config, targets), Describe(config, anew)) << "round " << round;
    size_t touched = 0;
    ActiveTargets::Set::Diff(
        before.set(), targets.active().set(), [&](const auto&) { ++touched; }, [](const auto&) {});
    ASSERT_EQ(touched, changes.back().removed.size() + changes.back().reowned.size());
  }
}

}  // namespace
}  // namespace trawl

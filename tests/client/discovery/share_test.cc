#include "client/discovery/share.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/discovery/test_groups.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr size_t kNoLimit = 1 << 20;

GroupPtr Group(const std::string& key, const std::vector<std::string>& targets = {"t:1"}) {
  return std::make_shared<const discovery::v1::TargetGroup>(MakeGroup("node", key, targets));
}

TEST(ShareTest, ChangesAfterABaseAreTheNewestOfEachGroup) {
  Share share;
  share.Put(Group("a"));
  share.Put(Group("b"));
  const uint64_t base = share.version();
  share.Put(Group("a", {"t:2"}));
  share.Put(Group("c"));
  share.Put(Group("a", {"t:3"}));
  share.Remove({"node", "b"});

  const Share::Changes changes = share.ChangesAfter(base, kNoLimit);

  ASSERT_THAT(changes.upsert, SizeIs(2));
  EXPECT_EQ(changes.upsert[0]->key(), "c");
  EXPECT_THAT(changes.upsert[1]->targets(), ElementsAre("t:3"));
  EXPECT_THAT(changes.remove, ElementsAre(GroupId("node", "b")));
  EXPECT_TRUE(changes.complete);
  EXPECT_EQ(share.group_count(), 2u);
  EXPECT_EQ(share.target_count(), 2u);
}

TEST(ShareTest, AnEqualGroupIsNoChange) {
  Share share;
  EXPECT_TRUE(share.Put(Group("a")));
  const uint64_t version = share.version();

  EXPECT_FALSE(share.Put(Group("a")));
  EXPECT_FALSE(share.Remove({"node", "z"}));
  EXPECT_EQ(share.version(), version);
}

TEST(ShareTest, WhatWasToldIsForgotten) {
  Share share;
  share.Put(Group("a"));
  share.Put(Group("b"));
  share.Remove({"node", "a"});
  const uint64_t told = share.version();

  share.Forget(told);

  EXPECT_TRUE(share.Knows(told));
  EXPECT_FALSE(share.Knows(told - 1));  // b may be told, a's removal is forgotten
  share.Put(Group("b", {"t:2"}));
  EXPECT_THAT(share.ChangesAfter(told, kNoLimit).upsert, SizeIs(1));
  EXPECT_THAT(share.ChangesAfter(told, kNoLimit).remove, IsEmpty());
}

TEST(ShareTest, MoreThanFitsIsIncomplete) {
  Share share;
  for (const char* key : {"a", "b", "c"}) share.Put(Group(key));

  EXPECT_FALSE(share.ChangesAfter(1, 40).complete);
}

TEST(ShareTest, SkipsToWhereTheTrawldHasBeen) {
  Share share;
  share.SkipTo(40);
  EXPECT_EQ(share.version(), 40u);
  share.SkipTo(30);
  share.Put(Group("a"));

  EXPECT_EQ(share.version(), 41u);
  EXPECT_FALSE(share.Knows(42));
}

TEST(ShareTest, LabelsAreComparedAsASet) {
  EXPECT_TRUE(SameGroup(MakeGroup("j", "k", {"t"}, {{"a", "1"}, {"b", "2"}}),
                        MakeGroup("j", "k", {"t"}, {{"b", "2"}, {"a", "1"}})));
  EXPECT_FALSE(SameGroup(MakeGroup("j", "k", {"t"}, {{"a", "1"}}),
                         MakeGroup("j", "k", {"t"}, {{"a", "2"}})));
  EXPECT_FALSE(SameGroup(MakeGroup("j", "k", {"t"}, {{"a", "1"}}),
                         MakeGroup("j", "k", {"t"}, {{"b", "1"}})));
  EXPECT_FALSE(SameGroup(MakeGroup("j", "k", {"t", "u"}), MakeGroup("j", "k", {"u", "t"})));
}

}  // namespace
}  // namespace trawl

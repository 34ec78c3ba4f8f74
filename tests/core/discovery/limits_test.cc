// What one pusher may take from the others: nothing.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "absl/strings/str_cat.h"
#include "tests/core/discovery/discovery_world.h"

namespace trawl {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

StreamHello HelloOf(const std::string& source) {
  StreamHello hello;
  hello.source = source;
  hello.history_id = "h";
  return hello;
}

Discovery::Options Staging(uint64_t bytes) {
  Discovery::Options options;
  options.max_staged_bytes = bytes;
  return options;
}

std::vector<JobGroup> GroupsOf(int count) {
  std::vector<JobGroup> groups;
  for (int i = 0; i < count; ++i) {
    groups.push_back({"node", {absl::StrCat("k", i), {"10.0.0.1:9100"}, {{"rack", "r1"}}}});
  }
  return groups;
}

TEST(DiscoveryLimitsTest, SixtyFourSnapshotsThatStallAreBoundedAndOthersAreServed) {
  std::deque<RecordingSyncPeer> peers(65);
  DiscoveryWorld world(Staging(1 << 20));
  int staged = 0;
  for (uint64_t i = 0; i < 64; ++i) {
    RecordingSyncPeer& peer = peers[i];
    world.SayHello(i + 1, peer, HelloOf(absl::StrCat("s", i)));
    world.Say(i + 1, {2, SyncBegin{1, 100, 20'000}});
    world.Say(i + 1, {3, SyncPart{GroupsOf(50), 10'000}});
    const SyncAck ack = *peer.Last<SyncAck>();
    if (ack.staged) {
      ++staged;
    } else {
      EXPECT_TRUE(ack.retry_after || ack.result.issues.at(0).code == IssueCode::kNoSnapshot);
    }
    ASSERT_LE(world.metrics.staged_bytes.Value(), 1 << 20);
  }
  EXPECT_GT(staged, 10);
  EXPECT_LT(staged, 64);
  EXPECT_GT(world.metrics.limit_hits_total.Value({"staged_bytes"}), 0);
  EXPECT_EQ(world.metrics.streams.Value(), 64);

  // Deltas and unary calls need no room.
  world.SayHello(65, peers[64], HelloOf("other"));
  world.Say(65, {2, SyncDelta{0, 1, {{"node", {"0", {"n1"}, {}}}}, {}}});
  EXPECT_EQ(peers[64].Last<SyncAck>()->result.status, ApplyStatus::kApplied);
  EXPECT_THAT(world.Targets(), ::testing::ElementsAre("n1"));

  world.loop.Advance(absl::Seconds(31));
  EXPECT_EQ(world.metrics.staged_bytes.Value(), 0);
  world.Stop();
}

TEST(DiscoveryLimitsTest, SixtyFourSourcesAtOnceAreAllTaken) {
  std::deque<RecordingSyncPeer> peers(64);
  DiscoveryWorld world;
  const auto each = [&](SyncInput input) {
    for (uint64_t i = 0; i < 64; ++i) world.discovery->StreamMessageAsync(i + 1, input);
    world.loop.RunUntilIdle();
  };
  for (uint64_t i = 0; i < 64; ++i) world.SayHello(i + 1, peers[i], HelloOf(absl::StrCat("s", i)));
  each({2, SyncBegin{1, 100, 20'000}});
  each({3, SyncPart{GroupsOf(50), 10'000}});
  each({4, SyncPart{GroupsOf(0), 10}});
  each({5, SyncBegin{1, 50, 20'000}});  // in its place
  each({6, SyncPart{GroupsOf(50), 10'000}});
  each({7, SyncEnd{}});
  for (const RecordingSyncPeer& peer : peers) {
    EXPECT_EQ(peer.Last<SyncAck>()->result.status, ApplyStatus::kApplied);
    EXPECT_EQ(peer.Last<SyncAck>()->id, 7u);
  }
  EXPECT_EQ(world.metrics.staged_bytes.Value(), 0);
  EXPECT_THAT(world.Targets(), SizeIs(64 * 50));
  world.Stop();
}

TEST(DiscoveryLimitsTest, WhatIsStagedIsCountedAsTheMemoryThatItTakes) {
  RecordingSyncPeer peer;
  DiscoveryWorld world(Staging(30'000));
  world.SayHello(1, peer, HelloOf("s"));
  world.Say(1, {2, SyncBegin{1, 1, 20'000}});
  // Empty strings are two bytes on the wire.
  JobGroup hollow{"node", {"k", std::vector<std::string>(2000), {}}};
  world.Say(1, {3, SyncPart{{hollow}, 4000}});

  const SyncAck ack = *peer.Last<SyncAck>();
  ASSERT_THAT(ack.result.issues, SizeIs(1));
  EXPECT_EQ(ack.result.issues[0].code, IssueCode::kTooLarge);
  EXPECT_FALSE(ack.retry_after) << "it would never fit";
  EXPECT_EQ(world.metrics.staged_bytes.Value(), 0);
  world.Stop();
}

TEST(DiscoveryLimitsTest, AMessageThatIsTooLargeIsRefusedAndTheStreamGoesOn) {
  RecordingSyncPeer peer;
  Discovery::Options options;
  options.max_message_bytes = 1000;
  DiscoveryWorld world(options);
  world.SayHello(1, peer, HelloOf("s"));
  SyncInput large{2, SyncDelta{0, 1, GroupsOf(1), {}}};
  large.bytes = 1001;
  world.Say(1, large);
  ASSERT_THAT(peer.Last<SyncAck>()->result.issues, SizeIs(1));
  EXPECT_EQ(peer.Last<SyncAck>()->result.issues[0].code, IssueCode::kTooLarge);
  EXPECT_THAT(peer.Last<SyncAck>()->result.issues[0].detail, HasSubstr("1001 bytes, at most 1000"));
  EXPECT_EQ(world.metrics.limit_hits_total.Value({"message_bytes"}), 1);

  large.bytes = 1000;
  world.Say(1, large);
  EXPECT_EQ(peer.Last<SyncAck>()->result.status, ApplyStatus::kApplied);
  world.Stop();
}

TEST(DiscoveryLimitsTest, EachLimitIsCountedByItsName) {
  Discovery::Options options;
  options.max_streams = 1;
  options.sets.max_sources = 1;
  options.sets.plan.max_groups = 1;
  options.sets.plan.group = {
      .max_targets = 2, .max_labels = 1, .max_name_bytes = 8, .max_value_bytes = 16};
  RecordingSyncPeer peer;
  RecordingSyncPeer second;
  DiscoveryWorld world(options);
  const auto push = [&](const std::string& source, std::vector<JobGroup> groups) {
    Change change;
    change.source = source;
    change.scope = Change::Scope::kJobs;
    change.groups = std::move(groups);
    return world.Apply(change);
  };
  const auto hits = [&](std::string_view limit) {
    return world.metrics.limit_hits_total.Value({limit});
  };
  push("a", {{"node", {"0", {"n1"}, {}}}});

  push("b", {{"node", {"0", {"n1"}, {}}}});
  EXPECT_EQ(hits("sources"), 1);
  push("a", {{"node", {"0", {"n1"}, {}}}, {"node", {"1", {"n1"}, {}}}});
  EXPECT_EQ(hits("groups"), 1);
  push("a", {{"node", {"0", {"1", "2", "3"}, {}}}});
  EXPECT_EQ(hits("group_targets"), 1);
  push("a", {{"node", {"0", {"1"}, {{"a", "1"}, {"b", "2"}}}}});
  EXPECT_EQ(hits("group_labels"), 1);
  push("a", {{"node", {"012345678", {"1"}, {}}}});
  EXPECT_EQ(hits("name_bytes"), 1);
  push("a", {{"node", {"0", {"01234567890123456"}, {}}}});
  EXPECT_EQ(hits("value_bytes"), 1);
  world.SayHello(1, peer, HelloOf("b"));
  EXPECT_EQ(hits("sources"), 2);
  world.SayHello(2, second, HelloOf("a"));
  EXPECT_EQ(hits("streams"), 1);
  EXPECT_THAT(*second.status, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(world.Targets(), ::testing::ElementsAre("n1"));
  world.Stop();
}

TEST(DiscoveryLimitsTest, AnAnswerStaysSmallWhateverWasPushed) {
  DiscoveryWorld world;
  Change change;
  change.source = "a";
  for (int i = 0; i < 200; ++i) {
    change.groups.push_back({"node", {absl::StrCat(i), {std::string(60'000, '/')}, {}}});
  }
  const ApplyResult result = world.Apply(change);
  EXPECT_EQ(result.issue_count, 200u);
  ASSERT_THAT(result.issues, SizeIs(100));
  for (const Issue& issue : result.issues) EXPECT_LT(issue.detail.size(), 2000u);
}

}  // namespace
}  // namespace trawl

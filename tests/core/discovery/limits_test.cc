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

  // Deltas need no room.
  world.SayHello(65, peers[64], HelloOf("other"));
  world.SayEmptySnapshot(65, 1);
  world.Say(65, {4, SyncDelta{1, 2, {{"node", {"0", {"n1"}, {}}}}, {}}});
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
  world.SayEmptySnapshot(1, 1);
  SyncInput large{4, SyncDelta{1, 2, GroupsOf(1), {}}};
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
  options.sets.max_id_bytes = 4;
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
  push("abcde", {{"node", {"0", {"n1"}, {}}}});
  EXPECT_EQ(hits("id_bytes"), 1);
  world.SayHello(1, peer, HelloOf("b"));
  EXPECT_EQ(hits("sources"), 2);
  world.SayHello(2, peer, HelloOf("a"));
  world.SayHello(3, second, HelloOf("c"));
  EXPECT_EQ(hits("streams"), 1);
  EXPECT_THAT(*second.status, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(world.Targets(), ::testing::ElementsAre("n1"));
  world.Stop();
}

TEST(DiscoveryLimitsTest, NamesThatAreTooLongAreRefusedWithTheirFieldAndKeptNowhere) {
  Discovery::Options options;
  options.sets.max_id_bytes = 16;
  options.max_message_bytes = 1000;
  DiscoveryWorld world(options);
  const std::string longer(17, 'x');
  const auto hello_with = [&](auto&& edit, uint64_t bytes) {
    static uint64_t stream = 100;
    RecordingSyncPeer peer;
    StreamHello hello = HelloOf("s");
    edit(hello);
    SyncInput input{1, hello};
    input.bytes = bytes;
    world.discovery->OpenStreamAsync(++stream, peer);
    world.Say(stream, std::move(input));
    world.CloseStream(stream);
    return peer.status.value_or(absl::OkStatus());
  };
  const auto refuses = [](std::string_view text) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(std::string(text)));
  };
  EXPECT_THAT(hello_with([&](StreamHello& h) { h.source = longer; }, 50),
              refuses("hello.source: 17 bytes, at most 16 are allowed"));
  EXPECT_THAT(hello_with([&](StreamHello& h) { h.history_id = longer; }, 50),
              refuses("hello.history_id: 17 bytes"));
  EXPECT_THAT(hello_with([&](StreamHello& h) { h.instance = longer; }, 50),
              refuses("hello.instance: 17 bytes"));
  EXPECT_THAT(hello_with([](StreamHello&) {}, 1001),
              refuses("hello of 1001 bytes, at most 1000 are allowed"));
  EXPECT_EQ(world.metrics.limit_hits_total.Value({"id_bytes"}), 3);
  EXPECT_EQ(world.metrics.limit_hits_total.Value({"message_bytes"}), 1);

  Change push;
  push.source = "s";
  push.scope = Change::Scope::kJobs;
  push.jobs = {"node"};
  push.history_id = longer;
  push.version = 1;
  const ApplyResult result = world.Apply(push);
  EXPECT_EQ(result.issues.at(0).code, IssueCode::kTooLarge);
  EXPECT_EQ(result.issues.at(0).field, "history_id");
  EXPECT_EQ(world.discovery->sets().source_count(), 0u);
  world.Stop();
}

TEST(DiscoveryLimitsTest, StreamsWithoutAHelloTakeNobodysPlaceAndEnd) {
  Discovery::Options options;
  options.max_streams = 51;
  std::deque<RecordingSyncPeer> silent(50);
  RecordingSyncPeer peer;
  DiscoveryWorld world(options);
  for (uint64_t i = 0; i < silent.size(); ++i) world.discovery->OpenStreamAsync(100 + i, silent[i]);
  world.SayHello(150, peer, HelloOf("a"));
  EXPECT_TRUE(peer.Last<SyncWelcome>());

  world.loop.Advance(absl::Seconds(9));
  EXPECT_FALSE(silent[0].status);
  world.loop.Advance(absl::Seconds(1));
  for (const RecordingSyncPeer& each : silent) {
    ASSERT_TRUE(each.status);
    EXPECT_THAT(*each.status, StatusIs(absl::StatusCode::kDeadlineExceeded));
  }
  EXPECT_EQ(world.metrics.limit_hits_total.Value({"hello_time"}), 50);
  EXPECT_FALSE(peer.status);
  world.Stop();
}

TEST(DiscoveryLimitsTest, OfTooManyStreamsWithoutAHelloTheOldestEnds) {
  Discovery::Options options;
  options.max_streams = 2;
  std::deque<RecordingSyncPeer> silent(5);
  RecordingSyncPeer first, second;
  DiscoveryWorld world(options);
  world.SayHello(1, first, HelloOf("a"));
  for (uint64_t i = 0; i < silent.size(); ++i) world.discovery->OpenStreamAsync(10 + i, silent[i]);
  world.loop.RunUntilIdle();

  for (size_t i = 0; i < silent.size(); ++i) EXPECT_EQ(silent[i].status.has_value(), i < 3) << i;
  EXPECT_THAT(*silent[0].status, StatusIs(absl::StatusCode::kResourceExhausted,
                                          HasSubstr("no hello, and 2 newer streams wait")));
  EXPECT_EQ(world.metrics.limit_hits_total.Value({"streams"}), 3);
  EXPECT_FALSE(first.status) << "it said Hello";

  // One more comes to its Hello all the same; and who said it, or went, waits no more.
  world.SayHello(15, second, HelloOf("b"));
  EXPECT_TRUE(second.Last<SyncWelcome>());
  EXPECT_TRUE(silent[3].status);
  world.CloseStream(14);
  for (uint64_t stream : {20, 21}) world.discovery->OpenStreamAsync(stream, silent[0]);
  world.loop.RunUntilIdle();
  EXPECT_EQ(world.metrics.limit_hits_total.Value({"streams"}), 4);
  world.Stop();
}

TEST(DiscoveryLimitsTest, AStreamThatEndsMakesRoomAndOneThatTakesOverNeedsNone) {
  Discovery::Options options;
  options.max_streams = 1;
  RecordingSyncPeer first, second, third, refused;
  DiscoveryWorld world(options);
  world.SayHello(1, first, HelloOf("a"));
  world.SayHello(2, refused, HelloOf("b"));
  EXPECT_THAT(*refused.status, StatusIs(absl::StatusCode::kResourceExhausted));
  world.SayHello(3, second, HelloOf("a"));  // it came back before trawld saw it go
  EXPECT_TRUE(second.Last<SyncWelcome>());
  EXPECT_EQ(world.metrics.streams.Value(), 1);

  world.CloseStream(3);
  EXPECT_EQ(world.metrics.streams.Value(), 0);
  world.SayHello(4, third, HelloOf("b"));
  EXPECT_TRUE(third.Last<SyncWelcome>());
  world.Stop();
}

TEST(DiscoveryLimitsTest, TheConfigurationsOwnSourcesTakeNoPusherItsPlace) {
  Discovery::Options options;
  options.sets.max_sources = 1;
  DiscoveryWorld world(options);
  world.discovery->sets().Claim("static", SourceView::Kind::kStatic);
  world.discovery->sets().Claim("file", SourceView::Kind::kFile);
  Change push;
  push.source = "a";
  push.groups = {{"node", {"0", {"n1"}, {}}}};
  EXPECT_EQ(world.Apply(push).status, ApplyStatus::kApplied);
  push.source = "b";
  EXPECT_THAT(world.Apply(push).issues.at(0).detail, HasSubstr("1 pushed sources, at most 1"));
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

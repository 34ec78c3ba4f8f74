#include "server/append_collector.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/telemetry/metrics.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {
namespace {

std::vector<std::shared_ptr<const LaneStatus>> OneLane(uint64_t stored, uint64_t lost) {
  auto lane = std::make_shared<LaneStatus>();
  lane->next_number = 11;
  lane->log_bytes = 500;
  SinkStatus sink;
  sink.name = "store";
  sink.state = SinkState::kStreaming;
  sink.durable = 7;
  sink.streams_opened = 3;
  sink.samples_acked = stored;
  sink.gap_samples[storage::v1::Gap::SPOOL_CAP] = lost;
  lane->sinks.push_back(sink);
  return {lane};
}

TEST(AppendCollectorTest, CountersGrowByWhatWasAdded) {
  Metrics metrics;
  AppendCollector collector(metrics.append());

  collector.Collect(OneLane(100, 0), {});
  collector.Collect(OneLane(150, 9), {});
  collector.Collect(OneLane(150, 9), {});

  EXPECT_EQ(metrics.append().sink_samples_acked_total.Value({"store"}), 150);
  EXPECT_EQ(metrics.append().sink_lost_samples_total.Value({"store", "spool_cap"}), 9);
  EXPECT_EQ(metrics.append().sink_reconnects_total.Value({"store"}), 2);
  EXPECT_EQ(metrics.append().records_total.Value({"0"}), 10);
}

TEST(AppendCollectorTest, WhatAnEndpointWasNotAskedForAloneIsCounted) {
  Metrics metrics;
  AppendCollector collector(metrics.append());

  collector.CollectUndivided("remote", 5);
  collector.CollectUndivided("remote", 8);

  EXPECT_EQ(metrics.append().sink_undivided_samples_total.Value({"remote"}), 8);
}

TEST(AppendCollectorTest, WhatWasDroppedIsCountedBeforeASinkIsTold) {
  Metrics metrics;
  AppendCollector collector(metrics.append());
  auto lane = std::make_shared<LaneStatus>();
  lane->capped_samples = 7;
  lane->aged_samples = 5;
  lane->refused_samples = 3;

  collector.Collect(std::vector<std::shared_ptr<const LaneStatus>>{lane}, {});

  EXPECT_EQ(metrics.append().dropped_samples_total.Value({"cap"}), 7);
  EXPECT_EQ(metrics.append().dropped_samples_total.Value({"age"}), 5);
  EXPECT_EQ(metrics.append().dropped_samples_total.Value({"refused"}), 3);
}

TEST(AppendCollectorTest, ACounterThatWentBackIsAnotherSinks) {
  Metrics metrics;
  AppendCollector collector(metrics.append());

  collector.Collect(OneLane(100, 0), {});
  collector.Collect(OneLane(30, 0), {});

  EXPECT_EQ(metrics.append().sink_samples_acked_total.Value({"store"}), 130);
}

TEST(AppendCollectorTest, GaugesAreAsTheyAre) {
  Metrics metrics;
  AppendCollector collector(metrics.append());

  collector.Collect(OneLane(1, 0), {});

  EXPECT_EQ(metrics.append().queue_bytes.Value({"0"}), 500);
  EXPECT_EQ(metrics.append().sink_connected.Value({"store", "0"}), 1);
  EXPECT_EQ(metrics.append().sink_durable_number.Value({"store", "0"}), 7);
  EXPECT_EQ(metrics.append().sink_stuck.Value({"store", "0"}), 0);
}

TEST(AppendCollectorTest, ASinkIsDegradedWhileItsEndpointFailsOrItsStoreRefusesTheWriter) {
  Metrics metrics;
  AppendCollector collector(metrics.append());

  collector.Collect(OneLane(1, 0), {"store"});
  EXPECT_EQ(metrics.append().sink_degraded.Value({"store"}), 1);
  collector.Collect(OneLane(1, 0), {"another"});
  EXPECT_EQ(metrics.append().sink_degraded.Value({"store"}), 0);
  auto refused = std::make_shared<LaneStatus>(*OneLane(1, 0)[0]);
  refused->sinks[0].degraded = true;
  collector.Collect(std::vector<std::shared_ptr<const LaneStatus>>{refused}, {});
  EXPECT_EQ(metrics.append().sink_degraded.Value({"store"}), 1);
}

TEST(AppendCollectorTest, AnEndpointThatFailsIsToldBeforeItsLaneHasPublishedTheSink) {
  Metrics metrics;
  AppendCollector collector(metrics.append());

  collector.Collect({}, {"store"});

  EXPECT_EQ(metrics.append().sink_degraded.Value({"store"}), 1);
}

TEST(AppendCollectorTest, WhatAnEarlierRunLeftIsCountedBesideThisRunsLane) {
  Metrics metrics;
  AppendCollector collector(metrics.append());
  auto lanes = OneLane(100, 0);
  LaneStatus earlier = *OneLane(40, 5)[0];
  earlier.earlier = true;
  earlier.epoch = 1;
  earlier.sinks[0].state = SinkState::kWaiting;
  earlier.sinks[0].stuck_number = 3;
  lanes.push_back(std::make_shared<const LaneStatus>(earlier));

  collector.Collect(lanes, {});
  collector.Collect(lanes, {});

  EXPECT_EQ(metrics.append().queue_bytes.Value({"0"}), 1000);
  EXPECT_EQ(metrics.append().records_total.Value({"0"}), 10);
  EXPECT_EQ(metrics.append().sink_samples_acked_total.Value({"store"}), 140);
  EXPECT_EQ(metrics.append().sink_lost_samples_total.Value({"store", "spool_cap"}), 5);
  EXPECT_EQ(metrics.append().sink_connected.Value({"store", "0"}), 1);
  EXPECT_EQ(metrics.append().sink_stuck.Value({"store", "0"}), 1);
}

TEST(AppendCollectorTest, WhatASinkCountedBeforeItHadAllOfAnEarlierRunIsCountedOnce) {
  Metrics metrics;
  AppendCollector collector(metrics.append());
  LaneStatus earlier = *OneLane(40, 5)[0];
  earlier.earlier = true;
  const auto collect = [&] {
    collector.Collect(
        std::vector<std::shared_ptr<const LaneStatus>>{std::make_shared<const LaneStatus>(earlier)},
        {});
  };

  collect();
  earlier.drained_sinks = OneLane(60, 9)[0]->sinks;
  earlier.sinks.clear();
  collect();
  collect();

  EXPECT_EQ(metrics.append().sink_samples_acked_total.Value({"store"}), 60);
  EXPECT_EQ(metrics.append().sink_lost_samples_total.Value({"store", "spool_cap"}), 9);
}

}  // namespace
}  // namespace trawl

#include "core/scrape/scrape_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/core/scrape/scrape_world.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr absl::Duration kInterval = absl::Seconds(10);

class ScrapeManagerTest : public ::testing::Test {
 protected:
  // Of the first target of the job "job", a label before relabeling.
  std::string Discovered(std::string_view name) const {
    const auto pool = world_.Pool("job");
    return std::string(DiscoveredLabels(*pool, **pool->active.begin()).Get(name));
  }

  ScrapeWorld world_;
  FakeEventLoop& loop_ = world_.loop;
};

RelabelConfig Drop(std::string label, std::string regex) {
  RelabelConfig rule;
  rule.action = RelabelAction::kDrop;
  rule.source_labels = {std::move(label)};
  rule.regex = std::move(regex);
  return rule;
}

RelabelConfig Set(std::string label, std::string value) {
  RelabelConfig rule;
  rule.target_label = std::move(label);
  rule.replacement = std::move(value);
  return rule;
}

TEST_F(ScrapeManagerTest, PoolsAreListedByJob) {
  ASSERT_OK(world_.Apply({ScrapeWorld::Job("b"), ScrapeWorld::Job("a")}));
  world_.SetTargets("b", {"y", "x"});

  const auto snapshot = world_.manager->Snapshot();
  ASSERT_THAT(snapshot->pools, SizeIs(2));
  EXPECT_EQ(snapshot->pools[0]->job, "a");
  ASSERT_THAT(snapshot->pools[1]->active, SizeIs(2));
  const ActiveTarget& target = *snapshot->pools[1]->active.ByUrl()[0];
  EXPECT_EQ(target.target->url, "http://x/metrics");
  EXPECT_EQ(*target.target->labels, Labels({{"instance", "x"}, {"job", "b"}}));
  EXPECT_EQ(DiscoveredLabels(*snapshot->pools[1], target).Get("__scrape_interval__"), "10s");
  EXPECT_EQ(target.target->interval_text, "10s");
  ASSERT_THAT(target.owners, SizeIs(1));
  EXPECT_EQ(target.owners[0].group->source, "static/0");
}

TEST_F(ScrapeManagerTest, TargetsMayComeBeforeTheirConfig) {
  world_.SetTargets("job", {"a"});
  EXPECT_THAT(world_.manager->Snapshot()->pools, IsEmpty());

  ASSERT_OK(world_.Apply({ScrapeWorld::Job("job")}));

  EXPECT_THAT(world_.Pool("job")->active, SizeIs(1));
}

TEST_F(ScrapeManagerTest, ABurstIsOneReconcileAndTheNewestWins) {
  ASSERT_OK(world_.Apply({ScrapeWorld::Job("job")}));
  int done = 0;
  for (int i = 0; i < 100; ++i) {
    auto desired = std::make_shared<DesiredTargets>();
    desired->job = "job";
    desired->groups = {ScrapeWorld::Group("s", "0", {absl::StrCat("host-", i)})};
    world_.manager->SetTargets(desired, [&] { ++done; });
  }
  EXPECT_EQ(done, 0);
  loop_.Advance(absl::Milliseconds(10));

  EXPECT_EQ(done, 100);
  ASSERT_THAT(world_.Pool("job")->active, SizeIs(1));
  EXPECT_EQ(world_.Pool("job")->active.ByUrl()[0]->target->url, "http://host-99/metrics");
  EXPECT_EQ(world_.metrics.scrape().pool_sync_total.Value({"job"}), 1);
}

TEST_F(ScrapeManagerTest, AnIdleManagerReactsAtOnceAndABusyOneWithinTenMilliseconds) {
  ASSERT_OK(world_.Apply({ScrapeWorld::Job("job")}));
  loop_.Advance(absl::Seconds(1));
  int done = 0;
  auto desired = std::make_shared<DesiredTargets>();
  desired->job = "job";

  world_.manager->SetTargets(desired, [&] { ++done; });
  loop_.RunUntilIdle();
  EXPECT_EQ(done, 1);

  world_.manager->SetTargets(desired, [&] { ++done; });
  loop_.RunUntilIdle();
  EXPECT_EQ(done, 1);
  loop_.Advance(absl::Milliseconds(10));
  EXPECT_EQ(done, 2);
}

TEST_F(ScrapeManagerTest, AJobThatNeverRestsIsCoalescedAndStarvesNoQuietOne) {
  world_.Serve("kept", "x 1\n");
  ASSERT_OK(world_.Apply({ScrapeWorld::Job("a-noisy"), ScrapeWorld::Job("quiet")}));
  int told = 0;
  int asked = 0;
  for (int ms = 0; ms < 2000; ++ms) {
    std::vector<OwnedGroup> groups = {ScrapeWorld::Group("s", "kept", {"kept"})};
    if (ms % 2 == 0) groups.push_back(ScrapeWorld::Group("s", "flaps", {"comes", "goes"}));
    world_.manager->SetTargets(
        std::make_shared<const DesiredTargets>(DesiredTargets{"a-noisy", std::move(groups)}));
    if (ms % 100 == 0) {
      ++asked;
      OwnedGroups quiet = {ScrapeWorld::Group("s", "0", {absl::StrCat("host-", ms)})};
      world_.manager->SetTargets(
          std::make_shared<const DesiredTargets>(DesiredTargets{"quiet", quiet}), [&] { ++told; });
    }
    loop_.Advance(absl::Milliseconds(1));
    if (ms % 100 == 10) {
      ASSERT_EQ(told, asked) << ms;
    }
  }
  loop_.Advance(absl::Milliseconds(10));

  EXPECT_LE(world_.metrics.scrape().pool_sync_total.Value({"a-noisy"}), 201);
  EXPECT_EQ(world_.metrics.scrape().pool_sync_total.Value({"quiet"}), 20);
  EXPECT_THAT(world_.Pool("a-noisy")->active, SizeIs(1));  // the last one that was staged
}

TEST_F(ScrapeManagerTest, ASourceThatNamesATargetTwiceHasADuplicate) {
  ASSERT_OK(world_.Apply({ScrapeWorld::Job("job")}));
  world_.SetGroups("job",
                   {ScrapeWorld::Group("s", "0", {"a", "b"}), ScrapeWorld::Group("s", "1", {"a"}),
                    ScrapeWorld::Group("t", "0", {"a"})});  // an owner, no duplicate

  const auto pool = world_.Pool("job");
  EXPECT_THAT(pool->active, SizeIs(2));
  EXPECT_EQ(pool->dropped_count, 0u);
  const std::vector<DroppedTarget> dropped = ListDropped(*pool);
  ASSERT_THAT(dropped, SizeIs(1));
  EXPECT_EQ(dropped[0].drop.reason, DropReason::kDuplicate);
  EXPECT_EQ(dropped[0].key, "1");
  EXPECT_EQ(dropped[0].duplicate_of, pool->active.ByUrl()[0]->target.get());
  EXPECT_EQ(dropped[0].detail(), "the source names http://a/metrics twice");
}

TEST_F(ScrapeManagerTest, TargetsOfJobsWithoutAConfigArePending) {
  world_.SetTargets("job", {"a"});
  ASSERT_OK(world_.Apply({ScrapeWorld::Job("other")}));
  ASSERT_THAT(world_.manager->Snapshot()->pending, SizeIs(1));
  const std::vector<DroppedTarget> pending = ListPending(*world_.manager->Snapshot()->pending[0]);
  ASSERT_THAT(pending, SizeIs(1));
  EXPECT_EQ(pending[0].drop.reason, DropReason::kPendingJob);
  EXPECT_EQ(pending[0].discovered_labels(), Labels({{"__address__", "a"}, {"job", "job"}}));

  ASSERT_OK(world_.Apply({ScrapeWorld::Job("job")}));
  EXPECT_THAT(world_.manager->Snapshot()->pending, IsEmpty());
  EXPECT_THAT(world_.Pool("job")->active, SizeIs(1));
}

TEST_F(ScrapeManagerTest, LabelsAreKeptOfTheNewestDropped) {
  ScrapeConfig job = ScrapeWorld::Job("job");
  job.relabel_configs = {Drop("dropMe", "true")};
  job.keep_dropped_targets = 2;
  ASSERT_OK(world_.Apply({job}));
  const Labels drop{{"dropMe", "true"}};
  std::vector<OwnedGroup> groups;
  for (const char* key : {"z", "y", "x"}) {  // x is the newest
    groups.push_back(ScrapeWorld::Group("s", key, {"a", "b"}, drop));
    world_.SetGroups("job", groups);
  }
  const auto kept = [&] {
    std::string keys;
    for (const DroppedTarget& dropped : ListDropped(*world_.Pool("job"))) {
      if (dropped.labels_kept) keys += dropped.key;
    }
    return keys;
  };
  EXPECT_EQ(kept(), "xx");

  groups[1] = ScrapeWorld::Group("s", "y", {"a"}, drop);
  world_.SetGroups("job", groups);
  EXPECT_EQ(kept(), "xy");
}

TEST_F(ScrapeManagerTest, UnchangedTargetsKeepTheirLoops) {
  world_.Serve("a", "x 1\n");
  world_.Serve("b", "x 1\n");
  ASSERT_OK(world_.Apply({ScrapeWorld::Job("job")}));
  world_.SetTargets("job", {"a"});
  ASSERT_TRUE(world_.NextScrape());
  const int64_t first = world_.last().timestamp_ms;
  const auto status = world_.Pool("job")->active.ByUrl()[0]->status;

  world_.SetTargets("job", {"a", "b"}, Labels({{"__meta_new", "1"}}));
  EXPECT_EQ(world_.Pool("job")->active.ByUrl()[0]->status, status);
  EXPECT_EQ(Discovered("__meta_new"), "1");
  world_.SetTargets("job", {"a"});
  loop_.Advance(3 * kInterval);

  std::vector<int64_t> times;
  for (const auto& scrape : world_.scrapes()) {
    if (scrape.samples.contains("{__name__=\"up\", instance=\"a\", job=\"job\"}")) {
      times.push_back(scrape.timestamp_ms);
      EXPECT_EQ(scrape.StaleMarkers(), 0);
    }
  }
  EXPECT_THAT(times, ElementsAre(first, first + 10000, first + 20000, first + 30000));
}

TEST_F(ScrapeManagerTest, TheSameTargetFromTwoSourcesIsScrapedOnce) {
  world_.Serve("a", "x 1\n");
  ASSERT_OK(world_.Apply({ScrapeWorld::Job("job")}));
  const OwnedGroup first = ScrapeWorld::Group("k8s", "0", {"a"}, Labels({{"__meta_by", "k8s"}}));
  const OwnedGroup second = ScrapeWorld::Group("x", "0", {"a"}, Labels({{"__meta_by", "x"}}));
  world_.SetGroups("job", {first, second});
  ASSERT_THAT(world_.Pool("job")->active, SizeIs(1));
  std::vector<std::string> sources;
  for (const TargetOwner* owner : OwnersBySource(*world_.Pool("job")->active.ByUrl()[0])) {
    sources.push_back(owner->group->source);
  }
  EXPECT_THAT(sources, ElementsAre("k8s", "x"));
  EXPECT_EQ(Discovered("__meta_by"), "k8s");
  loop_.Advance(kInterval);
  EXPECT_THAT(world_.scrapes(), SizeIs(1));

  world_.SetGroups("job", {second});
  EXPECT_EQ(Discovered("__meta_by"), "x");
  EXPECT_EQ(world_.Report("job").scrapes, 1u);  // the same loop
  loop_.Advance(kInterval);
  EXPECT_EQ(world_.last().Get("scrape_series_added"), 0);

  world_.SetGroups("job", {});
  EXPECT_THAT(world_.Pool("job")->active, IsEmpty());
}

// Prometheus' TestDroppedTargetsList.
TEST_F(ScrapeManagerTest, DroppedTargetsAreListedUpToTheLimitAndAllCounted) {
  ScrapeConfig job = ScrapeWorld::Job("job");
  job.relabel_configs = {Drop("dropMe", "true")};
  job.keep_dropped_targets = 1;
  ASSERT_OK(world_.Apply({job}));

  for (int i = 0; i < 2; ++i) {
    world_.SetTargets("job", {absl::StrCat("127.0.0.1:909", i), "127.0.0.1:9999"},
                      Labels({{"dropMe", "true"}}));
    const auto pool = world_.Pool("job");
    EXPECT_THAT(pool->active, IsEmpty());
    EXPECT_EQ(pool->dropped_count, 2u);
    const std::vector<DroppedTarget> dropped = ListDropped(*pool);
    ASSERT_THAT(dropped, SizeIs(2));
    EXPECT_TRUE(dropped[0].labels_kept);
    EXPECT_EQ(dropped[0].discovered_labels().Get("__address__"), absl::StrCat("127.0.0.1:909", i));
    EXPECT_FALSE(dropped[1].labels_kept);
    EXPECT_THAT(dropped[1].discovered_labels(), IsEmpty());
    EXPECT_EQ(dropped[1].detail(), "dropped by relabel_configs[0] (drop)");
    EXPECT_NE(dropped[1].hash, 0u);
  }
}

TEST_F(ScrapeManagerTest, TargetsThatCannotBeBuiltAreListedAndCounted) {
  ASSERT_OK(world_.Apply({ScrapeWorld::Job("job")}));
  world_.SetTargets("job", {"a/b", "ok"});

  const auto pool = world_.Pool("job");
  EXPECT_THAT(pool->active, SizeIs(1));
  EXPECT_EQ(pool->failed_count, 1u);
  const std::vector<DroppedTarget> failed = ListDropped(*pool);
  ASSERT_THAT(failed, SizeIs(1));
  EXPECT_EQ(failed[0].drop.reason, DropReason::kBadAddress);
  EXPECT_EQ(failed[0].detail(), "instance 0 in group 0: \"a/b\" is not a valid hostname");
  EXPECT_EQ(world_.metrics.scrape().sync_failed_total.Value({"job"}), 1);
}

// Prometheus' TestScrapePoolTargetLimit.
TEST_F(ScrapeManagerTest, OverTheTargetLimitEveryScrapeFailsWithoutAFetch) {
  world_.Serve("a", "x 1\n");
  ScrapeConfig job = ScrapeWorld::Job("job");
  job.target_limit = 1;
  ASSERT_OK(world_.Apply({job}));
  world_.SetGroups("job", {ScrapeWorld::Group("s", "0", {"a"}),
                           ScrapeWorld::Group("s", "1", {"a"})});  // duplicates count once
  loop_.Advance(kInterval);
  EXPECT_EQ(world_.last().Get("up"), 1);

  world_.SetTargets("job", {"a", "b"});
  EXPECT_TRUE(world_.Pool("job")->over_target_limit);
  const size_t requests = world_.fetcher.requests().size();
  loop_.Advance(kInterval);
  EXPECT_EQ(world_.fetcher.requests().size(), requests);
  const auto pool = world_.Pool("job");
  for (const auto& target : pool->active) {
    const ScrapeReport report = target->status->Get();
    EXPECT_EQ(report.health, TargetHealth::kDown);
    EXPECT_EQ(report.last.error, "target_limit exceeded (number of targets: 2, limit: 1)");
    EXPECT_EQ(report.last.reason, FailureReason::kTargetLimit);
  }

  job.target_limit = 2;
  ASSERT_OK(world_.Apply({job}));
  EXPECT_FALSE(world_.Pool("job")->over_target_limit);
  loop_.Advance(kInterval);
  EXPECT_EQ(world_.Pool("job")->active.ByUrl()[0]->status->Get().health, TargetHealth::kUp);
}

// Prometheus' TestTargetScrapeIntervalAndTimeoutRelabel.
TEST_F(ScrapeManagerTest, RulesMaySetIntervalAndTimeout) {
  world_.Serve("a", "x 1\n");
  ScrapeConfig job = ScrapeWorld::Job("job");
  job.relabel_configs = {Set("__scrape_interval__", "2s"), Set("__scrape_timeout__", "750ms")};
  ASSERT_OK(world_.Apply({job}));
  world_.SetTargets("job", {"a"});
  EXPECT_EQ(world_.Pool("job")->active.ByUrl()[0]->target->interval_text, "2s");
  EXPECT_EQ(world_.Pool("job")->active.ByUrl()[0]->target->timeout_text, "750ms");
  loop_.Advance(absl::Seconds(20));

  EXPECT_THAT(world_.scrapes(), SizeIs(10));
  EXPECT_EQ(world_.fetcher.requests().back().timeout, absl::Milliseconds(750));
}

// Ends of series.

class EndOfRunTest : public ScrapeManagerTest {
 protected:
  EndOfRunTest() {
    world_.Serve("a", "x 1\ny 2\n");
    EXPECT_OK(world_.Apply({ScrapeWorld::Job("job", kInterval)}));
    world_.SetTargets("job", {"a"});
    EXPECT_TRUE(world_.NextScrape());
    first_ms_ = world_.last().timestamp_ms;
  }
  int StaleMarkers() const {
    int count = 0;
    for (const auto& scrape : world_.scrapes()) count += scrape.StaleMarkers();
    return count;
  }

  int64_t first_ms_ = 0;
};

TEST_F(EndOfRunTest, ATargetThatIsGoneEndsItsSeriesLate) {
  world_.SetTargets("job", {});
  loop_.Advance(2 * kInterval);
  EXPECT_THAT(world_.scrapes(), SizeIs(1));
  loop_.Advance(kInterval / 5);

  ASSERT_THAT(world_.scrapes(), SizeIs(2));
  const SampleLog::Scrape& end = world_.last();
  EXPECT_EQ(end.timestamp_ms, first_ms_ + 10000);
  EXPECT_EQ(end.flags, ScrapeBatch::kTargetGone);
  EXPECT_EQ(end.samples.size(), 7u);
  EXPECT_EQ(end.StaleMarkers(), 7);
  EXPECT_EQ(world_.appender.forgotten, 1);
}

TEST_F(EndOfRunTest, ATargetThatIsBackGoesOnWithItsSeries) {
  world_.SetTargets("job", {});
  loop_.Advance(kInterval);
  world_.SetTargets("job", {"a"});
  world_.Serve("a", "x 1\n");
  loop_.Advance(5 * kInterval);

  EXPECT_EQ(world_.scrapes()[1].Get("scrape_series_added"), 0);
  EXPECT_TRUE(world_.scrapes()[1].IsStale("y"));  // at once, not two intervals later
  EXPECT_EQ(StaleMarkers(), 1);
  EXPECT_EQ(world_.appender.forgotten, 0);
}

TEST_F(EndOfRunTest, AJobThatIsGoneLeavesNoMarkers) {
  ASSERT_OK(world_.Apply({ScrapeWorld::Job("other")}));
  loop_.Advance(5 * kInterval);

  EXPECT_THAT(world_.scrapes(), SizeIs(1));
  EXPECT_EQ(world_.appender.forgotten, 1);
  EXPECT_EQ(world_.Pool("job"), nullptr);
}

TEST_F(EndOfRunTest, ShutdownLeavesNoMarkers) {
  world_.Stop();
  loop_.Advance(5 * kInterval);

  EXPECT_THAT(world_.scrapes(), SizeIs(1));
}

TEST_F(EndOfRunTest, AScrapeUnderWayIsFinishedBeforeTheEnd) {
  world_.fetcher.Hold(ScrapeWorld::Url("a"));
  loop_.Advance(kInterval);
  ASSERT_EQ(world_.fetcher.in_flight(), 1u);

  world_.SetTargets("job", {});
  EXPECT_EQ(world_.fetcher.in_flight(), 1u);
  world_.fetcher.Release(ScrapeWorld::Url("a"));
  loop_.RunUntilIdle();
  ASSERT_THAT(world_.scrapes(), SizeIs(2));
  EXPECT_EQ(world_.last().Get("x"), 1);

  loop_.Advance(3 * kInterval);
  ASSERT_THAT(world_.scrapes(), SizeIs(3));
  EXPECT_EQ(world_.last().flags, ScrapeBatch::kTargetGone);
}

TEST_F(EndOfRunTest, ATargetThatIsBackWaitsForItsPredecessorsScrape) {
  world_.fetcher.Hold(ScrapeWorld::Url("a"));
  loop_.Advance(kInterval);
  world_.SetTargets("job", {});
  world_.SetTargets("job", {"a"});
  EXPECT_EQ(world_.fetcher.in_flight(), 1u);

  world_.Serve("a", "x 1\ny 2\n");
  world_.fetcher.Release(ScrapeWorld::Url("a"));
  loop_.Advance(3 * kInterval);

  EXPECT_EQ(StaleMarkers(), 0);
  for (size_t i = 1; i < world_.scrapes().size(); ++i) {
    EXPECT_EQ(world_.scrapes()[i].timestamp_ms - world_.scrapes()[i - 1].timestamp_ms, 10000) << i;
    EXPECT_EQ(world_.scrapes()[i].Get("scrape_series_added"), 0);
  }
}

TEST_F(EndOfRunTest, StopGivesUpFetchesAfterItsGrace) {
  world_.fetcher.Hold(ScrapeWorld::Url("a"));
  loop_.Advance(kInterval);
  bool stopped = false;

  world_.manager->Stop([&] { stopped = true; });
  loop_.Advance(absl::Milliseconds(900));
  EXPECT_FALSE(stopped);
  loop_.Advance(absl::Milliseconds(200));

  EXPECT_TRUE(stopped);
  EXPECT_THAT(world_.scrapes(), SizeIs(1));
}

// Reloads.

TEST_F(EndOfRunTest, AnEqualConfigTouchesNoLoop) {
  ASSERT_OK(world_.Apply({ScrapeWorld::Job("job", kInterval)}));
  loop_.Advance(kInterval);

  EXPECT_EQ(world_.last().timestamp_ms, first_ms_ + 10000);
  EXPECT_EQ(world_.metrics.scrape().pool_reloads_total.Value(), 0);
}

TEST_F(EndOfRunTest, AReloadOfTheSampleLimitKeepsCacheAndPhase) {
  ScrapeConfig job = ScrapeWorld::Job("job", kInterval);
  job.sample_limit = 1;
  ASSERT_OK(world_.Apply({job}));
  loop_.Advance(kInterval);
  EXPECT_EQ(world_.last().timestamp_ms, first_ms_ + 10000);
  job.sample_limit = 100;
  ASSERT_OK(world_.Apply({job}));
  loop_.Advance(5 * kInterval);

  EXPECT_EQ(world_.last().Get("up"), 1);
  EXPECT_EQ(world_.last().Get("scrape_series_added"), 0);
  EXPECT_EQ(world_.metrics.scrape().pool_reloads_total.Value(), 2);
}

TEST_F(EndOfRunTest, AReloadOfTheIntervalGoesOnWithTheSeries) {
  ASSERT_OK(world_.Apply({ScrapeWorld::Job("job", absl::Seconds(4))}));
  loop_.Advance(absl::Seconds(40));

  EXPECT_GE(world_.scrapes().size(), 10u);
  EXPECT_EQ(StaleMarkers(), 0);
  for (size_t i = 1; i < world_.scrapes().size(); ++i) {
    EXPECT_EQ(world_.scrapes()[i].Get("scrape_series_added"), 0);
  }
}

TEST_F(EndOfRunTest, SeriesThatANewRuleDropsEndAndTheOthersDoNot) {
  ScrapeConfig job = ScrapeWorld::Job("job", kInterval);
  job.metric_relabel_configs = {Drop("__name__", "y")};
  ASSERT_OK(world_.Apply({job}));
  loop_.Advance(5 * kInterval);

  EXPECT_EQ(world_.scrapes()[1].timestamp_ms, first_ms_ + 10000);  // keeps its phase
  EXPECT_EQ(StaleMarkers(), 1);
  bool ended = false;
  for (const auto& scrape : world_.scrapes()) ended |= scrape.IsStale("y");
  EXPECT_TRUE(ended);
  EXPECT_EQ(world_.last().Get("x"), 1);
}

TEST_F(EndOfRunTest, AConfigThatThePoolCannotTakeChangesNothing) {
  ScrapeConfig job = ScrapeWorld::Job("job", absl::Seconds(1));
  job.http.tls_config.ca.file = "missing.pem";
  world_.clients.FailNext(
      absl::InvalidArgumentError("unable to use specified CA cert missing.pem"));

  EXPECT_THAT(world_.Apply({job}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "failed to apply the new configuration: error creating HTTP client: unable "
                       "to use specified CA cert missing.pem; job job"));

  loop_.Advance(2 * kInterval);
  EXPECT_EQ(world_.last().timestamp_ms, first_ms_ + 20000);
  EXPECT_EQ(world_.metrics.scrape().pool_reloads_failed_total.Value(), 1);
  EXPECT_EQ(world_.Pool("job")->scrape_interval, kInterval);
}

TEST_F(EndOfRunTest, NewTargetRulesTakeEffectWithTheReload) {
  ScrapeConfig job = ScrapeWorld::Job("job", kInterval);
  job.relabel_configs = {Set("zone", "eu")};
  ASSERT_OK(world_.Apply({job}));

  ASSERT_THAT(world_.Pool("job")->active, SizeIs(1));
  EXPECT_EQ(world_.Pool("job")->active.ByUrl()[0]->target->labels->Get("zone"), "eu");
}

TEST_F(ScrapeManagerTest, APoolWhoseClientFailsIsTriedAgainWithTheNextUpdate) {
  world_.clients.FailNext(absl::InvalidArgumentError("no cert"));
  EXPECT_THAT(world_.Apply({ScrapeWorld::Job("job")}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       StartsWith("failed to apply the new configuration")));
  EXPECT_EQ(world_.metrics.scrape().pools_failed_total.Value(), 1);

  world_.SetTargets("job", {"a"});

  EXPECT_THAT(world_.Pool("job")->active, SizeIs(1));
}

TEST_F(ScrapeManagerTest, FirstScrapeImmediateScrapesAddedTargetsAtOnceAndFallsIntoPhase) {
  for (std::string_view address : {"a", "b"}) world_.Serve(std::string(address), "x 1\n");
  TrawlConfig immediate;
  immediate.global.first_scrape = FirstScrape::kImmediate;
  ASSERT_OK(world_.Apply({ScrapeWorld::Job("job", absl::Minutes(10))}, immediate));
  world_.SetTargets("job", {"a"});
  loop_.Advance(absl::Milliseconds(1));
  EXPECT_THAT(world_.scrapes(), IsEmpty());  // a start keeps to the offsets

  world_.SetTargets("job", {"a", "b"});
  ASSERT_THAT(world_.scrapes(), SizeIs(1));
  EXPECT_TRUE(world_.last().samples.contains("{__name__=\"x\", instance=\"b\", job=\"job\"}"));

  loop_.Advance(absl::Minutes(10));
  EXPECT_THAT(world_.scrapes(), SizeIs(3));  // once each, at their offsets
}

TEST_F(ScrapeManagerTest, ImmediateScrapesAreSpread) {
  TrawlConfig immediate;
  immediate.global.first_scrape = FirstScrape::kImmediate;
  ASSERT_OK(world_.Apply({ScrapeWorld::Job("job", absl::Minutes(10))}, immediate));
  world_.SetTargets("job", {});
  std::vector<std::string> addresses;
  for (int i = 0; i < 100; ++i) addresses.push_back(absl::StrCat("host-", i));
  world_.SetTargets("job", addresses);
  EXPECT_LE(world_.fetcher.requests().size(), 5u);

  loop_.Advance(absl::Seconds(1));
  EXPECT_GE(world_.fetcher.requests().size(), 95u);
}

TEST_F(ScrapeManagerTest, APushOfVeryManyKeepsToTheOffsets) {
  TrawlConfig immediate;
  immediate.global.first_scrape = FirstScrape::kImmediate;
  ASSERT_OK(world_.Apply({ScrapeWorld::Job("job", absl::Minutes(10))}, immediate));
  world_.SetTargets("job", {});
  std::vector<std::string> addresses;
  for (size_t i = 0; i <= ScrapePool::kMaxImmediate; ++i) {
    addresses.push_back(absl::StrCat("host-", i));
  }
  world_.SetTargets("job", addresses);
  loop_.Advance(absl::Seconds(1));

  EXPECT_LE(world_.fetcher.requests().size(), 20u);
}

TEST(ScrapeManagerShardsTest, ATargetsShardFollowsFromItsPublicLabels) {
  ScrapeWorld world(4);
  ASSERT_OK(world.Apply({ScrapeWorld::Job("job", kInterval)}));
  std::vector<std::string> addresses;
  for (int i = 0; i < 40; ++i) addresses.push_back(absl::StrCat("host-", i));
  world.SetTargets("job", addresses);
  world.loop.Advance(kInterval);

  EXPECT_THAT(world.scrapes(), SizeIs(40));
  const auto pool = world.Pool("job");
  for (const auto& target : pool->active) {
    EXPECT_EQ(ShardOf(*target->target, pool->shards), target->target->labels->Hash() % 4);
  }
}

}  // namespace
}  // namespace trawl

#include "core/scrape/scrape_body.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/model/value.h"
#include "tests/core/scrape/scraped_target.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string Counts(const ScrapeResult& result) {
  return absl::StrCat(result.total, "/", result.added, "/", result.series_added);
}

SampleOptions TracksTimestamps() {
  SampleOptions options;
  options.track_timestamps_staleness = true;
  return options;
}

std::string Message(const ScrapeResult& result) { return std::string(result.status.message()); }

// ---- Labels (TestScrapeLoopAppend_HonorLabels, …ForConflictingPrefixedLabels).

TEST(ScrapeBodyTest, ATargetsLabelWinsAndTheExposedOneIsRenamed) {
  ScrapedTarget target({}, {{"n", "2"}});

  target.Scrape("metric{n=\"1\"} 1\n", 1000);

  EXPECT_THAT(target.LastBody(), ElementsAre("metric{exported_n=\"1\",n=\"2\"} 1 @1000"));
}

TEST(ScrapeBodyTest, AnExposedLabelWinsWhenLabelsAreHonored) {
  SampleOptions options;
  options.honor_labels = true;
  ScrapedTarget target(options, {{"n1", "1"}, {"n2", "2"}});

  target.Scrape("metric{n1=\"1\",n2=\"other\"} 0\nempty{n2=\"\"} 1\n", 1000);

  EXPECT_THAT(target.LastBody(),
              ElementsAre("metric{n1=\"1\",n2=\"other\"} 0 @1000", "empty{n1=\"1\"} 1 @1000"));
}

TEST(ScrapeBodyTest, AnEmptyExposedLabelIsNone) {
  ScrapedTarget target;

  target.Scrape("metric{n=\"\"} 0\n", 1000);

  EXPECT_THAT(target.LastBody(), ElementsAre("metric 0 @1000"));
}

TEST(ScrapeBodyTest, ConflictsAreResolvedShortestNameFirst) {
  const struct {
    Labels target;
    std::string exposed;
    std::string expected;
  } cases[] = {
      {{{"foo", "2"}}, "foo=\"1\"", "exported_foo=\"1\",foo=\"2\""},
      {{{"foo", "2"}, {"exported_foo", "3"}},
       "foo=\"1\"",
       "exported_exported_foo=\"1\",exported_foo=\"3\",foo=\"2\""},
      {{{"foo", "3"}},
       "foo=\"1\",exported_foo=\"2\"",
       "exported_exported_foo=\"1\",exported_foo=\"2\",foo=\"3\""},
      {{{"exported_foo", "2"}},
       "exported_foo=\"1\"",
       "exported_exported_foo=\"1\",exported_foo=\"2\""},
      {{{"foo", "3"}, {"exported_foo", "4"}},
       "foo=\"1\",exported_foo=\"2\"",
       "exported_exported_exported_foo=\"2\",exported_exported_foo=\"1\",exported_foo=\"4\","
       "foo=\"3\""},
      {{{"foo", "0"}, {"exported_exported_foo", "1"}, {"exported_exported_exported_foo", "2"}},
       "foo=\"3\",exported_foo=\"4\",exported_exported_exported_foo=\"5\"",
       "exported_exported_exported_exported_exported_foo=\"5\","
       "exported_exported_exported_exported_foo=\"3\",exported_exported_exported_foo=\"2\","
       "exported_exported_foo=\"1\",exported_foo=\"4\",foo=\"0\""},
  };
  for (const auto& c : cases) {
    ScrapedTarget target({}, c.target);

    target.Scrape(absl::StrCat("metric{", c.exposed, "} 0\n"), 1000);

    EXPECT_THAT(target.LastBody(), ElementsAre("metric{" + c.expected + "} 0 @1000"));
  }
}

TEST(ScrapeBodyTest, KeysLeaveTheTargetsLabelsOut) {
  ScrapedTarget target({}, {{"job", "j"}});

  target.Scrape("a{x=\"y\"} 1\n", 1000);

  const SeriesKey& key = target.keys().Get(target.cache().layout()->keys()[0]);
  EXPECT_EQ(key.labels, (Labels{{"__name__", "a"}, {"x", "y"}}));
  EXPECT_FALSE(key.complete);
}

TEST(ScrapeBodyTest, AKeyIsCompleteWhenARuleChangedATargetsLabel) {
  SampleOptions options;
  RelabelConfig rule;
  rule.target_label = "job";
  rule.replacement = "other";
  options.metric_relabel_rules = Rules({rule});
  ScrapedTarget target(options, {{"job", "j"}});

  target.Scrape("a 1\n", 1000);

  EXPECT_THAT(target.LastBody(), ElementsAre("a{job=\"other\"} 1 @1000"));
  EXPECT_TRUE(target.keys().Get(target.cache().layout()->keys()[0]).complete);
}

TEST(ScrapeBodyTest, QuotedNamesAreIngested) {
  ScrapedTarget target;

  const ScrapeResult result = target.Scrape("{\"test.metric\"} 42\n", 1000);

  EXPECT_TRUE(result.status.ok());
  EXPECT_THAT(target.LastBody(), ElementsAre("test.metric 42 @1000"));
}

TEST(ScrapeBodyTest, QuotedNamesFailUnderLegacyValidation) {
  SampleOptions options;
  options.name_validation = NameValidation::kLegacy;
  ScrapedTarget target(options);

  const ScrapeResult result = target.Scrape("{\"test.metric\"} 42\n", 1000);

  EXPECT_EQ(result.reason, FailureReason::kInvalidLabels);
  EXPECT_EQ(Message(result), "invalid metric name or label names: {__name__=\"test.metric\"}");
}

TEST(ScrapeBodyTest, BucketsAndQuantilesGetCanonicalValuesBeforeTheRulesRun) {
  SampleOptions options;
  RelabelConfig rule;
  rule.source_labels = {"le", "__name__"};
  rule.regex = "(\\d+)\\.0+;.*_bucket";
  rule.target_label = "le";
  options.metric_relabel_rules = Rules({rule});
  ScrapedTarget target(options);

  target.Scrape(
      "# TYPE h histogram\nh_bucket{le=\"0.01\"} 1\nh_bucket{le=\"0\"} 1\nh_bucket{le=\"10.0\"} 2\n"
      "h_bucket{le=\"+Inf\"} 2\n# TYPE s summary\ns{quantile=\"1\"} 3\ns{quantile=\"0.99\"} 3\n",
      1000);

  EXPECT_THAT(target.LastBody(),
              ElementsAre("h_bucket{le=\"0.01\"} 1 @1000", "h_bucket{le=\"0\"} 1 @1000",
                          "h_bucket{le=\"10\"} 2 @1000", "h_bucket{le=\"+Inf\"} 2 @1000",
                          "s{quantile=\"1.0\"} 3 @1000", "s{quantile=\"0.99\"} 3 @1000"));
}

// ---- Counts and the cache (TestScrapeLoopSeriesAdded, …Duplicates, …ChangingMetricString).

TEST(ScrapeBodyTest, SeriesAreAddedOnce) {
  ScrapedTarget target;

  EXPECT_EQ(Counts(target.Scrape("test_metric 1\n", 1000)), "1/1/1");
  EXPECT_EQ(Counts(target.Scrape("test_metric 1\n", 2000)), "1/1/0");
}

TEST(ScrapeBodyTest, AnUnchangedPageKeepsTheLayout) {
  ScrapedTarget target;
  target.Scrape("a 1\nb 2\n", 1000);
  const LayoutPtr layout = target.cache().layout();

  target.Scrape("a 3\nb 4\n", 2000);

  EXPECT_EQ(target.cache().layout(), layout);
  EXPECT_THAT(target.LastBody(), ElementsAre("a 3 @2000", "b 4 @2000"));
}

TEST(ScrapeBodyTest, ANewSeriesPatchesTheLayoutInThePagesOrder) {
  ScrapedTarget target;
  target.Scrape("a 1\nc 2\n", 1000);
  const uint64_t base = target.cache().layout()->id();

  target.Scrape("a 1\nb 3\nc 2\nd 4\n", 2000);

  const LayoutPtr& layout = target.cache().layout();
  EXPECT_THAT(target.LastBody(), ElementsAre("a 1 @2000", "b 3 @2000", "c 2 @2000", "d 4 @2000"));
  EXPECT_EQ(layout->base_id(), base);
  EXPECT_THAT(layout->patch(), ElementsAre(1, 0, 1, 1, 0, 1, 5));
}

TEST(ScrapeBodyTest, TheSameTextTwiceIsADuplicateUnlessItHasTimestamps) {
  ScrapedTarget target;
  const std::string page = "test_metric 1\ntest_metric 2\ntest_metric 3\n";

  const ScrapeResult first = target.Scrape(page, 1000);
  EXPECT_EQ(Counts(first), "3/3/1");
  EXPECT_EQ(first.duplicates, 2);
  EXPECT_THAT(target.LastBody(), ElementsAre("test_metric 1 @1000"));
  const ScrapeResult second = target.Scrape(page, 2000);
  EXPECT_EQ(Counts(second), "3/3/0");
  EXPECT_EQ(second.duplicates, 2);

  const ScrapeResult timed = target.Scrape("test_metric 1 3001\ntest_metric 2 3002\n", 4000);
  EXPECT_EQ(timed.duplicates, 0);
  EXPECT_THAT(target.LastBody(),
              ElementsAre("test_metric 1 @3001", "test_metric 2 @3002", "test_metric stale @4000"));
}

TEST(ScrapeBodyTest, TwoSpellingsAreOneSeries) {
  ScrapedTarget target;
  target.Scrape("metric_a{a=\"1\",b=\"1\"} 1\n", 1000);
  const LayoutPtr layout = target.cache().layout();

  const ScrapeResult result = target.Scrape("metric_a{b=\"1\",a=\"1\"} 2\n", 2000);

  EXPECT_EQ(Counts(result), "1/1/1");
  EXPECT_THAT(target.LastBody(), ElementsAre("metric_a{a=\"1\",b=\"1\"} 2 @2000"));
  EXPECT_EQ(target.cache().layout(), layout);
}

TEST(ScrapeBodyTest, OfTwoSpellingsInOneScrapeTheFirstCounts) {
  ScrapedTarget target;
  const std::string page = "m{a=\"1\",b=\"1\"} 1\nm{b=\"1\",a=\"1\"} 2\nm{b=\"1\", a=\"1\"} 1\n";

  for (const int64_t time : {1000, 2000, 3000}) {
    const ScrapeResult result = target.Scrape(page, time);

    EXPECT_EQ(result.duplicates, 1);  // an equal value is none
    EXPECT_THAT(target.LastBody(), ElementsAre(absl::StrCat("m{a=\"1\",b=\"1\"} 1 @", time)));
  }
}

TEST(ScrapeBodyTest, AShuffledPageIsStillKnown) {
  ScrapedTarget target;
  std::vector<std::string> lines;
  for (int i = 0; i < 100; ++i) lines.push_back(absl::StrCat("m{i=\"", i, "\"} ", i, "\n"));
  std::string page;
  for (const std::string& line : lines) page += line;
  target.Scrape(page, 1000);
  const LayoutPtr layout = target.cache().layout();
  std::string shuffled;
  for (int i = 0; i < 100; ++i) shuffled += lines[(i * 37) % 100];

  const ScrapeResult result = target.Scrape(shuffled, 2000);
  EXPECT_EQ(Counts(result), "100/100/0");
  EXPECT_EQ(result.stale_markers, 0);
  EXPECT_EQ(target.cache().layout(), layout);
  EXPECT_EQ(target.LastBody()[7], "m{i=\"7\"} 7 @2000");
  EXPECT_EQ(Counts(target.Scrape(page, 3000)), "100/100/0");
}

TEST(ScrapeBodyTest, DroppedSeriesAreRememberedAndNotCountedAsAdded) {
  SampleOptions options;
  RelabelConfig rule;
  rule.source_labels = {"__name__"};
  rule.regex = "drop.*";
  rule.action = RelabelAction::kDrop;
  options.metric_relabel_rules = Rules({rule});
  ScrapedTarget target(options);

  EXPECT_EQ(Counts(target.Scrape("drop_me 1\nkeep 2\n", 1000)), "2/1/1");
  EXPECT_EQ(Counts(target.Scrape("drop_me 1\nkeep 2\n", 2000)), "2/1/0");
  EXPECT_THAT(target.LastBody(), ElementsAre("keep 2 @2000"));
}

TEST(ScrapeBodyTest, AFailedScrapeKeepsTheCacheAndAGoodOneEvicts) {
  ScrapedTarget target;
  target.Scrape("a 1\nb 2\n", 1000);
  EXPECT_EQ(target.cache().entry_count(), 2u);

  target.Fail(2000);
  EXPECT_EQ(target.cache().entry_count(), 2u);
  EXPECT_EQ(Counts(target.Scrape("a 1\n", 3000)), "1/1/0");
  EXPECT_EQ(target.cache().entry_count(), 1u);
  EXPECT_EQ(Counts(target.Scrape("a 1\nb 2\n", 4000)), "2/2/1");
}

TEST(ScrapeBodyTest, AFailingTargetWithEverNewSeriesDoesNotFillTheMemory) {
  ScrapedTarget target;
  bool forced = false;
  for (int scrape = 0; scrape < 20; ++scrape) {
    std::string page;
    for (int i = 0; i < 500; ++i) absl::StrAppend(&page, "metric_", scrape, "_", i, " 42\n");
    const ScrapeResult result = target.Scrape(page + "fail here", 1000 * (scrape + 1));

    EXPECT_FALSE(result.status.ok());
    forced = forced || result.cache_flush_forced;
    EXPECT_LE(target.cache().entry_count(), 2000u);
    EXPECT_LE(target.cache().layout()->size(), 3000u);
  }
  EXPECT_TRUE(forced);
}

// ---- Staleness (TestScrapeLoopAppendStaleness, …NoStalenessIfTimestamp, …).

TEST(ScrapeBodyTest, ASeriesThatDisappearsEndsOnce) {
  ScrapedTarget target;
  target.Scrape("metric_a 1\n", 1000);

  EXPECT_EQ(target.Scrape("", 2000).stale_markers, 1);
  EXPECT_THAT(target.LastBody(), ElementsAre("metric_a stale @2000"));
  EXPECT_EQ(target.Scrape("\n", 3000).stale_markers, 0);
  EXPECT_THAT(target.LastBody(), IsEmpty());
}

TEST(ScrapeBodyTest, AFailedScrapeEndsAllSeriesOnce) {
  ScrapedTarget target;
  target.Scrape("a 1\nb 1\n", 1000);

  target.Fail(2000);
  EXPECT_THAT(target.LastBody(), ElementsAre("a stale @2000", "b stale @2000"));
  EXPECT_EQ(target.appender().LastReport()["up"], "up 0 @2000");
  target.Fail(3000);
  EXPECT_THAT(target.LastBody(), IsEmpty());
  target.Scrape("a 1\nb 1\n", 4000);
  EXPECT_THAT(target.LastBody(), ElementsAre("a 1 @4000", "b 1 @4000"));
}

TEST(ScrapeBodyTest, AParseErrorKeepsNothingAndEndsWhatWasNotReached) {
  ScrapedTarget target;
  target.Scrape("a 1\nb 1\n", 1000);

  const ScrapeResult result = target.Scrape("a 2\n1broken\nb 1\n", 2000);
  EXPECT_EQ(result.reason, FailureReason::kParse);
  EXPECT_EQ(Message(result),
            "expected a valid start token, got \"1\" (\"INVALID\") while parsing: \"1\"; line 2, "
            "column 1");
  EXPECT_EQ(Counts(result), "1/1/0");
  EXPECT_THAT(target.LastBody(), ElementsAre("b stale @2000"));

  // `a` had a gap without a marker; it gets one when the next scrape lacks it.
  target.Scrape("b 1\n", 3000);
  EXPECT_THAT(target.LastBody(), ElementsAre("a stale @3000", "b 1 @3000"));
}

TEST(ScrapeBodyTest, ASampleAfterAFailedScrapeIsNoDuplicate) {
  ScrapedTarget target;
  target.Scrape("test_metric 1\nbroken", 1000);

  const ScrapeResult result = target.Scrape("test_metric 11\n", 2000);

  EXPECT_EQ(result.duplicates, 0);
  EXPECT_THAT(target.LastBody(), ElementsAre("test_metric 11 @2000"));
}

TEST(ScrapeBodyTest, ExplicitTimestampsGetNoStaleMarker) {
  ScrapedTarget target;
  target.Scrape("metric_a 1 1000\n", 1500);
  EXPECT_THAT(target.LastBody(), ElementsAre("metric_a 1 @1000"));

  target.Scrape("", 2500);

  EXPECT_THAT(target.LastBody(), IsEmpty());
}

TEST(ScrapeBodyTest, ExplicitTimestampsGetMarkersWhenTheyAreTracked) {
  ScrapedTarget target(TracksTimestamps());
  target.Scrape("metric_a 1 1000\n", 1500);

  target.Scrape("", 2500);

  EXPECT_THAT(target.LastBody(), ElementsAre("metric_a stale @2500"));
}

TEST(ScrapeBodyTest, ASeriesThatEndsBeforeItsLastTimestampGetsNoMarker) {
  ScrapedTarget target(TracksTimestamps());
  target.Scrape("ahead 1 9000\n", 1000);

  EXPECT_EQ(target.Scrape("", 2000).stale_markers, 0);
  EXPECT_THAT(target.LastBody(), IsEmpty());
  EXPECT_EQ(target.Scrape("ahead 5\n", 3000).out_of_order, 1);
  EXPECT_THAT(target.LastBody(), IsEmpty());
  EXPECT_EQ(target.Scrape("ahead 6 9001\n", 4000).out_of_order, 0);
  EXPECT_THAT(target.LastBody(), ElementsAre("ahead 6 @9001"));
}

TEST(ScrapeBodyTest, AFailedScrapeBeforeALastTimestampLeavesIt) {
  ScrapedTarget target(TracksTimestamps());
  target.Scrape("ahead 1 9000\nb 1\n", 1000);

  EXPECT_EQ(target.Fail(2000).stale_markers, 1);

  EXPECT_THAT(target.LastBody(), ElementsAre("b stale @2000"));
  EXPECT_EQ(target.Scrape("ahead 5\n", 3000).out_of_order, 1);
}

// It was tracked before it had a timestamp of its own.
TEST(ScrapeBodyTest, AMarkerIsBehindAnEarlierTimestampOnly) {
  for (const auto& [timestamp, body] :
       {std::pair("1999", std::vector<std::string>{"a 2 @1999", "a stale @2000"}),
        {"2000", {"a 2 @2000"}},
        {"9000", {"a 2 @9000"}}}) {
    ScrapedTarget target;
    target.Scrape("a 1\n", 1000);

    target.Scrape(absl::StrCat("a 2 ", timestamp, "\n"), 2000);

    EXPECT_THAT(target.LastBody(), ElementsAreArray(body)) << timestamp;
    const bool ahead = body[0] == "a 2 @9000";
    EXPECT_EQ(target.Scrape("a 3\n", 3000).out_of_order, ahead ? 1 : 0) << timestamp;
  }
}

TEST(ScrapeBodyTest, TimestampsAreIgnoredWhenTheyAreNotHonored) {
  SampleOptions options;
  options.honor_timestamps = false;
  ScrapedTarget target(options);

  target.Scrape("metric_a 1 17\n", 1500);
  EXPECT_THAT(target.LastBody(), ElementsAre("metric_a 1 @1500"));
  target.Scrape("", 2500);

  EXPECT_THAT(target.LastBody(), ElementsAre("metric_a stale @2500"));
}

TEST(ScrapeBodyTest, ARejectedSampleEndsItsTrackedSeries) {
  ScrapedTarget target(TracksTimestamps());
  target.Scrape("metric_a 1 1000\n", 1500);

  const ScrapeResult result = target.Scrape("metric_a 2 900\n", 2500);

  EXPECT_EQ(result.out_of_order, 1);
  EXPECT_THAT(target.LastBody(), ElementsAre("metric_a stale @2500"));
}

TEST(ScrapeBodyTest, TheEndOfARunEndsEverySeries) {
  ScrapedTarget target;
  target.Scrape("a 1\nb 1\n", 1000);

  target.EndOfRun(3000);

  EXPECT_THAT(target.LastBody(), ElementsAre("a stale @3000", "b stale @3000"));
  EXPECT_EQ(target.appender().LastReport()["up"], "up stale @3000");
  EXPECT_THAT(target.appender().LastReport(), SizeIs(5));
}

// ---- Order and bounds of explicit timestamps (…AppendGracefullyIfAmendOrOutOfOrder…).

TEST(ScrapeBodyTest, OldAndRepeatedTimestampsAreCounted) {
  ScrapedTarget target;
  EXPECT_EQ(Counts(target.Scrape("a 1 5000\nb 1 5000\nc 1 5000\n", 6000)), "3/3/3");

  const ScrapeResult result = target.Scrape("a 1 4000\nb 2 5000\nc 1 5000\nd 1 5000\n", 7000);

  EXPECT_TRUE(result.status.ok());
  EXPECT_EQ(Counts(result), "4/4/1");
  EXPECT_EQ(result.out_of_order, 1);
  EXPECT_EQ(result.duplicates, 1);
  EXPECT_THAT(target.LastBody(), ElementsAre("d 1 @5000"));
}

TEST(ScrapeBodyTest, AFailedScrapeDoesNotMoveTheLastTimestamps) {
  ScrapedTarget target;
  target.Scrape("a 1 5000\n", 6000);
  target.Scrape("a 1 6000\nbroken", 7000);

  const ScrapeResult result = target.Scrape("a 2 6000\n", 8000);

  EXPECT_EQ(result.duplicates, 0);
  EXPECT_THAT(target.LastBody(), ElementsAre("a 2 @6000"));
}

TEST(ScrapeBodyTest, SamplesMoreThanTenMinutesAheadAreOutOfBounds) {
  ScrapedTarget target;

  const ScrapeResult result = target.Scrape("normal 1 601001\nfine 1 601000\n", 1000);

  EXPECT_TRUE(result.status.ok());
  EXPECT_EQ(Counts(result), "2/2/1");
  EXPECT_EQ(result.out_of_bounds, 1);
  EXPECT_THAT(target.LastBody(), ElementsAre("fine 1 @601000"));
}

// ---- Failures of content (TestScrapeLoopDiscardDuplicateLabels, …UnnamedMetrics, LabelLimit).

TEST(ScrapeBodyTest, ARepeatedLabelNameFailsTheScrape) {
  ScrapedTarget target;

  const ScrapeResult result = target.Scrape("nok{a=\"a\",a=\"b\"} 1\nok{a=\"a\"} 1\n", 1000);

  EXPECT_EQ(result.reason, FailureReason::kInvalidLabels);
  EXPECT_EQ(Message(result), "label name \"a\" is not unique: invalid sample");
  EXPECT_THAT(target.LastBody(), IsEmpty());
  EXPECT_TRUE(target.Scrape("ok{a=\"a\"} 1\n", 2000).status.ok());
}

TEST(ScrapeBodyTest, EachRepeatedLabelNameThatStaysFailsTheScrape) {
  SampleOptions options;
  RelabelConfig rule;
  rule.regex = "a";
  rule.action = RelabelAction::kLabelDrop;
  options.metric_relabel_rules = Rules({rule});
  ScrapedTarget target(options);

  EXPECT_TRUE(target.Scrape("m{a=\"1\",a=\"2\"} 1\n", 1000).status.ok());
  EXPECT_TRUE(target.Scrape("m{b=\"\",b=\"2\"} 1\n", 2000).status.ok());
  EXPECT_THAT(target.LastBody(), ElementsAre("m 1 @2000"));
  EXPECT_EQ(Message(target.Scrape("m{a=\"1\",a=\"2\",b=\"1\",b=\"2\"} 1\n", 3000)),
            "label name \"b\" is not unique: invalid sample");
}

TEST(ScrapeBodyTest, AnotherSpellingOfASeriesIsAddedButItsValueIsNot) {
  ScrapedTarget target;
  const std::string_view page = "m{a=\"1\",b=\"2\"} 1\nm{b=\"2\",a=\"1\"} 2\n";

  const ScrapeResult first = target.Scrape(page, 1000);
  EXPECT_EQ(Counts(first), "2/2/2");
  EXPECT_EQ(first.duplicates, 1);
  const ScrapeResult second = target.Scrape(page, 2000);
  EXPECT_EQ(Counts(second), "2/2/0");
  EXPECT_EQ(second.duplicates, 1);
  EXPECT_THAT(target.LastBody(), ElementsAre("m{a=\"1\",b=\"2\"} 1 @2000"));
}

TEST(ScrapeBodyTest, ASeriesWithoutANameFailsTheScrape) {
  SampleOptions options;
  RelabelConfig rule;
  rule.source_labels = {"drop"};
  rule.regex = "drop";
  rule.target_label = "__name__";
  rule.replacement = "";
  options.metric_relabel_rules = Rules({rule});
  ScrapedTarget target(options);

  const ScrapeResult result = target.Scrape("nok 1\nnok2{drop=\"drop\"} 1\n", 1000);

  EXPECT_EQ(Message(result), "missing metric name (__name__ label)");
}

TEST(ScrapeBodyTest, LabelLimitsAreStrictlyGreater) {
  const struct {
    uint64_t labels, name, value;
    std::string exposed;
    Labels target;
    std::string error;
  } cases[] = {
      {5, 0, 0, "metric{l1=\"1\", l2=\"2\"} 0\n", {}, ""},
      {5,
       0,
       0,
       "metric{l1=\"1\", l2=\"2\", l3=\"3\", l4=\"4\", l5=\"5\"} 0\n",
       {},
       "label_limit exceeded (metric: metric, number of labels: 6, limit: 5)"},
      {5,
       0,
       0,
       "metric{l1=\"1\", l2=\"2\", l3=\"3\"} 0\n",
       {{"l4", "4"}, {"l5", "5"}},
       "label_limit exceeded (metric: metric, number of labels: 6, limit: 5)"},
      {0, 10, 0, "metric{l1=\"1\", l2=\"2\"} 0\n", {}, ""},
      {0,
       10,
       0,
       "metric{label_name_too_long=\"0\"} 0\n",
       {},
       "label_name_length_limit exceeded (metric: metric, label name: label_name_too_long, "
       "length: 19, limit: 10)"},
      {0, 0, 10, "metric{l1=\"1\"} 0\n", {}, ""},
      {0,
       0,
       10,
       "metric{l1=\"label_value_too_long\"} 0\n",
       {},
       "label_value_length_limit exceeded (metric: metric, label name: l1, value: "
       "\"label_value_too_long\", length: 20, limit: 10)"},
      {0,
       0,
       10,
       "metric{l1=\"1\"} 0\n",
       {{"l2", "label_value_too_long"}},
       "label_value_length_limit exceeded (metric: metric, label name: l2, value: "
       "\"label_value_too_long\", length: 20, limit: 10)"},
  };
  for (const auto& c : cases) {
    SampleOptions options;
    options.label_limit = c.labels;
    options.label_name_length_limit = c.name;
    options.label_value_length_limit = c.value;
    ScrapedTarget target(options, c.target);

    const ScrapeResult result = target.Scrape(c.exposed, 1000);

    EXPECT_EQ(Message(result), c.error);
    EXPECT_EQ(result.label_limit_exceeded, !c.error.empty());
  }
}

// ---- sample_limit (TestScrapeLoopAppendSampleLimit, …WithDisappearingSeries, …ReplaceAll).

SampleOptions WithSampleLimit(uint64_t limit) {
  SampleOptions options;
  options.sample_limit = limit;
  return options;
}

TEST(ScrapeBodyTest, BeyondTheSampleLimitTheScrapeFailsAndStillCounts) {
  ScrapedTarget target(WithSampleLimit(1));

  const ScrapeResult first = target.Scrape("metric_a 1\nmetric_b 1\nmetric_c 1\n", 1000);
  EXPECT_EQ(first.reason, FailureReason::kSampleLimit);
  EXPECT_EQ(Message(first), "sample limit exceeded");
  EXPECT_EQ(Counts(first), "3/3/1");
  EXPECT_THAT(target.LastBody(), IsEmpty());

  const ScrapeResult second = target.Scrape(
      "metric_a 1\nmetric_b 1\nmetric_c{deleteme=\"yes\"} 1\nmetric_d 1\nmetric_e 1\n"
      "metric_f 1\nmetric_g 1\nmetric_h{deleteme=\"yes\"} 1\nmetric_i{deleteme=\"yes\"} 1\n",
      2000);
  EXPECT_EQ(Counts(second), "9/9/0");
}

TEST(ScrapeBodyTest, AtTheSampleLimitTheScrapeIsGood) {
  ScrapedTarget target(WithSampleLimit(2));
  for (const int64_t time : {1000, 2000}) {
    EXPECT_TRUE(target.Scrape("a 1\nb 2\n", time).status.ok());
  }
  EXPECT_FALSE(target.Scrape("a 1\nb 2\nc 3\n", 3000).status.ok());
}

TEST(ScrapeBodyTest, OverTheLimitOnlyWhatWasNotAcceptedEnds) {
  ScrapedTarget target(WithSampleLimit(4));
  target.Scrape("metric_a 1\nmetric_b 1\nmetric_c 1\n", 1000);

  const ScrapeResult breach =
      target.Scrape("metric_a 1\nmetric_b 1\nmetric_d 1\nmetric_e 1\nmetric_f 1\n", 2000);
  EXPECT_EQ(Counts(breach), "5/5/2");
  EXPECT_THAT(target.LastBody(), ElementsAre("metric_c stale @2000"));

  // Accepted before the breach, never stored, gone: they end all the same.
  target.Scrape("metric_a 1\nmetric_b 1\nmetric_c 1\n", 3000);
  EXPECT_THAT(target.LastBody(), ::testing::UnorderedElementsAre(
                                     "metric_a 1 @3000", "metric_b 1 @3000", "metric_c 1 @3000",
                                     "metric_d stale @3000", "metric_e stale @3000"));
}

TEST(ScrapeBodyTest, StaleMarkersDoNotCountForTheLimit) {
  ScrapedTarget target(WithSampleLimit(4));
  target.Scrape("a 1\nb 1\nc 1\nd 1\n", 1000);

  const ScrapeResult result = target.Scrape("e 1\nf 1\ng 1\nh 1\n", 2000);

  EXPECT_TRUE(result.status.ok());
  EXPECT_EQ(result.stale_markers, 4);
  EXPECT_THAT(target.LastBody(), SizeIs(8));
}

// ---- Report series and metadata.

TEST(ScrapeBodyTest, ATargetsOwnUpIsKept) {
  ScrapedTarget target({}, {{"job", "j"}});

  for (const int64_t time : {1000, 2000}) {
    target.Scrape("up 7\na 1\n", time);
    EXPECT_EQ(target.appender().LastReport()["up"], absl::StrCat("up{job=\"j\"} 7 @", time));
  }
  target.Scrape("a 1\n", 3000);
  EXPECT_EQ(target.appender().LastReport()["up"], "up{job=\"j\"} 1 @3000");
}

const MetricFamily& FamilyOf(ScrapedTarget& target, size_t position) {
  const LayoutPtr& layout = target.cache().layout();
  return target.keys().Family(target.keys().Get(layout->keys()[position]).family);
}

TEST(ScrapeBodyTest, SeriesCarryTheirFamilysMetadata) {
  ScrapedTarget target;

  target.Scrape(
      "# HELP h Help of h\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_other 1\n",
      1000);

  EXPECT_EQ(FamilyOf(target, 0), (MetricFamily{"h", MetricType::kHistogram, "", "Help of h"}));
  EXPECT_EQ(FamilyOf(target, 1), FamilyOf(target, 0));
  EXPECT_EQ(FamilyOf(target, 2), MetricFamily());
  EXPECT_EQ(FamilyOf(target, 3).unit, "targets");
}

TEST(ScrapeBodyTest, ChangedMetadataReachTheSeriesWithoutEndingIt) {
  ScrapedTarget target;
  target.Scrape("# HELP a old\na 1\n# HELP b same\nb 1\n", 1000);
  const LayoutPtr before = target.cache().layout();

  const ScrapeResult result = target.Scrape("# HELP a new\na 2\n# HELP b same\nb 2\n", 2000);

  EXPECT_EQ(Counts(result), "2/2/0");
  EXPECT_EQ(result.stale_markers, 0);
  EXPECT_THAT(target.LastBody(), ElementsAre("a 2 @2000", "b 2 @2000"));
  EXPECT_EQ(FamilyOf(target, 0).help, "new");
  EXPECT_EQ(FamilyOf(target, 1).help, "same");
  EXPECT_NE(target.cache().layout(), before);
  target.Scrape("# HELP a new\na 3\n# HELP b same\nb 3\n", 3000);
  EXPECT_THAT(target.LastBody(), ElementsAre("a 3 @3000", "b 3 @3000"));
}

// ---- Slices; and the fast path against the strict one.

TEST(ScrapeBodyTest, SlicesGiveTheSameResult) {
  std::string page;
  for (int i = 0; i < 300; ++i) {
    absl::StrAppend(&page, "# HELP m", i, " help\n# TYPE m", i, " gauge\nm", i, " ", i, ".5\n");
  }
  ScrapedTarget whole;
  ScrapedTarget sliced;
  for (const int64_t time : {1000, 2000}) {
    whole.Scrape(page, time);
    sliced.Scrape(page, time, 100);
    EXPECT_EQ(whole.LastBody(), sliced.LastBody());
  }
}

// Every short page, scraped by a cache that knows another page, must give what a cache that
// knows nothing gives.
class Differential {
 public:
  explicit Differential(std::string_view known) : target_(Options()) {
    target_.Scrape(known, time_);
  }

  void Check(std::string_view page) {
    ScrapedTarget fresh(Options());
    time_ += 1000;
    const ScrapeResult expected = fresh.Scrape(page, time_);
    const ScrapeResult got = target_.Scrape(page, time_);
    ASSERT_EQ(got.status, expected.status) << page;
    ASSERT_EQ(got.total, expected.total) << page;
    ASSERT_EQ(got.added, expected.added) << page;
    ASSERT_EQ(got.duplicates, expected.duplicates) << page;
    ASSERT_EQ(Living(target_), Living(fresh)) << page;
  }

 private:
  // What a timestamp does depends on earlier ones.
  static SampleOptions Options() {
    SampleOptions options;
    options.honor_timestamps = false;
    return options;
  }
  static std::vector<std::string> Living(const ScrapedTarget& target) {
    std::vector<std::string> body;
    for (std::string& sample : target.LastBody()) {
      if (sample.find(" stale @") == std::string::npos) body.push_back(std::move(sample));
    }
    std::sort(body.begin(), body.end());
    return body;
  }

  int64_t time_ = 1000;
  ScrapedTarget target_;
};

void CheckAll(Differential& differential, std::string& page, size_t length) {
  constexpr std::string_view kAlphabet = "m{}=\"\\n#, 1\n";
  differential.Check(page);
  if (length == 0 || ::testing::Test::HasFatalFailure()) return;
  for (const char c : kAlphabet) {
    page.push_back(c);
    CheckAll(differential, page, length - 1);
    page.pop_back();
  }
}

TEST(ScrapeBodyTest, TheFastPathAcceptsWhatTheStrictParserAccepts) {
  for (const std::string start : {"", "m 1\n", "#\nm{n=\"\"} 1\nm ", "m{n=\"1\"} "}) {
    Differential differential("#\nm 1\nm{n=\"1\"} 1\nm{n=\"\"} 11\n#n\nn 1\n");
    std::string page = start;
    CheckAll(differential, page, 3);
  }
}

TEST(ScrapeBodyTest, OddValuesAreReadAlikeByBothPaths) {
  Differential differential("m 1\n");
  for (const std::string_view value : {"0",
                                       "-0",
                                       "1",
                                       "-1",
                                       "+1",
                                       "1.5",
                                       "1.",
                                       ".5",
                                       "1e5",
                                       "1E-5",
                                       "NaN",
                                       "nan",
                                       "+Inf",
                                       "-Inf",
                                       "inf",
                                       "0x1",
                                       "1_0",
                                       "1p1",
                                       "",
                                       "-",
                                       ".",
                                       "1e",
                                       "9007199254740993",
                                       "18446744073709551615",
                                       "12345678901234567890123",
                                       "0.30000000000000004",
                                       "123456789.123456789",
                                       "1e999",
                                       "1 ",
                                       " 1",
                                       "1\t",
                                       "1 5",
                                       "1 5 ",
                                       "1 x",
                                       "1{",
                                       "1 {",
                                       "1#",
                                       "1 # x",
                                       "00012",
                                       "1.7e+09",
                                       "4.9e-324",
                                       "1,5",
                                       "1\r",
                                       "9007199254740992.5",
                                       "0.000000000000000001",
                                       "1234567890123456789",
                                       "12345678901234567.89"}) {
    differential.Check(absl::StrCat("m ", value, "\n"));
    differential.Check("m 1\n");
    differential.Check(absl::StrCat("m ", value));
    differential.Check("m 1\n");
  }
}

}  // namespace
}  // namespace trawl

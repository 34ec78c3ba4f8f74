#include "core/scrape/scrape_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/exposition/inflate.h"
#include "tests/core/scrape/scrape_world.h"
#include "tests/fakes/gzip.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr absl::Duration kInterval = absl::Seconds(10);

std::string LargePage(size_t times = 1) {
  std::string page;
  for (int i = 0; page.size() < times * (kSlicedBodyBytes + 2 * kSliceBytes); ++i) {
    absl::StrAppend(&page, "some_metric_with_a_name{label=\"", i, "\"} ", i, "\n");
  }
  return page;
}

std::string Page(int series) {
  std::string page;
  for (int i = 0; i < series; ++i) absl::StrAppend(&page, "m", i, " 1\n");
  return page;
}

// One job with one target, whose loop is what these tests are about.
class ScrapeLoopTest : public ::testing::Test {
 protected:
  void Start(ScrapeConfig job = ScrapeWorld::Job("job", kInterval)) {
    EXPECT_OK(world_.Apply({std::move(job)}));
    world_.SetTargets("job", {"a"});
  }
  const SampleLog::Scrape& Next() {
    EXPECT_TRUE(world_.NextScrape());
    return world_.last();
  }

  void ServeGzip(const std::string& address, const std::string& page) {
    world_.fetcher.Serve(
        ScrapeWorld::Url(address),
        {.content_type = "text/plain", .content_encoding = "gzip", .body = Gzip(page)});
  }
  // The first scrapes of a job with several targets, which answer at the same moment.
  void AnswerTogether(const std::vector<std::string>& addresses) {
    EXPECT_OK(world_.Apply({ScrapeWorld::Job("job", kInterval)}));
    for (const std::string& address : addresses) world_.fetcher.Hold(ScrapeWorld::Url(address));
    world_.SetTargets("job", addresses);
    loop_.Advance(kInterval - absl::Milliseconds(100));
    EXPECT_EQ(world_.fetcher.in_flight(), addresses.size());
    for (const std::string& address : addresses) world_.fetcher.Release(ScrapeWorld::Url(address));
    loop_.RunUntilIdle();
  }
  static std::string Up(const std::string& address) {
    return absl::StrCat("{__name__=\"up\", instance=\"", address, "\", job=\"job\"}");
  }

  ScrapeWorld world_;
  FakeEventLoop& loop_ = world_.loop;
};

TEST_F(ScrapeLoopTest, ScrapesEveryIntervalFromItsOffsetOn) {
  world_.Serve("a", "x 1\n");
  const absl::Time start = loop_.Now();
  Start();

  const int64_t first = Next().timestamp_ms;
  EXPECT_GT(first, absl::ToUnixMillis(start));
  EXPECT_LE(first, absl::ToUnixMillis(start + kInterval) + 20);
  EXPECT_EQ(Next().timestamp_ms, first + 10000);
  EXPECT_EQ(Next().timestamp_ms, first + 20000);
}

TEST_F(ScrapeLoopTest, ReportsAboutEachScrape) {
  world_.fetcher.Serve(ScrapeWorld::Url("a"), {.content_type = "text/plain",
                                               .body = "x 1\ny{a=\"b\"} 2\n",
                                               .delay = absl::Milliseconds(250)});
  Start();

  const SampleLog::Scrape first = Next();
  EXPECT_EQ(first.samples.at("{__name__=\"x\", instance=\"a\", job=\"job\"}"), 1);
  EXPECT_EQ(first.samples.at("{__name__=\"y\", a=\"b\", instance=\"a\", job=\"job\"}"), 2);
  EXPECT_EQ(first.samples.at("{__name__=\"up\", instance=\"a\", job=\"job\"}"), 1);
  EXPECT_EQ(first.Get("scrape_duration_seconds"), 0.25);
  EXPECT_EQ(first.Get("scrape_samples_scraped"), 2);
  EXPECT_EQ(first.Get("scrape_samples_post_metric_relabeling"), 2);
  EXPECT_EQ(first.Get("scrape_series_added"), 2);
  EXPECT_EQ(first.samples.size(), 7u);

  EXPECT_EQ(Next().Get("scrape_series_added"), 0);
}

TEST_F(ScrapeLoopTest, ExtraMetricsAreReportedWhenAskedFor) {
  ScrapeConfig job = ScrapeWorld::Job("job");
  job.extra_scrape_metrics = true;
  job.sample_limit = 7;
  world_.Serve("a", "x 1\n");
  Start(job);

  const SampleLog::Scrape scrape = Next();

  EXPECT_EQ(scrape.Get("scrape_timeout_seconds"), 10);
  EXPECT_EQ(scrape.Get("scrape_sample_limit"), 7);
  EXPECT_EQ(scrape.Get("scrape_body_size_bytes"), 4);
}

TEST_F(ScrapeLoopTest, StatusFollowsTheScrapes) {
  world_.Serve("a", "x 1\n");
  Start();
  EXPECT_EQ(world_.Report("job").health, TargetHealth::kUnknown);

  Next();
  ScrapeReport report = world_.Report("job");
  EXPECT_EQ(report.health, TargetHealth::kUp);
  EXPECT_EQ(report.last.error, "");
  EXPECT_EQ(absl::ToUnixMillis(report.last.start), world_.last().timestamp_ms);
  EXPECT_EQ(report.last.samples_scraped, 1u);
  EXPECT_EQ(report.last.inflated_bytes, 4u);

  world_.fetcher.Fail(ScrapeWorld::Url("a"), FailureReason::kConnectionRefused, "refused");
  Next();
  report = world_.Report("job");
  EXPECT_EQ(report.health, TargetHealth::kDown);
  EXPECT_EQ(report.last.error, "Get \"http://a/metrics\": refused");
  EXPECT_EQ(report.last.reason, FailureReason::kConnectionRefused);
  EXPECT_EQ(report.scrapes, 2u);
  EXPECT_EQ(report.failures, 1u);
  EXPECT_EQ(world_.metrics.scrape().failures_total.Value({"job", "connect_refused"}), 1);
}

TEST_F(ScrapeLoopTest, AsksWithPrometheusHeaders) {
  world_.Serve("a", "x 1\n");
  ScrapeConfig job = ScrapeWorld::Job("job");
  job.scrape_timeout = absl::Milliseconds(1500);
  Start(job);
  Next();

  const FetchRequest& request = world_.fetcher.requests().back();
  EXPECT_EQ(request.url, "http://a/metrics");
  EXPECT_EQ(request.timeout, absl::Milliseconds(1500));
  EXPECT_EQ(request.interval, kInterval);
  EXPECT_THAT(request.headers, Contains("Accept-Encoding: gzip"));
  EXPECT_THAT(request.headers, Contains("X-Prometheus-Scrape-Timeout-Seconds: 1.5"));
  EXPECT_THAT(request.headers, Contains(HasSubstr("Accept: text/plain;version=1.0.0")));
}

TEST_F(ScrapeLoopTest, CompressionCanBeDeclined) {
  ScrapeConfig job = ScrapeWorld::Job("job");
  job.enable_compression = false;
  Start(job);
  Next();

  EXPECT_THAT(world_.fetcher.requests().back().headers, Contains("Accept-Encoding: identity"));
}

TEST_F(ScrapeLoopTest, AnyStatusBut200IsAFailure) {
  world_.fetcher.Serve(ScrapeWorld::Url("a"),
                       {.status_code = 404, .status_line = "404 Not Found", .body = "x 1\n"});
  Start();

  EXPECT_EQ(Next().Get("up"), 0);
  EXPECT_EQ(world_.Report("job").last.error, "server returned HTTP status 404 Not Found");
  EXPECT_EQ(world_.Report("job").last.reason, FailureReason::kHttpStatus4xx);
}

TEST_F(ScrapeLoopTest, AnErrorThatIsShownIsShortAndUtf8WhateverTheTargetSent) {
  world_.fetcher.Serve(ScrapeWorld::Url("a"), {.status_code = 503, .status_line = "503 \xff\x01"});
  Start();
  Next();
  EXPECT_EQ(world_.Report("job").last.error, "server returned HTTP status 503 \ufffd\x01");

  world_.Serve("a", absl::StrCat("m{a=\"", std::string(3'000'000, '\0'), "\"} ?\n"));
  Next();
  const std::string error = world_.Report("job").last.error;
  EXPECT_LE(error.size(), 8192u);
  EXPECT_THAT(error, HasSubstr("strconv.ParseFloat: parsing \"?\": invalid syntax"));
  EXPECT_THAT(error, HasSubstr("line 1, column 3000009"));
}

TEST_F(ScrapeLoopTest, WithoutALimitABodyIsBoundedAllTheSame) {
  world_.fetcher.Fail(ScrapeWorld::Url("a"), FailureReason::kBodySizeLimit, "too large");
  Start();
  Next();

  const uint64_t wire = world_.fetcher.requests().back().max_wire_bytes;
  EXPECT_GE(wire, kMaxBodyBytes);
  EXPECT_LE(wire, kMaxBodyBytes + kMaxBodyBytes / 512);
}

TEST_F(ScrapeLoopTest, ABodyNeedsAContentType) {
  world_.fetcher.Serve(ScrapeWorld::Url("a"), {.body = "x 1\n"});
  Start();

  EXPECT_EQ(Next().Get("up"), 0);
  EXPECT_EQ(world_.Report("job").last.error,
            "non-compliant scrape target sending blank Content-Type and no "
            "fallback_scrape_protocol specified for target");
  EXPECT_EQ(world_.Report("job").last.reason, FailureReason::kContentType);
}

TEST_F(ScrapeLoopTest, TheFallbackProtocolStandsInForAContentType) {
  world_.fetcher.Serve(ScrapeWorld::Url("a"), {.body = "x 1\n"});
  ScrapeConfig job = ScrapeWorld::Job("job");
  job.fallback_scrape_protocol = ScrapeProtocol::kPrometheusText004;
  Start(job);

  EXPECT_EQ(Next().Get("up"), 1);
}

TEST_F(ScrapeLoopTest, AnEmptyBodyNeedsNoContentTypeAndEndsSeries) {
  world_.Serve("a", "x 1\n");
  Start();
  Next();
  world_.fetcher.Serve(ScrapeWorld::Url("a"), {});

  const SampleLog::Scrape scrape = Next();

  EXPECT_EQ(scrape.Get("up"), 1);
  EXPECT_TRUE(scrape.IsStale("x"));
}

TEST_F(ScrapeLoopTest, AFailedScrapeEndsSeriesOnce) {
  world_.Serve("a", "x 1\ny 2\n");
  Start();
  Next();
  world_.fetcher.Fail(ScrapeWorld::Url("a"), FailureReason::kConnectionRefused, "refused");

  const SampleLog::Scrape failed = Next();
  EXPECT_EQ(failed.Get("up"), 0);
  EXPECT_TRUE(failed.IsStale("x"));
  EXPECT_TRUE(failed.IsStale("y"));
  EXPECT_EQ(failed.flags & ScrapeBatch::kScrapeFailed, ScrapeBatch::kScrapeFailed);
  EXPECT_EQ(Next().StaleMarkers(), 0);
  EXPECT_EQ(Next().StaleMarkers(), 0);

  world_.Serve("a", "x 1\ny 2\n");
  const SampleLog::Scrape good = Next();
  EXPECT_EQ(good.Get("x"), 1);
  EXPECT_EQ(good.Get("scrape_series_added"), 0);  // a failure does not lose the cache
}

TEST_F(ScrapeLoopTest, AParseErrorEndsSeriesOnceAndKeepsNothing) {
  world_.Serve("a", "x 1\n");
  Start();
  Next();
  world_.Serve("a", "new 1\n0{\n");

  const SampleLog::Scrape failed = Next();

  EXPECT_EQ(failed.Get("up"), 0);
  EXPECT_TRUE(failed.IsStale("x"));
  EXPECT_FALSE(failed.Has("new"));
  EXPECT_EQ(world_.Report("job").last.reason, FailureReason::kParse);
}

TEST_F(ScrapeLoopTest, ASeriesThatVanishesEndsInThatScrape) {
  world_.Serve("a", "x 1\ny 2\n");
  Start();
  Next();
  world_.Serve("a", "x 1\n");

  const SampleLog::Scrape scrape = Next();

  EXPECT_EQ(scrape.Get("up"), 1);
  EXPECT_EQ(scrape.Get("x"), 1);
  EXPECT_TRUE(scrape.IsStale("y"));
}

TEST_F(ScrapeLoopTest, AHangingTargetTimesOutAndIsScrapedEachInterval) {
  Start();
  world_.fetcher.Hold(ScrapeWorld::Url("a"));

  const int64_t first = Next().timestamp_ms;
  EXPECT_EQ(world_.last().Get("up"), 0);
  EXPECT_EQ(world_.last().Get("scrape_duration_seconds"), 10);
  EXPECT_EQ(world_.Report("job").last.reason, FailureReason::kTimeoutResponse);
  EXPECT_THAT(world_.Report("job").last.error, HasSubstr("context deadline exceeded"));
  EXPECT_EQ(Next().timestamp_ms, first + 10000);
}

TEST_F(ScrapeLoopTest, BodySizeLimitIsAboutTheText) {
  ScrapeConfig job = ScrapeWorld::Job("job");
  job.body_size_limit = 8;
  job.extra_scrape_metrics = true;
  world_.Serve("a", "long 1.0\n");
  Start(job);

  const SampleLog::Scrape failed = Next();
  EXPECT_EQ(failed.Get("up"), 0);
  EXPECT_EQ(failed.Get("scrape_body_size_bytes"), -1);
  EXPECT_EQ(world_.Report("job").last.error, "body size limit exceeded");
  EXPECT_EQ(world_.metrics.scrape().exceeded_body_size_limit_total.Value(), 1);

  world_.Serve("a", "x 1.00\n");
  EXPECT_EQ(Next().Get("up"), 1);
}

TEST_F(ScrapeLoopTest, SampleLimitFailsTheScrapeAndIsCountedOnce) {
  ScrapeConfig job = ScrapeWorld::Job("job");
  job.sample_limit = 1;
  world_.Serve("a", "x 1\ny 2\nz 3\n");
  Start(job);

  const SampleLog::Scrape failed = Next();
  EXPECT_EQ(failed.Get("up"), 0);
  EXPECT_EQ(failed.Get("scrape_samples_scraped"), 3);
  EXPECT_EQ(world_.Report("job").last.reason, FailureReason::kSampleLimit);
  EXPECT_EQ(world_.metrics.scrape().exceeded_sample_limit_total.Value(), 1);
}

TEST_F(ScrapeLoopTest, CorruptGzipIsAFailure) {
  world_.fetcher.Serve(
      ScrapeWorld::Url("a"),
      {.content_type = "text/plain", .content_encoding = "gzip", .body = "this is no gzip"});
  Start();

  EXPECT_EQ(Next().Get("up"), 0);
  EXPECT_EQ(world_.Report("job").last.reason, FailureReason::kContentEncoding);
}

TEST_F(ScrapeLoopTest, ALargeBodyIsIngestedWhole) {
  const std::string page = LargePage();
  const auto lines = static_cast<double>(std::ranges::count(page, '\n'));
  world_.Serve("a", page);
  Start();

  EXPECT_EQ(Next().Get("up"), 1);
  EXPECT_EQ(world_.last().Get("scrape_samples_scraped"), lines);
  EXPECT_EQ(Next().Get("scrape_series_added"), 0);
  EXPECT_EQ(world_.last().StaleMarkers(), 0);
}

TEST_F(ScrapeLoopTest, ASmallGzipBodyThatTurnsOutLargeIsIngestedWhole) {
  const std::string page = LargePage();
  const std::string gzip = Gzip(page);
  ASSERT_LT(gzip.size(), kSlicedBodyBytes);
  world_.fetcher.Serve(ScrapeWorld::Url("a"),
                       {.content_type = "text/plain", .content_encoding = "gzip", .body = gzip});
  Start();

  EXPECT_EQ(Next().Get("up"), 1);
  EXPECT_EQ(world_.Report("job").last.inflated_bytes, page.size());
  EXPECT_EQ(Next().Get("scrape_series_added"), 0);
}

TEST_F(ScrapeLoopTest, BodySizeLimitHoldsForLargeBodiesToo) {
  ScrapeConfig job = ScrapeWorld::Job("job");
  job.body_size_limit = kSlicedBodyBytes + kSliceBytes;
  world_.fetcher.Serve(
      ScrapeWorld::Url("a"),
      {.content_type = "text/plain", .content_encoding = "gzip", .body = Gzip(LargePage())});
  Start(job);

  EXPECT_EQ(Next().Get("up"), 0);
  EXPECT_EQ(world_.Report("job").last.reason, FailureReason::kBodySizeLimit);
  EXPECT_EQ(world_.Report("job").last.error, "body size limit exceeded");
}

TEST_F(ScrapeLoopTest, LargeBodiesAreTakenUpOneAfterTheOther) {
  ServeGzip("a", LargePage(4));
  ServeGzip("b", LargePage());
  AnswerTogether({"a", "b"});

  ASSERT_EQ(world_.scrapes().size(), 2u);
  EXPECT_TRUE(world_.scrapes()[0].samples.contains(Up("a")));  // though it has more slices
  EXPECT_TRUE(world_.scrapes()[1].samples.contains(Up("b")));
}

TEST_F(ScrapeLoopTest, ALargeBodyCountsInTheBudgetUntilItIsParsed) {
  const std::string page = LargePage();
  world_.shard().large_bodies.Enter([] {});
  world_.Serve("a", page);
  AnswerTogether({"a"});
  EXPECT_EQ(world_.bodies.used_bytes(), page.size());

  world_.shard().large_bodies.Leave();
  loop_.RunUntilIdle();

  EXPECT_EQ(world_.bodies.used_bytes(), 0u);
  EXPECT_EQ(world_.scrapes().size(), 1u);
}

TEST_F(ScrapeLoopTest, ALargeBodyThatFailsGivesItsTurnBack) {
  world_.fetcher.Serve(ScrapeWorld::Url("a"),
                       {.content_type = "text/plain", .body = LargePage() + "{{{ no metrics\n"});
  ServeGzip("b", LargePage());
  AnswerTogether({"a", "b"});

  ASSERT_EQ(world_.scrapes().size(), 2u);
  EXPECT_EQ(world_.scrapes()[0].samples.at(Up("a")), 0);
  EXPECT_EQ(world_.scrapes()[1].samples.at(Up("b")), 1);
}

TEST_F(ScrapeLoopTest, ALargeBodyThatWaitsIsGivenUpWithItsLoop) {
  world_.shard().large_bodies.Enter([] {});
  ServeGzip("a", LargePage());
  AnswerTogether({"a"});
  bool stopped = false;
  world_.manager->Stop([&] { stopped = true; });
  loop_.Advance(absl::Seconds(2));
  EXPECT_FALSE(stopped);

  world_.shard().large_bodies.Leave();
  loop_.RunUntilIdle();

  EXPECT_TRUE(stopped);
  EXPECT_TRUE(world_.scrapes().empty());
}

TEST_F(ScrapeLoopTest, ASmallClockStepBackKeepsTimestampsRising) {
  world_.Serve("a", "x 1\n");
  Start();
  const int64_t first = Next().timestamp_ms;
  loop_.StepWall(-absl::Seconds(15));  // the next scrape would be 5 s before this one

  EXPECT_EQ(Next().timestamp_ms, first + 1);
  EXPECT_EQ(world_.last().flags, 0u);
}

TEST_F(ScrapeLoopTest, ALargeClockStepBackIsBelievedAndFlagged) {
  world_.Serve("a", "x 1\n");
  Start();
  const int64_t first = Next().timestamp_ms;
  loop_.StepWall(-absl::Hours(1));

  EXPECT_EQ(Next().timestamp_ms, first + 10000 - 3600000);
  EXPECT_EQ(world_.last().flags, ScrapeBatch::kClockStepped);
  EXPECT_EQ(Next().flags, 0u);
}

TEST_F(ScrapeLoopTest, ARefusedRecordTakesTheTargetDown) {
  world_.Serve("a", "x 1\n");
  Start();
  world_.appender.next_status = absl::InternalError("the log is broken");
  loop_.Advance(kInterval);

  EXPECT_TRUE(world_.scrapes().empty());
  EXPECT_EQ(world_.Report("job").health, TargetHealth::kDown);
  EXPECT_EQ(world_.Report("job").last.reason, FailureReason::kAppend);
  EXPECT_EQ(world_.Report("job").last.error, "the log is broken");
  EXPECT_EQ(Next().Get("up"), 1);
}

TEST_F(ScrapeLoopTest, AScrapeTooLargeForARecordIsAFailedOne) {
  world_.Serve("a", "x 1\n");
  Start();
  Next();
  world_.appender.next_status = absl::InvalidArgumentError("record too large");

  const SampleLog::Scrape failed = Next();

  EXPECT_EQ(failed.Get("up"), 0);
  EXPECT_TRUE(failed.IsStale("x"));
  EXPECT_EQ(world_.Report("job").last.reason, FailureReason::kTooLarge);
}

TEST_F(ScrapeLoopTest, AScrapeTooLargeForTheLogIsAFailedOne) {
  world_.Serve("a", "x 1\n");
  Start();
  Next();
  world_.appender.next_status = absl::ResourceExhaustedError("the log holds less");

  const SampleLog::Scrape failed = Next();

  EXPECT_EQ(failed.Get("up"), 0);
  EXPECT_TRUE(failed.IsStale("x"));
  EXPECT_EQ(world_.Report("job").last.reason, FailureReason::kAppend);
  EXPECT_EQ(world_.Report("job").last.error, "the log holds less");
}

TEST_F(ScrapeLoopTest, WithoutRoomForASeriesEndTheTargetIsToldDownWithoutIt) {
  world_.appender.max_series = 20;
  world_.Serve("a", Page(50));
  Start();

  const SampleLog::Scrape failed = Next();

  EXPECT_EQ(failed.Get("up"), 0);
  EXPECT_EQ(failed.Get("scrape_samples_scraped"), 50);
  EXPECT_EQ(failed.StaleMarkers(), 0);
  EXPECT_EQ(world_.Report("job").last.reason, FailureReason::kAppend);

  world_.Serve("a", "x 1\n");
  const SampleLog::Scrape mended = Next();
  EXPECT_EQ(mended.Get("up"), 1);
  EXPECT_EQ(mended.Get("x"), 1);
}

TEST_F(ScrapeLoopTest, AnEndWithoutRoomIsToldWithoutIt) {
  world_.Serve("a", Page(50));
  Start();
  Next();
  world_.appender.max_series = 20;
  world_.fetcher.Fail(ScrapeWorld::Url("a"), FailureReason::kConnectionRefused, "refused");

  const SampleLog::Scrape failed = Next();

  EXPECT_EQ(failed.Get("up"), 0);
  EXPECT_EQ(failed.StaleMarkers(), 0);
  EXPECT_EQ(world_.Report("job").last.reason, FailureReason::kConnectionRefused);
  EXPECT_EQ(world_.appender.forgotten, 1);
}

TEST_F(ScrapeLoopTest, StopDuringTheOffsetMeansNoScrape) {
  world_.Serve("a", "x 1\n");
  Start();

  world_.SetTargets("job", {});
  loop_.Advance(absl::Minutes(5));

  EXPECT_TRUE(world_.scrapes().empty());
  EXPECT_TRUE(world_.fetcher.requests().empty());
}

TEST_F(ScrapeLoopTest, TheIntervalsLengthIsObserved) {
  world_.Serve("a", "x 1\n");
  Start();
  Next();
  Next();

  EXPECT_THAT(world_.metrics.Serialize(),
              HasSubstr("prometheus_target_interval_length_seconds_count{interval=\"10s\"} 1"));
}

}  // namespace
}  // namespace trawl

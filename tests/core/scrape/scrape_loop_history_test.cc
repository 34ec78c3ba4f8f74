// What a loop notes of its scrapes for the target's history.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "core/exposition/inflate.h"
#include "core/scrape/scrape_loop.h"
#include "tests/core/scrape/scrape_world.h"
#include "tests/fakes/gzip.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::SizeIs;

constexpr absl::Duration kInterval = absl::Seconds(10);
const std::string kUrl = ScrapeWorld::Url("a");

class ScrapeLoopHistoryTest : public ::testing::Test {
 protected:
  void Start(ScrapeConfig job = ScrapeWorld::Job("job", kInterval)) {
    EXPECT_OK(world_.Apply({std::move(job)}));
    world_.SetTargets("job", {"a"});
    world_.loop.RunUntilIdle();
  }
  ScrapeRecord Next() {
    EXPECT_TRUE(world_.NextScrape());
    return world_.History("job").at(0);
  }

  ScrapeWorld world_;
};

TEST_F(ScrapeLoopHistoryTest, AGoodScrapeIsNotedWhole) {
  const std::string gzip = Gzip("x 1\ny 2\n");
  FetchTimings timings;
  timings.connect = absl::Milliseconds(2);
  timings.request = absl::Milliseconds(3);
  timings.first_byte = absl::Milliseconds(200);
  world_.fetcher.Serve(kUrl, {.content_type = "text/plain",
                              .content_encoding = "gzip",
                              .body = gzip,
                              .delay = absl::Milliseconds(250),
                              .timings = timings});
  Start();

  const ScrapeRecord record = Next();

  EXPECT_EQ(absl::ToUnixMillis(record.start), world_.last().timestamp_ms);
  EXPECT_EQ(record.duration, absl::Milliseconds(250));
  EXPECT_EQ(record.lateness, absl::ZeroDuration());
  EXPECT_EQ(record.phases.connect, absl::Milliseconds(2));
  EXPECT_EQ(record.phases.first_byte, absl::Milliseconds(197));
  EXPECT_EQ(record.phases.transfer, absl::Milliseconds(50));
  EXPECT_EQ(record.phases.inflate, absl::ZeroDuration());
  EXPECT_EQ(record.phases.parse, absl::ZeroDuration());
  EXPECT_EQ(record.body_bytes, gzip.size());
  EXPECT_EQ(record.inflated_bytes, 8u);
  EXPECT_EQ(record.samples_scraped, 2u);
  EXPECT_EQ(record.series_added, 2u);
  EXPECT_EQ(record.http_status, 200);
  EXPECT_EQ(record.content_type, "text/plain");
  EXPECT_EQ(record.reason, FailureReason::kNone);
}

TEST_F(ScrapeLoopHistoryTest, AFailedOneHasNothingOfTheScrapeBefore) {
  world_.Serve("a", "x 1\n");
  Start();
  Next();
  world_.fetcher.Fail(kUrl, FailureReason::kConnectionRefused, "refused");

  const ScrapeRecord record = Next();

  EXPECT_EQ(record.reason, FailureReason::kConnectionRefused);
  EXPECT_EQ(record.error, "Get \"http://a/metrics\": refused");
  EXPECT_EQ(record.http_status, 0);
  EXPECT_EQ(record.content_type, "");
  EXPECT_EQ(record.body_bytes, 0u);
  EXPECT_EQ(record.phases.parse, std::nullopt);
  EXPECT_THAT(world_.History("job"), SizeIs(2));
}

TEST_F(ScrapeLoopHistoryTest, AScrapeThatAskedNobodyHasNoPhases) {
  world_.Serve("a", "x 1\n");
  ScrapeConfig job = ScrapeWorld::Job("job", kInterval);
  Start(job);
  Next();
  job.target_limit = 1;
  EXPECT_OK(world_.Apply({job}));
  world_.SetTargets("job", {"a", "b"});
  EXPECT_TRUE(world_.NextScrape());
  EXPECT_TRUE(world_.NextScrape());

  const auto pool = world_.Pool("job");
  for (const auto& target : pool->active) {
    const ScrapeRecord record = target->status->History().at(0);
    EXPECT_EQ(record.reason, FailureReason::kTargetLimit);
    EXPECT_EQ(record.phases, ScrapePhases());
    EXPECT_EQ(record.http_status, 0);
  }
}

TEST_F(ScrapeLoopHistoryTest, AnHttpErrorKeepsItsStatusCode) {
  world_.fetcher.Serve(kUrl, {.status_code = 503, .status_line = "503 Service Unavailable"});
  Start();

  const ScrapeRecord record = Next();

  EXPECT_EQ(record.reason, FailureReason::kHttpStatus5xx);
  EXPECT_EQ(record.http_status, 503);
}

TEST_F(ScrapeLoopHistoryTest, ALargeBodyIsNotedLikeASmallOneAlsoWhenItFails) {
  std::string page;
  for (size_t i = 0; page.size() <= 2 * kSlicedBodyBytes; ++i)
    absl::StrAppend(&page, "m", i, " 1\n");
  const std::string gzip = Gzip(page);
  world_.fetcher.Serve(kUrl,
                       {.content_type = "text/plain", .content_encoding = "gzip", .body = gzip});
  Start();

  ScrapeRecord record = Next();
  EXPECT_EQ(record.body_bytes, gzip.size());
  EXPECT_EQ(record.inflated_bytes, page.size());
  EXPECT_TRUE(record.phases.inflate.has_value());
  EXPECT_TRUE(record.phases.parse.has_value());

  world_.fetcher.Serve(kUrl, {.content_type = "text/plain",
                              .content_encoding = "gzip",
                              .body = gzip.substr(0, gzip.size() / 2)});
  record = Next();
  EXPECT_EQ(record.reason, FailureReason::kContentEncoding);
  EXPECT_EQ(record.body_bytes, gzip.size() / 2);
  EXPECT_TRUE(record.phases.inflate.has_value());
  EXPECT_FALSE(record.phases.parse.has_value());
}

TEST_F(ScrapeLoopHistoryTest, TheNextScrapeIsToldBeforeTheFirstAndAfterEach) {
  world_.Serve("a", "x 1\n");
  Start();

  const absl::Time first = world_.Report("job").next_scrape;
  EXPECT_GT(first, world_.loop.Now());
  EXPECT_LE(first, world_.loop.Now() + kInterval);
  const ScrapeRecord record = Next();
  EXPECT_LE(absl::AbsDuration(record.start - first), absl::Milliseconds(1));
  EXPECT_LE(absl::AbsDuration(world_.Report("job").next_scrape - first - kInterval),
            absl::Milliseconds(1));
}

TEST_F(ScrapeLoopHistoryTest, SamplesThatAreLeftOutAreCountedInReportAndHistory) {
  world_.Serve("a", "x 1\nx 2\ny 1\n");
  Start();

  const ScrapeRecord record = Next();

  EXPECT_EQ(record.duplicates, 1u);
  EXPECT_EQ(world_.Report("job").last.duplicates, 1u);
  EXPECT_EQ(world_.Report("job").series, 2u);
}

}  // namespace
}  // namespace trawl

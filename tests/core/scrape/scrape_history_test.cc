#include "core/scrape/scrape_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/scrape/target_status.h"

namespace trawl {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

ScrapeRecord Good(int second) {
  ScrapeRecord record;
  record.start = absl::FromUnixSeconds(1000 + second);
  record.lateness = absl::Microseconds(70);
  record.duration = absl::Milliseconds(12);
  record.phases.connect = absl::Milliseconds(1);
  record.phases.first_byte = absl::Milliseconds(9);
  record.phases.parse = absl::ZeroDuration();
  record.body_bytes = 1234;
  record.inflated_bytes = 56789;
  record.samples_scraped = 700;
  record.samples_post_relabeling = 600;
  record.series_added = 5;
  record.http_status = 200;
  record.content_type = "text/plain; version=0.0.4";
  record.connection_reused = true;
  return record;
}

TEST(ScrapeHistoryTest, GivesBackWhatWasAdded) {
  ScrapeHistory history;
  ScrapeRecord bad = Good(1);
  bad.reason = FailureReason::kHttpStatus5xx;
  bad.error = "server returned HTTP status 503 Service Unavailable";
  bad.http_status = 503;
  bad.out_of_order = 1;
  bad.duplicates = 2;
  bad.out_of_bounds = 3;

  history.Add(Good(0));
  history.Add(bad);

  EXPECT_THAT(history.List(), testing::ElementsAre(bad, Good(0)));
}

TEST(ScrapeHistoryTest, KeepsTheLastTenTheNewestFirst) {
  ScrapeHistory history;
  EXPECT_THAT(history.List(), IsEmpty());
  for (int i = 0; i < 25; ++i) history.Add(Good(i));

  const std::vector<ScrapeRecord> list = history.List();

  ASSERT_THAT(list, SizeIs(10));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(list[static_cast<size_t>(i)], Good(24 - i));
}

TEST(ScrapeHistoryTest, WhatDoesNotFitIsTheLargestAndLongErrorsAreCut) {
  ScrapeHistory history;
  ScrapeRecord record = Good(0);
  record.duration = absl::Hours(3);
  record.lateness = -absl::Seconds(1);
  record.body_bytes = uint64_t{1} << 40;
  record.error = std::string(2000, 'e');
  history.Add(record);

  const ScrapeRecord kept = history.List().front();

  EXPECT_GT(kept.duration, absl::Minutes(71));
  EXPECT_EQ(kept.lateness, absl::ZeroDuration());
  EXPECT_EQ(kept.body_bytes, UINT32_MAX);
  EXPECT_LE(kept.error.size(), ScrapeHistory::kMaxErrorBytes);
}

TEST(ScrapeHistoryTest, ATargetCostsAboutAKilobyte) {
  EXPECT_LE(sizeof(ScrapeHistory), 900u);
  EXPECT_LE(sizeof(TargetStatus), 320u);
}

TEST(TargetStatusTest, ItsVersionRisesWithEachReportAndItsHistoryWithEachScrape) {
  TargetStatus status;
  EXPECT_EQ(status.version(), 0u);
  EXPECT_THAT(status.History(), IsEmpty());

  status.Set({.next_scrape = absl::UnixEpoch()});
  EXPECT_EQ(status.version(), 1u);
  EXPECT_THAT(status.History(), IsEmpty());

  status.Set({.health = TargetHealth::kUp}, Good(0));
  EXPECT_EQ(status.version(), 2u);
  EXPECT_EQ(status.health(), TargetHealth::kUp);
  EXPECT_THAT(status.History(), SizeIs(1));
}

FetchTimings Timings(int dns, int connect, int tls, int request, int first_byte, int total) {
  FetchTimings timings;
  timings.dns = absl::Milliseconds(dns);
  timings.connect = absl::Milliseconds(connect);
  timings.tls = absl::Milliseconds(tls);
  timings.request = absl::Milliseconds(request);
  timings.first_byte = absl::Milliseconds(first_byte);
  timings.total = absl::Milliseconds(total);
  return timings;
}

TEST(ScrapePhasesTest, EachIsTheTimeBetweenTwoEnds) {
  const ScrapePhases phases = PhasesOf(Timings(2, 5, 9, 10, 30, 37), FailureReason::kNone);

  EXPECT_EQ(phases.dns, absl::Milliseconds(2));
  EXPECT_EQ(phases.connect, absl::Milliseconds(3));
  EXPECT_EQ(phases.tls, absl::Milliseconds(4));
  EXPECT_EQ(phases.first_byte, absl::Milliseconds(20));
  EXPECT_EQ(phases.transfer, absl::Milliseconds(7));
  EXPECT_EQ(phases.inflate, std::nullopt);
}

TEST(ScrapePhasesTest, AKeptConnectionHasNeitherConnectNorTls) {
  const ScrapePhases phases = PhasesOf(Timings(0, 0, 0, 1, 11, 12), FailureReason::kNone);

  EXPECT_EQ(phases.dns, std::nullopt);
  EXPECT_EQ(phases.connect, std::nullopt);
  EXPECT_EQ(phases.tls, std::nullopt);
  EXPECT_EQ(phases.first_byte, absl::Milliseconds(10));
}

TEST(ScrapePhasesTest, TheOneInWhichItFailedHasTheRest) {
  using enum FailureReason;
  const auto fails = [](FailureReason reason, FetchTimings timings) {
    return PhasesOf(timings, reason);
  };

  EXPECT_EQ(fails(kTimeoutDns, Timings(0, 0, 0, 0, 0, 100)).dns, absl::Milliseconds(100));
  EXPECT_EQ(fails(kConnectionRefused, Timings(4, 0, 0, 0, 0, 5)).connect, absl::Milliseconds(1));
  EXPECT_EQ(fails(kTimeoutTls, Timings(0, 3, 0, 0, 0, 50)).tls, absl::Milliseconds(47));
  EXPECT_EQ(fails(kTimeoutResponse, Timings(0, 3, 0, 4, 0, 50)).first_byte, absl::Milliseconds(46));
  EXPECT_EQ(fails(kConnectionFailed, Timings(0, 3, 0, 4, 0, 50)).first_byte,
            absl::Milliseconds(46));
  EXPECT_EQ(fails(kTimeoutBody, Timings(0, 3, 0, 4, 20, 50)).transfer, absl::Milliseconds(30));
}

}  // namespace
}  // namespace trawl

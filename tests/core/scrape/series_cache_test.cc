#include "core/scrape/series_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/model/value.h"
#include "core/scrape/sample_labels.h"
#include "tests/core/scrape/scraped_target.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// ---- The cache over real pages.

std::string ReadCapture(std::string_view name, int i) {
  const std::string path =
      absl::StrCat(TRAWL_TEST_DATA, "/exposition/", name, absl::StrFormat(".%04d.txt.gz", i));
  std::ifstream file(path, std::ios::binary);
  const std::string gzip{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  Gunzip gunzip;
  ByteBuffer body;
  EXPECT_TRUE(gunzip.Inflate(gzip, 0, 0, body).ok()) << path;
  return std::string(body.view());
}

TEST(SeriesCacheTest, RealPagesAreReadAlikeFromTheCacheAndAfresh) {
  for (const std::string_view name : {"node_exporter", "prometheus"}) {
    ScrapedTarget cached({}, {{"instance", "i"}, {"job", "j"}});
    LayoutPtr layout;
    for (int i = 0; i < 4; ++i) {
      ScrapedTarget fresh({}, {{"instance", "i"}, {"job", "j"}});
      const std::string page = ReadCapture(name, i);

      EXPECT_TRUE(cached.Scrape(page, 1000 * i).status.ok());
      EXPECT_TRUE(fresh.Scrape(page, 1000 * i).status.ok());

      EXPECT_EQ(cached.LastBody(), fresh.LastBody());
      EXPECT_GT(cached.LastBody().size(), 200u);
      if (i > 0) {
        EXPECT_EQ(cached.cache().layout(), layout) << "the page has not changed";
      }
      layout = cached.cache().layout();
    }
  }
}

// Series of the last batch that live, and those that end in it.
struct Outcome {
  std::vector<std::string> living;
  std::vector<std::string> ended;
};

Outcome OutcomeOf(const ScrapedTarget& target) {
  Outcome outcome;
  for (const std::string& sample : target.LastBody()) {
    const size_t stale = sample.find(" stale @");
    if (stale == std::string::npos) {
      outcome.living.push_back(sample);
    } else {
      outcome.ended.push_back(sample.substr(0, stale));
    }
  }
  std::sort(outcome.living.begin(), outcome.living.end());
  std::sort(outcome.ended.begin(), outcome.ended.end());
  return outcome;
}

std::vector<std::string> SeriesOf(const std::vector<std::string>& samples) {
  std::vector<std::string> series;
  for (const std::string& sample : samples) {
    series.push_back(sample.substr(0, sample.rfind(' ', sample.rfind(" @") - 1)));
  }
  return series;
}

// One change of a page, as exporters make them, and as they should not.
void Edit(std::vector<std::string>& lines, std::mt19937& random) {
  const size_t at = random() % lines.size();
  switch (random() % 9) {
    case 0:
      lines.erase(lines.begin() + static_cast<ptrdiff_t>(at));
      break;
    case 1:
      lines.insert(lines.begin() + static_cast<ptrdiff_t>(at), lines[random() % lines.size()]);
      break;
    case 2:
      lines.insert(lines.begin() + static_cast<ptrdiff_t>(at),
                   absl::StrCat("new_", random() % 20, "{x=\"", random() % 3, "\"} 1.25"));
      break;
    case 3:
      std::swap(lines[at], lines[random() % lines.size()]);
      break;
    case 4:
      std::rotate(lines.begin(), lines.begin() + static_cast<ptrdiff_t>(at), lines.end());
      break;
    case 5:
      lines[at] += absl::StrCat(random() % 10);
      break;
    case 6:
      lines.insert(lines.begin() + static_cast<ptrdiff_t>(at), "");
      break;
    case 7:
      lines.insert(lines.begin() + static_cast<ptrdiff_t>(at),
                   absl::StrCat("# HELP new_", random() % 20, " help ", random() % 3));
      break;
    default:
      if (random() % 8 == 0) lines[at] += " {";  // a page that cannot be read
  }
}

// Whatever happened to a page before, the cache gives what one that knows nothing gives, and
// ends exactly the series that are missing.
TEST(SeriesCacheTest, RandomEditsOfARealPageAreReadAlikeFromTheCacheAndAfresh) {
  std::mt19937 random(4);
  SampleOptions options;
  options.honor_timestamps = false;
  ScrapedTarget cached(options, {{"job", "j"}});
  std::vector<std::string> lines;
  std::vector<std::string> tracked;
  bool failed = false;
  for (int scrape = 1; scrape <= 400; ++scrape) {
    if (scrape % 40 == 1) {
      lines = absl::StrSplit(ReadCapture("prometheus", scrape % 4), '\n');
      // Their labels depend on a TYPE line that was in force when they were new.
      std::erase_if(lines, [](const std::string& line) {
        return line.find("quantile=") != std::string::npos || line.find("le=") != std::string::npos;
      });
      lines.resize(120);
    }
    const std::vector<std::string> good = lines;
    for (size_t edits = random() % 4; edits > 0; --edits) Edit(lines, random);
    const std::string page = absl::StrJoin(lines, "\n");
    ScrapedTarget fresh(options, {{"job", "j"}});

    const ScrapeResult got = cached.Scrape(page, scrape, random() % 3 * 500);
    const ScrapeResult expected = fresh.Scrape(page, scrape);

    ASSERT_EQ(got.status, expected.status);
    ASSERT_EQ(got.total, expected.total);
    ASSERT_EQ(got.added, expected.added);
    ASSERT_EQ(got.duplicates, expected.duplicates);
    const Outcome outcome = OutcomeOf(cached);
    ASSERT_EQ(outcome.living, OutcomeOf(fresh).living);
    // After a failure the markers follow what had been accepted; that has tests of its own.
    std::vector<std::string> missing;
    const std::vector<std::string> living = SeriesOf(outcome.living);
    std::set_difference(tracked.begin(), tracked.end(), living.begin(), living.end(),
                        std::back_inserter(missing));
    if (got.status.ok() && !failed) {
      ASSERT_EQ(outcome.ended, missing);
    }
    failed = !got.status.ok();
    tracked = living;
    std::sort(tracked.begin(), tracked.end());
    if (failed) lines = good;
  }
}

TEST(SeriesCacheTest, ASeriesCostsAboutTwentyBytes) {
  ScrapedTarget target;
  target.Scrape(ReadCapture("node_exporter", 0), 1000);

  EXPECT_LE(target.cache().memory_bytes(), 24 * target.cache().entry_count());
}

TEST(SeriesCacheTest, LargePagesInSlicesWithScratchOfTheirOwn) {
  ScrapedTarget target;
  ScrapeScratch other;
  const std::string page = ReadCapture("node_exporter", 0);
  target.Scrape(page, 1000);

  {
    ScrapeBody body(target.cache(), other, {page, 2000, 2000});
    EXPECT_FALSE(body.Step(1000));
    EXPECT_FALSE(body.Step(1000));
    EXPECT_EQ(body.Finish().series_added, 0);
    EXPECT_TRUE(target.appender().Append(other.batch()).ok());
  }

  EXPECT_EQ(target.LastBody().size(), 533u);
}

// ---- Layouts.

TEST(SeriesCacheTest, TheFirstLayoutNeedsNoBase) {
  ScrapedTarget target;

  target.Fail(1000);
  const LayoutPtr failed = target.cache().layout();
  EXPECT_EQ(failed->base_id(), 0u);
  EXPECT_EQ(failed->size(), 5u);
  target.Scrape("a 1\n", 2000);

  EXPECT_EQ(target.cache().layout()->base_id(), failed->id());
  EXPECT_THAT(target.cache().layout()->patch(), ElementsAre(0, 1, 5));
}

TEST(SeriesCacheTest, ALayoutThatNoBatchNamedIsNoBase) {
  ScrapedTarget target;

  target.Scrape("a 1\n", 1000);

  EXPECT_EQ(target.cache().layout()->base_id(), 0u);
  EXPECT_THAT(target.cache().layout()->patch(), IsEmpty());
}

TEST(SeriesCacheTest, AVacantPositionStaysUntilALayoutIsMadeAnyway) {
  ScrapedTarget target;
  target.Scrape("a 1\nb 1\nc 1\n", 1000);
  target.Scrape("a 1\nc 1\n", 2000);
  target.Scrape("a 1\nc 1\n", 3000);
  EXPECT_EQ(target.cache().layout()->size(), 3u + 5u);

  target.Scrape("a 1\nc 1\nd 1\n", 4000);

  EXPECT_THAT(target.cache().layout()->patch(), ElementsAre(1, -1, 1, 0, 1, 5));
  EXPECT_THAT(target.LastBody(), ElementsAre("a 1 @4000", "c 1 @4000", "d 1 @4000"));
}

TEST(SeriesCacheTest, ManyVacantPositionsAreGivenUp) {
  ScrapedTarget target;
  std::string page;
  for (int i = 0; i < 100; ++i) absl::StrAppend(&page, "m", i, " 1\n");
  target.Scrape(page, 1000);

  target.Scrape("m50 1\n", 2000);  // the markers need the positions
  EXPECT_EQ(target.cache().layout()->size(), 105u);
  target.Scrape("m50 1\n", 3000);

  EXPECT_EQ(target.cache().layout()->size(), 6u);
  EXPECT_THAT(target.LastBody(), ElementsAre("m50 1 @3000"));
  EXPECT_EQ(target.keys().live_keys(), 6u);
}

TEST(SeriesCacheTest, NoKeyIsLeftWhenAllIsGone) {
  KeyTable keys;
  {
    ScrapeScratch scratch;
    SeriesCache cache({std::make_shared<const SampleOptions>(), std::make_shared<const Labels>()},
                      {keys, HashKey{1}});
    for (const std::string_view page :
         {"a 1\na 2\nb{x=\"1\"} 1 5\nb{x=\"1\"} 1 6\n", "# HELP a h\na 1\nc 1\nbroken", "up 1\n"}) {
      ScrapeBody body(cache, scratch, {page, 1000, 1000});
      body.Finish();
    }
    ScrapeBody abandoned(cache, scratch, {"z 1\ny 1\n", 2000, 2000});
    abandoned.Step(1);
  }
  EXPECT_EQ(keys.live_keys(), 0u);
}

TEST(SeriesCacheTest, ANewSampleLimitAppliesToAKeptCache) {
  ScrapedTarget target;
  target.Scrape("a 1\nb 1\n", 1000);
  SampleOptions limited;
  limited.sample_limit = 1;

  target.cache().set_samples(std::make_shared<const SampleOptions>(limited));
  const ScrapeResult result = target.Scrape("a 1\nb 1\n", 2000);

  EXPECT_EQ(result.reason, FailureReason::kSampleLimit);
  EXPECT_EQ(result.series_added, 0);
  EXPECT_THAT(target.LastBody(), ElementsAre("b stale @2000"));
}

TEST(SeriesCacheTest, ALongPageOfTimestampsKeepsItsSeries) {
  ScrapedTarget target;
  for (int scrape = 1; scrape <= 3; ++scrape) {
    std::string page;
    for (int i = 0; i < 100; ++i) {
      absl::StrAppend(&page, "m{i=\"", i, "\"} ", i * scrape, " ", 1000 * scrape + i, "\n");
    }
    const ScrapeResult result = target.Scrape(page, 1000 * scrape + 500);

    EXPECT_EQ(result.series_added, scrape == 1 ? 100 : 0);
    EXPECT_EQ(target.LastBody().size(), 100u);
    EXPECT_EQ(target.LastBody()[7],
              absl::StrCat("m{i=\"7\"} ", 7 * scrape, " @", 1000 * scrape + 7));
  }
}

TEST(SeriesCacheTest, ExtraReportSeriesStandBehindTheOthers) {
  SampleOptions options;
  options.extra_scrape_metrics = true;
  ScrapedTarget target(options);

  target.Scrape("a 1\n", 1000);

  EXPECT_EQ(target.cache().report_count(), 8u);
  EXPECT_EQ(target.appender().LastReport().size(), 8u);
}

// ---- Families (TestIsSeriesPartOfFamily).

TEST(SampleLabelsTest, FamiliesClaimTheirSeries) {
  const auto claims = [](std::string_view metric, std::string_view family, MetricType type) {
    return IsSeriesOfFamily(metric, MetricFamily{std::string(family), type, "", ""});
  };
  EXPECT_TRUE(claims("http_requests_total", "http_requests_total", MetricType::kCounter));
  EXPECT_TRUE(claims("http_requests_total", "http_requests", MetricType::kCounter));
  EXPECT_FALSE(claims("http_requests_total", "http_requests_total2", MetricType::kCounter));
  EXPECT_FALSE(claims("http_requests_total", "http_requests", MetricType::kGauge));
  EXPECT_TRUE(claims("h_bucket", "h", MetricType::kHistogram));
  EXPECT_TRUE(claims("h_sum", "h", MetricType::kHistogram));
  EXPECT_FALSE(claims("h_total", "h", MetricType::kHistogram));
  EXPECT_FALSE(claims("h_x_bucket", "h", MetricType::kHistogram));
  EXPECT_TRUE(claims("s", "s", MetricType::kSummary));
  EXPECT_TRUE(claims("s_count", "s", MetricType::kSummary));
  EXPECT_FALSE(claims("s_bucket", "s", MetricType::kSummary));
  EXPECT_TRUE(claims("g", "g", MetricType::kGauge));
  EXPECT_FALSE(claims("test_metric3_metric4", "test_metric3", MetricType::kGauge));
}

}  // namespace
}  // namespace trawl

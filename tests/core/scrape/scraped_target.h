#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/exposition/inflate.h"
#include "core/model/labels.h"
#include "core/model/series_key.h"
#include "core/relabel/relabel.h"
#include "core/scrape/sample_options.h"
#include "core/scrape/scrape_body.h"
#include "core/scrape/scrape_scratch.h"
#include "core/scrape/series_cache.h"
#include "tests/fakes/recording_appender.h"

namespace trawl {

// A target without a network: bodies in, samples out. Times in ms.
class ScrapedTarget {
 public:
  explicit ScrapedTarget(SampleOptions options = {}, Labels target_labels = {})
      : cache_({std::make_shared<const SampleOptions>(std::move(options)),
                std::make_shared<const Labels>(std::move(target_labels))},
               {keys_, HashKey{42}}) {}

  ScrapeResult Scrape(std::string_view text, int64_t timestamp_ms, size_t slice = 0) {
    ScrapeBody body(cache_, scratch_, {text, timestamp_ms, timestamp_ms});
    while (!body.Step(slice)) {
    }
    const ScrapeResult result = body.Finish();
    return Append(result, result.status.ok());
  }
  ScrapeResult Fail(int64_t timestamp_ms) {
    return Append(cache_.IngestNothing(timestamp_ms, true, scratch_), false);
  }
  ScrapeResult EndOfRun(int64_t timestamp_ms) {
    ScrapeResult result = cache_.IngestEndOfRun(timestamp_ms, scratch_);
    ExpectOk(appender_.Append(scratch_.batch()));
    return result;
  }

  std::vector<std::string> LastBody() const { return appender_.LastBody(); }
  SeriesCache& cache() { return cache_; }
  KeyTable& keys() { return keys_; }
  ScrapeScratch& scratch() { return scratch_; }
  RecordingAppender& appender() { return appender_; }

 private:
  static void ExpectOk(const absl::Status& status) { EXPECT_TRUE(status.ok()) << status; }
  ScrapeResult Append(ScrapeResult result, bool up) {
    std::vector<double> report(cache_.report_count(), 0);
    report[0] = up ? 1 : 0;
    report[2] = static_cast<double>(result.total);
    report[3] = static_cast<double>(result.added);
    report[4] = static_cast<double>(result.series_added);
    scratch_.SetReport(report);
    ExpectOk(appender_.Append(scratch_.batch()));
    return result;
  }

  KeyTable keys_;
  ScrapeScratch scratch_;
  SeriesCache cache_;
  RecordingAppender appender_;
};

// Compiles one rule; CHECKs that it is right.
inline std::shared_ptr<const RelabelRules> Rules(std::vector<RelabelConfig> configs) {
  auto rules = RelabelRules::Compile(configs, NameValidation::kUtf8);
  EXPECT_TRUE(rules.ok()) << rules.status();
  return std::make_shared<const RelabelRules>(*std::move(rules));
}

}  // namespace trawl

// What a target answers: the strict parser, and the series cache's way over a page that is like the
// one before, which must come to the same verdict.
//
// The input is two pages with a NUL between them; or, if it begins like gzip, a body to inflate.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/exposition/inflate.h"
#include "core/exposition/text_parser.h"
#include "core/scrape/scrape_body.h"
#include "core/scrape/scrape_scratch.h"
#include "core/scrape/series_cache.h"
#include "tests/fuzz/fuzz_target.h"

namespace trawl {
namespace {

constexpr int64_t kTime = 1'767'225'600'000;

constexpr std::string_view kPages[] = {
    "# HELP http_requests_total The total of \\\\ and \\n.\n# TYPE http_requests_total counter\n"
    "http_requests_total{method=\"post\",code=\"200\"} 1027\n"
    "http_requests_total{method=\"post\",code=\"400\"}    3 1767225600000\n",
    "msdos_file_access_time_seconds{path=\"C:\\\\DIR\\\\FILE.TXT\",error=\"Cannot find "
    "\\\"F\\\"\"} 1.458255915e9\n"
    "metric_without_timestamp_and_labels 12.47\nsomething_weird{problem=\"division by zero\"} +Inf "
    "-3982045\n",
    "# TYPE rpc summary\nrpc{quantile=\"0.01\"} 3102\nrpc{quantile=\"0.99\"} NaN\nrpc_sum "
    "1.7560473e+07\n"
    "# TYPE h histogram\nh_bucket{le=\"0.05\"} 24054\nh_bucket{le=\"+Inf\"} 144320\nh_count "
    "144320\n",
    "{\"utf8.name\",\"a b\"=\"c\"} 0x1p-3\n\xc3\xa9t\xc3\xa9{} 1_0\n# EOF\n",
};

// To the end, or to the first error.
absl::Status ParseAll(std::string_view page) {
  TextParser parser(page);
  std::vector<Label> labels;
  size_t position = 0;
  for (size_t entries = 0;; ++entries) {
    const TextParser::Entry entry = parser.Next();
    if (entry == TextParser::Entry::kEnd) return absl::OkStatus();
    if (entry == TextParser::Entry::kError) {
      Require(parser.error_line() > 0 && parser.error_column() > 0, "an error has a place");
      return parser.status();
    }
    if (entry == TextParser::Entry::kSeries) parser.ReadLabels(&labels);
    if (entry == TextParser::Entry::kHelp) (void)parser.Help();
    Require(parser.position() > position || entries == 0, "the parser moves on");
    Require(parser.position() <= page.size(), "the parser stays in the page");
    position = parser.position();
  }
}

class Target {
 public:
  absl::Status Scrape(std::string_view page, size_t slice) {
    time_ += 15'000;
    ScrapeBody body(cache_, scratch_, {page, time_, time_});
    while (!body.Step(slice)) {
    }
    const ScrapeResult result = body.Finish();
    scratch_.SetReport(std::vector<double>(cache_.report_count(), 0));
    const ScrapeBatch& batch = scratch_.batch();
    Require(batch.values.size() == batch.layout->size() || batch.values.empty(), "a value each");
    return result.status;
  }

 private:
  int64_t time_ = kTime;
  KeyTable keys_;
  ScrapeScratch scratch_;
  SeriesCache cache_{{std::make_shared<const SampleOptions>(), std::make_shared<const Labels>()},
                     {keys_, HashKey{42}}};
};

void Inflate(std::string_view body) {
  constexpr uint64_t kLimit = uint64_t{1} << 20;
  ByteBuffer whole;
  Gunzip gunzip;
  const absl::Status at_once = gunzip.Inflate(body, body.size() % 5'000, kLimit, whole);
  ByteBuffer sliced;
  SlicedGunzip slices(body, kLimit, sliced);
  absl::StatusOr<bool> done = false;
  while (done.ok() && !*done) done = slices.Step(1'000);
  // Of flags that mean nothing yet one takes no notice.
  Require(!at_once.ok() || !done.ok() || whole.view() == sliced.view(),
          "a body is the same text at once as in slices");
}

}  // namespace

std::vector<std::string> FuzzSeeds() {
  std::vector<std::string> seeds;
  for (const std::string_view page : kPages) {
    for (const std::string_view then : kPages) {
      seeds.push_back(std::string(page) + '\0' + std::string(then));
    }
    seeds.push_back(std::string(page) + '\0' + std::string(page));
  }
  // gzip of "up 1\n": one member, and two.
  const std::string member(
      "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x2b\x2d\x50\x30\xe4\x02\x00\x72\x90\xea\x82\x05\x00"
      "\x00\x00",
      25);
  seeds.push_back(member);
  seeds.push_back(member + member);
  return seeds;
}

void FuzzOne(std::string_view input) {
  if (input.starts_with("\x1f\x8b")) return Inflate(input);
  const size_t cut = std::min(input.size(), input.find('\0'));
  const std::string_view first = input.substr(0, cut);
  const std::string_view second = input.substr(std::min(input.size(), cut + 1));
  Target target;
  for (const std::string_view page : {first, second, second}) {
    const absl::Status strict = ParseAll(page);
    const absl::Status scraped = target.Scrape(page, page.size() % 3 == 0 ? 0 : 7);
    // A series may be refused for what it is called; but what can't be read is never taken.
    Require(strict.ok() || !scraped.ok(), "what the parser refuses is not scraped");
  }
}

}  // namespace trawl

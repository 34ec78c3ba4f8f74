#include <cstdio>

#include "absl/strings/str_cat.h"
#include "client/store/sqlite/sample_reader.h"
#include "client/store/sqlite/store_summary.h"
#include "client/trawlctl/commands.h"
#include "client/trawlctl/output.h"
#include "client/trawlctl/program.h"
#include "client/trawlctl/usage.h"
#include "core/base/duration.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {
namespace {

struct SamplesOptions {
  std::string path = "data/samples.db";
  std::string selector;  // metric{label="value", other=~"regex"}; "" for all
  size_t last = 10;      // newest samples of each series
  bool summary = false;  // one line on what is stored
  bool json = false;
};

std::string SeriesName(const Labels& labels) {
  LabelsBuilder rest(labels);
  rest.Delete(kMetricName);
  const Labels without = std::move(rest).Build();
  return absl::StrCat(labels.Get(kMetricName), without.empty() ? "" : without.ToString());
}

void PrintTable(const std::vector<StoredSample>& samples) {
  std::vector<std::vector<std::string>> rows;
  rows.reserve(samples.size());
  for (const StoredSample& sample : samples) {
    rows.push_back({FormatGoTime(absl::FromUnixMillis(sample.timestamp_ms)),
                    sample.stale ? "stale" : FormatGoFloat(sample.value),
                    SeriesName(sample.labels)});
  }
  std::fputs(FormatTable({"TIME", "VALUE", "SERIES"}, rows).c_str(), stdout);
}

absl::Status PrintJson(const std::vector<StoredSample>& samples) {
  std::vector<storage::v1::Sample> messages;
  for (const StoredSample& sample : samples) {
    storage::v1::Sample& message = messages.emplace_back();
    for (const Label& label : sample.labels) (*message.mutable_labels())[label.name] = label.value;
    message.set_timestamp_ms(sample.timestamp_ms);
    if (sample.stale) {
      message.set_stale(true);
    } else {
      message.set_value(sample.value);
    }
  }
  ASSIGN_OR_RETURN(const std::string json, FormatJsonOf(messages));
  std::fputs(json.c_str(), stdout);
  return absl::OkStatus();
}

absl::Status PrintSummary(const SamplesOptions& options) {
  ASSIGN_OR_RETURN(const StoreSummary summary, ReadStoreSummary(options.path));
  if (options.json) {
    std::printf("[\n{\"samples\":\"%s\",\"series\":\"%s\",\"targets\":\"%s\",\"file\":%s}\n]\n",
                absl::StrCat(summary.samples).c_str(), absl::StrCat(summary.series).c_str(),
                absl::StrCat(summary.targets).c_str(), JsonQuote(options.path).c_str());
  } else {
    std::printf("%s\n", absl::StrCat("stored ", summary.samples, " samples of ", summary.series,
                                     " series from ", summary.targets, " targets in ", options.path)
                            .c_str());
  }
  return absl::OkStatus();
}

absl::Status RunSamples(const SamplesOptions& options) {
  if (options.summary) return PrintSummary(options);
  SampleQuery query;
  query.last_per_series = options.last;
  if (!options.selector.empty()) {
    auto matchers = ParseSelector(options.selector);
    if (!matchers.ok()) return OfCommandLine(matchers.status());
    query.matchers = *std::move(matchers);
  }
  ASSIGN_OR_RETURN(const std::vector<StoredSample> samples, ReadSamples(options.path, query));
  if (options.json) return PrintJson(samples);
  PrintTable(samples);
  return absl::OkStatus();
}

}  // namespace

void AddSamplesCommand(Program& program) {
  const auto options = std::make_shared<SamplesOptions>();
  CLI::App* samples = program.AddOffline(
      program.app(), "samples", "stored samples, from the SQLite file", options, RunSamples);
  samples->add_option("selector", options->selector,
                      "metric and label matchers, as in up{job=\"node\"}");
  samples->add_option("--sqlite.path", options->path, "the file")->capture_default_str();
  samples->add_option("--last", options->last, "newest samples of each series")
      ->capture_default_str()
      ->check(CLI::Range(1u, 1'000'000'000u));
  samples->add_flag("--summary", options->summary, "one line on what is stored");
}

}  // namespace trawl

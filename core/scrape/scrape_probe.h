#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/fetch/fetcher.h"
#include "core/model/labels.h"
#include "core/scrape/job_settings.h"
#include "core/scrape/large_body.h"
#include "core/scrape/sample_fate.h"
#include "core/scrape/scrape_request.h"
#include "core/scrape/scrape_result.h"
#include "core/scrape/series_cache.h"
#include "core/scrape/shard.h"
#include "core/scrape/target.h"

namespace trawl {

// A sample line of a page, and what became of it.
struct ProbedSample {
  std::string text;  // the series as it stands there; of a line that can't be read, the line
  Labels labels;     // after relabeling; only if kept
  double value = 0;
  std::optional<int64_t> timestamp_ms;  // its own
  SampleFate fate = SampleFate::kKept;
  size_t rule = 0;     // of kDropped: index in metric_relabel_configs
  size_t line = 0;     // from 1
  size_t column = 0;   // where it can't be read, from 1; else 0
  std::string detail;  // "": nothing to add
};

// What a scrape would have come to.
struct ProbeResult {
  absl::Time start;
  absl::Duration duration;
  FetchTimings timings;
  absl::Duration inflate;  // from the body's end to its text, with what the thread did in between
  absl::Duration parse;    // from there to the end, likewise
  bool answered = false;   // there was a response; the next six are of it
  int http_status = 0;
  std::vector<std::string> head;  // as FetchResponse's
  std::string content_type;
  uint64_t body_bytes = 0;  // as received
  uint64_t inflated_bytes = 0;
  std::string body;  // inflated, cut
  bool body_cut = false;
  std::vector<ProbedSample> samples;  // in the order of the page, cut
  ScrapeResult scrape;
};

// One scrape of a target out of turn, for a person who wants to see what comes of it: fetched with
// the target's own client, and read by the code that reads every scrape, on a copy of the target's
// series cache. Nothing is stored; schedule, cache and health of the target stay as they are.
//
// Guarantees: `done` runs once, on the shard's thread, not from inside Start; the body is inflated
// and read in small slices between which the thread does other things.
//
// Shard's thread only.
class ScrapeProbe {
 public:
  struct Limits {
    size_t max_body_bytes = size_t{64} << 10;      // of the body that is shown
    size_t max_samples = 10'000;                   // that are shown
    size_t max_text_bytes = size_t{2} << 20;       // of all shown samples' texts and labels
    uint64_t max_page_bytes = uint64_t{64} << 20;  // inflated; a larger page is not read
  };
  struct Input {
    std::shared_ptr<const Target> target;
    std::shared_ptr<const JobSettings> settings;
    std::shared_ptr<const std::string> forced_error;  // null: none
    std::unique_ptr<SeriesCache> cache;               // the probe's own
  };
  // kResourceExhausted: the page is larger than max_page_bytes. kCancelled: abandoned.
  using Callback = absl::AnyInvocable<void(absl::StatusOr<ProbeResult>)>;

  ScrapeProbe(Shard& shard, Input input, const Limits& limits, Callback done);
  ~ScrapeProbe();
  ScrapeProbe(const ScrapeProbe&) = delete;
  ScrapeProbe& operator=(const ScrapeProbe&) = delete;

  void Start();
  // Gives up; `done` gets `why` before this returns, unless it has run.
  void Abandon(absl::Status why);

 private:
  class Collector;

  void OnFetched(const FetchOutcome& outcome);
  void Inflate();
  void OnInflated();
  void Read();
  void Fail(ScrapeFailure failure);
  void Post(void (ScrapeProbe::*step)());
  void End();
  void Call(absl::StatusOr<ProbeResult> result);
  bool IsPageTooLarge(const ScrapeFailure& failure) const;

  Shard& shard_;
  const Input input_;
  const Limits limits_;
  Callback done_;
  Fetcher::FetchId fetch_ = 0;
  TimerId next_ = 0;
  absl::Duration started_;
  absl::Duration step_started_;
  ScrapeFailure failure_;  // of an answer whose body is shown all the same
  ProbeResult result_;
  // After the cache and the collector, which it uses.
  std::unique_ptr<Collector> collector_;
  std::unique_ptr<LargeBody> body_;
};

}  // namespace trawl

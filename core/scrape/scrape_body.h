#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "core/exposition/text_parser.h"
#include "core/scrape/scrape_result.h"
#include "core/scrape/scrape_scratch.h"
#include "core/scrape/series_cache.h"

namespace trawl {

// One answer of one target on its way from text to batch.
//
//   ScrapeBody body(cache, scratch, {text, timestamp_ms, now_ms});
//   while (!body.Step(kSliceBytes)) yield to the event loop;
//   ScrapeResult result = body.Finish();          // success or failure: there is a batch
//   scratch.SetReport({up, duration, …});
//   appender.Append(scratch.batch());
//
// In the steady state a line costs a hash of the text that the cache expects, and its number:
// no label is parsed and nothing allocated. Everything else, and everything odd, goes to the
// strict parser; what the fast path accepts, the strict parser accepts with the same result.
//
// After a failure (status, `up` 0) the batch has stale markers only, for the series that were
// tracked and had not been read and accepted before the error (spec 4.7).
//
// A ScrapeBody that was not finished leaves the cache as if the scrape had not been: but only
// one may exist for a cache at a time. Cache and scratch outlive it. Shard's thread only.
class ScrapeBody {
 public:
  struct Input {
    std::string_view body;     // must stay where it is until Finish
    int64_t timestamp_ms = 0;  // of samples without a time of their own
    int64_t now_ms = 0;        // samples more than ten minutes later are out of bounds
  };

  ScrapeBody(SeriesCache& cache, ScrapeScratch& scratch, const Input& input);
  ~ScrapeBody();
  ScrapeBody(const ScrapeBody&) = delete;
  ScrapeBody& operator=(const ScrapeBody&) = delete;

  // Reads on, at most about `max_bytes` (0: all). True when there is nothing left to read.
  bool Step(size_t max_bytes = 0);
  // Reads the rest, updates the cache and fills the scratch's batch. Once.
  ScrapeResult Finish();

 private:
  // A sample line, read by either parser.
  struct Sample {
    std::string_view text;
    double value = 0;
    std::optional<int64_t> timestamp_ms;  // only when it counts (honor_timestamps)
  };
  enum class Verdict : uint8_t { kStore, kKnown, kReject };

  void ReadFast(size_t end);
  void ReadSlow();
  void ReadComments(TextParser::Entry first);
  void EndRun();

  void OnSample(const Sample& sample);
  void OnKnown(uint32_t entry, const Sample& sample);
  void OnRepeated(uint32_t entry, const Sample& sample);
  void OnNew(uint64_t hash, const Sample& sample);
  std::optional<uint32_t> FindEntry(uint64_t hash, size_t length);
  std::optional<uint32_t> LookUp(uint64_t hash);
  bool IsVisited(uint32_t entry) const;
  void Visit(uint32_t entry);

  // Limit, bounds, order: what Prometheus' appender chain and storage would say.
  Verdict Judge(std::optional<uint32_t> position, const Sample& sample);
  Verdict JudgeTimed(uint32_t position, const Sample& sample);
  void Store(uint32_t position, const Sample& sample);
  void Track(uint32_t position, const Sample& sample);

  // Labels, rules, checks. No key: the series is dropped. Errors fail the scrape.
  absl::StatusOr<std::optional<KeyId>> Resolve();
  uint32_t CurrentFamily(std::string_view metric_name);
  void ReadCurrentMetadata();
  uint32_t NewPosition(KeyId key, uint32_t after);
  std::optional<uint32_t> FindPosition(KeyId key);
  void Fail(absl::Status status, FailureReason reason);

  SeriesCache& cache_;
  ScrapeScratch& scratch_;
  const Input input_;
  const SampleOptions& options_;
  TextParser parser_;

  size_t at_ = 0;         // next byte to read
  size_t fast_end_ = 0;   // behind the last "\n": what the fast path may touch
  uint32_t cursor_ = 0;   // the entry that is expected next
  uint32_t run_ = 0;      // first entry of the run that the fast path is in
  uint32_t known_end_ = 0;  // entries before this one are from earlier scrapes
  ScrapeResult result_;
  bool done_ = false;
  bool finished_ = false;
};

}  // namespace trawl

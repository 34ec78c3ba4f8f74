#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/exposition/text_parser.h"
#include "core/scrape/metadata_lines.h"
#include "core/scrape/sample_fate.h"
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
// One that is destroyed unfinished counts as a failed scrape whose batch nobody wanted. Only one
// may exist for a cache at a time. Cache and scratch outlive it. Shard's thread only.
class ScrapeBody {
 public:
  // Hears what becomes of each sample line. With one every line goes to the strict parser.
  class Observer {
   public:
    virtual ~Observer() = default;
    // `parser` has just read it. `failure` is not OK if the scrape fails because of it.
    virtual void OnSample(const TextParser& parser, SampleFate fate,
                          const absl::Status& failure) = 0;
    // A line that can't be read; nothing follows.
    virtual void OnError(const TextParser& parser) = 0;
  };
  struct Input {
    std::string_view body;         // must stay where it is until Finish
    int64_t timestamp_ms = 0;      // of samples without a time of their own
    int64_t now_ms = 0;            // samples more than ten minutes later are out of bounds
    Observer* observer = nullptr;  // null: nobody listens
  };

  ScrapeBody(SeriesCache& cache, ScrapeScratch& scratch, const Input& input);
  ~ScrapeBody();
  ScrapeBody(const ScrapeBody&) = delete;
  ScrapeBody& operator=(const ScrapeBody&) = delete;

  // Reads on, about `max_bytes` (0: all). True when there is nothing left to read.
  bool Step(size_t max_bytes = 0);
  // Reads the rest, updates the cache and fills the scratch's batch. Once.
  ScrapeResult Finish();

 private:
  using Entry = SeriesCache::Entry;

  // A sample line, as the strict parser read it.
  struct Sample {
    std::string_view text;
    double value = 0;
    std::optional<int64_t> timestamp_ms;  // only when it counts (honor_timestamps)
  };
  enum class Verdict : uint8_t {
    kStore,
    kKnown,  // fine, but not stored: storage has it already, or another one in its place
    kReject,
  };

  void ReadFast(size_t end);
  const char* ReadTimed(const Entry& entry, const char* p);
  uint64_t Budget() const;
  uint32_t FastEntriesEnd() const;
  void EndRun();
  void ReadSlow();
  void ReadComments(TextParser::Entry first);
  void NoteMetadata(uint16_t flags, MetadataLines::Run run);

  void Observe(const Sample& sample);
  SampleFate FateSince(const ScrapeResult& before, uint64_t admitted) const;
  void OnSample(const Sample& sample);
  void OnKnown(uint32_t index, const Sample& sample);
  void OnRepeated(uint32_t index, uint64_t hash, const Sample& sample);
  void OnNew(uint64_t hash, const Sample& sample);
  std::optional<uint32_t> FindEntry(uint64_t hash);
  bool IsVisited(uint32_t index) const { return TestBit(scratch_.visited_, index); }
  void Visit(uint32_t index);
  void AddSeriesEntry(uint64_t hash, uint32_t place, const Sample& sample);

  // Limit, bounds, order: what Prometheus' chain of appenders and its storage would say.
  Verdict Judge(std::optional<uint32_t> position, const Sample& sample);
  Verdict JudgeOrder(uint32_t position, const Sample& sample);
  std::optional<SeriesCache::TimedSample> LastSample(uint32_t position) const;
  // The position where it was stored.
  uint32_t Store(uint32_t position, const Sample& sample);
  void RememberTime(uint32_t position, int64_t timestamp_ms, double value);
  void Track(uint32_t position, const Sample& sample);

  // Labels, rules, checks. No key: the series is dropped. Errors have failed the scrape.
  absl::StatusOr<std::optional<KeyId>> Resolve();
  uint32_t Rekey(uint32_t position);
  void Fail(absl::Status status, FailureReason reason);

  SeriesCache& cache_;
  ScrapeScratch& scratch_;
  const Input input_;
  const std::shared_ptr<const SampleOptions> samples_;  // a reload may give the cache others
  const SampleOptions& options_;
  TextParser parser_;
  MetadataLines metadata_;

  size_t at_ = 0;             // next byte to read
  size_t fast_end_ = 0;       // behind the last "\n": what the fast path may touch
  uint32_t known_end_ = 0;    // entries before this one are from earlier scrapes
  uint32_t cursor_ = 0;       // the entry that is expected next
  uint32_t run_ = 0;          // entries from here to the cursor were read by the fast path
  uint32_t visited_end_ = 0;  // behind the last visited entry
  uint32_t order_ = 0;        // where in the layout's order the body is
  uint64_t admitted_ = 0;     // samples that have passed sample_limit
  // New metadata stand before these lines: known series may belong to another family now.
  bool rekey_ = false;

  ScrapeResult result_;
  bool done_ = false;
  bool finished_ = false;
};

}  // namespace trawl

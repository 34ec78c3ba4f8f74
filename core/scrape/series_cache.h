#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/append/appender.h"
#include "core/base/hash.h"
#include "core/model/labels.h"
#include "core/model/layout.h"
#include "core/model/series_key.h"
#include "core/scrape/sample_options.h"
#include "core/scrape/scrape_result.h"

namespace trawl {

class ScrapeScratch;

// What trawl remembers of one target's page from scrape to scrape: which text stands where, and
// which position of the layout it belongs to. About 20 bytes a series; no label is kept.
//
// An entry is a series text (as its keyed hash and length) or a run of comment lines. Entries
// are in the body's order, because exporters keep theirs: ScrapeBody predicts the next one. A
// series is tracked when it must get a stale marker as soon as it is missing.
//
// Shard's thread only. Deps outlive it.
class SeriesCache {
 public:
  struct Options {
    std::shared_ptr<const SampleOptions> samples;
    std::shared_ptr<const Labels> target_labels;  // public ones
  };
  struct Deps {
    KeyTable& keys;
    HashKey hash_key;
  };

  SeriesCache(Options options, const Deps& deps);
  ~SeriesCache();
  SeriesCache(const SeriesCache&) = delete;
  SeriesCache& operator=(const SeriesCache&) = delete;

  // For a reload that keeps the cache: the new options may differ in sample_limit only
  // (spec 2.5, reusableCache).
  void set_samples(std::shared_ptr<const SampleOptions> samples);

  // A scrape that brought no body: every tracked series ends, once. `failed` tells a failed
  // scrape from one that answered with nothing. Fills the batch in `scratch`.
  ScrapeResult IngestNothing(int64_t timestamp_ms, bool failed, ScrapeScratch& scratch);

  // The target is gone: stale markers for every tracked series and for the report series.
  // The cache is empty afterwards.
  ScrapeResult IngestEndOfRun(int64_t timestamp_ms, ScrapeScratch& scratch);

  // Of the last batch; null before the first one. The same pointer means: nothing changed.
  const LayoutPtr& layout() const { return layout_; }
  size_t entry_count() const { return entries_.size(); }
  size_t report_count() const { return report_count_; }
  // Bytes on the heap, without the layout.
  size_t memory_bytes() const;

 private:
  friend class ScrapeBody;

  static constexpr uint32_t kDropped = UINT32_MAX;
  enum Flag : uint16_t {
    kPlain = 0,
    kComment = 1,   // a run of comment lines; `place` is its length
    kHasType = 2,   // (of a comment) with a TYPE line
    kHasMeta = 4,   // (of a comment) with a TYPE or HELP line
    kSpecial = 8,   // (of a series) carries timestamps, or shares its position: no fast path
    kLong = 16,     // (of a series) longer than `length` can say: never predicted
  };
  struct Entry {
    uint64_t hash = 0;
    uint32_t place = 0;   // of a series: its position, or kDropped
    uint16_t length = 0;  // of the series text
    uint16_t flags = kPlain;
  };
  // The last sample of a series that carries timestamps.
  struct TimedSample {
    int64_t timestamp_ms = INT64_MIN;
    double value = 0;
  };
  // A series that got its first sample in this scrape; its position is provisional.
  struct NewSeries {
    KeyId key = 0;
    uint32_t after = 0;  // goes behind the layout's series before this position
    uint32_t moved_from = UINT32_MAX;
  };

  size_t body_size() const { return layout_ == nullptr ? 0 : layout_->size() - report_count_; }
  size_t layout_size() const { return layout_ == nullptr ? 0 : layout_->size(); }

  struct Closing;
  void Close(const Closing& closing, ScrapeScratch& scratch, ScrapeResult& result);
  void MarkStale(const Closing& closing, ScrapeScratch& scratch, ScrapeResult& result);
  void RebuildEntries(const Closing& closing, ScrapeScratch& scratch, ScrapeResult& result);
  void FlagSharedPositions(ScrapeScratch& scratch);
  void UpdateLayout(ScrapeScratch& scratch);
  void MakeFirstLayout();
  void MarkNeeded(ScrapeScratch& scratch) const;
  void BuildLayout(ScrapeScratch& scratch);
  void MoveState(ScrapeScratch& scratch);
  void FillBatch(const Closing& closing, ScrapeScratch& scratch);
  std::vector<KeyId> InternReportKeys() const;

  // Constant but for set_samples.
  std::shared_ptr<const SampleOptions> samples_;
  const std::shared_ptr<const Labels> target_labels_;
  KeyTable& keys_;
  const HashKey hash_key_;
  const size_t report_count_;

  std::vector<Entry> entries_;
  std::vector<uint64_t> tracked_;  // bitmap over the layout's positions
  std::vector<TimedSample> timed_;  // by position; empty when no series carries timestamps
  LayoutPtr layout_;
  size_t vacant_ = 0;            // positions that nothing refers to any more
  size_t successful_count_ = 0;  // entries after the last good scrape
  int64_t previous_ms_ = INT64_MIN;
};

}  // namespace trawl

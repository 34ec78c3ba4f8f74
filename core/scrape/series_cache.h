#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/append/appender.h"
#include "core/base/hash.h"
#include "core/model/labels.h"
#include "core/model/layout.h"
#include "core/model/series_key.h"
#include "core/scrape/bits.h"
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
  SeriesCache& operator=(const SeriesCache&) = delete;

  // Another one that remembers the same. Not between ScrapeBody's construction and its end.
  std::unique_ptr<SeriesCache> Copy() const;

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
  // In the layout, but for the report series.
  size_t series_count() const { return body_size(); }
  size_t report_count() const { return report_count_; }
  // Bytes on the heap, without the layout.
  size_t memory_bytes() const;

 private:
  friend class ScrapeBody;

  SeriesCache(const SeriesCache&) = default;  // Copy's

  static constexpr uint32_t kDropped = UINT32_MAX;
  static constexpr size_t kMaxLength = UINT16_MAX;
  static constexpr uint32_t kLookAhead = 8;  // entries, from where a text is expected
  enum Flag : uint16_t {
    kPlain = 0,
    kComment = 1,  // a run of comment lines; `place` is its length
    kHasType = 2,  // (of a comment) with a TYPE line
    kHasMeta = 4,  // (of a comment) with a TYPE or HELP line
    // Of a series; any of them keeps it off the fast path.
    kTimed = 8,    // has had a timestamp of its own
    kShared = 16,  // another entry has the same position
    kLong = 32,    // the text is longer than `length` can say
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
  // How a scrape ended.
  struct Closing {
    int64_t timestamp_ms = 0;
    uint32_t flags = 0;  // of the batch
    bool keep = false;   // an empty body or a failure: entries that were not read stay
  };

  size_t layout_size() const { return layout_ == nullptr ? report_count_ : layout_->size(); }
  size_t body_size() const { return layout_size() - report_count_; }

  // Starts a scrape: there is a layout afterwards.
  void Open(ScrapeScratch& scratch);
  // Ends it: markers, entries, layout, batch.
  void Close(const Closing& closing, ScrapeScratch& scratch, ScrapeResult& result);

  void UndoTimed(ScrapeScratch& scratch);
  void FindStale(int64_t timestamp_ms, ScrapeScratch& scratch) const;
  void MarkStale(int64_t timestamp_ms, ScrapeScratch& scratch);
  void UpdateEntries(bool keep, ScrapeScratch& scratch, ScrapeResult& result);
  void RebuildEntries(bool keep, ScrapeScratch& scratch);
  void FlagSharedPositions();
  void UpdateLayout(ScrapeScratch& scratch);
  size_t CountVacant(ScrapeScratch& scratch) const;
  void BuildLayout(ScrapeScratch& scratch);
  void MoveState(ScrapeScratch& scratch);
  void FillBatch(const Closing& closing, ScrapeScratch& scratch) const;
  // What is not where it was expected, by tables that are built at the first call of a scrape. An
  // entry that was not visited comes before one that was.
  std::optional<uint32_t> LookUp(uint64_t hash, ScrapeScratch& scratch) const;
  std::optional<uint32_t> FindPosition(KeyId key, ScrapeScratch& scratch) const;
  uint32_t AddEntry(const Entry& entry, ScrapeScratch& scratch);
  uint32_t AddSeries(KeyId key, uint32_t after, ScrapeScratch& scratch);
  KeyId KeyAt(uint32_t position, const ScrapeScratch& scratch) const;
  uint32_t OrderAfter(uint32_t position, const ScrapeScratch& scratch) const;
  void MakeFirstLayout();
  // The family of the report series that has the same labels as a key, if one has.
  std::optional<uint32_t> ReportFamily(const SeriesKey& key) const;

  // Constant but for set_samples.
  std::shared_ptr<const SampleOptions> samples_;
  const std::shared_ptr<const Labels> target_labels_;
  KeyTable& keys_;
  const HashKey hash_key_;
  const size_t report_count_;

  std::vector<Entry> entries_;
  Bits tracked_;                    // by position
  std::vector<TimedSample> timed_;  // by position; empty when no series has timestamps
  LayoutPtr layout_;
  bool layout_published_ = false;  // a batch has named it
  bool entries_changed_ = false;   // since the layout was last checked for vacant positions
  size_t successful_count_ = 0;    // entries after the last good scrape
  int64_t previous_ms_ = INT64_MIN;
};

}  // namespace trawl

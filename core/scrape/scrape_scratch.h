#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/append/appender.h"
#include "core/exposition/byte_buffer.h"
#include "core/exposition/inflate.h"
#include "core/model/labels.h"
#include "core/model/series_key.h"
#include "core/scrape/bits.h"
#include "core/scrape/scrape_trace.h"

namespace trawl {

// The buffers of one scrape, from the inflated body to the batch: one for all targets of a
// shard, because only compressed bytes wait in flight. A scrape that yields to the event loop in
// the middle (a large body) needs one of its own until its batch is appended.
//
// The batch is valid until the next scrape begins. Shard's thread only.
class ScrapeScratch {
 public:
  // The inflated body, and what inflates it.
  ByteBuffer& body() { return body_; }
  Gunzip& gunzip() { return gunzip_; }
  // What is noted of the scrape besides.
  ScrapeTrace& trace() { return trace_; }

  // What the last scrape brought. The report series hold 0 until SetReport.
  const ScrapeBatch& batch() const { return batch_; }
  // The report series' values, in the order of core/model/report_series.h; as many as the
  // layout has. A report series that the target exposes itself keeps the target's value
  // (spec 4.8). Not after IngestEndOfRun.
  void SetReport(std::span<const double> values);

 private:
  friend class SeriesCache;
  friend class ScrapeBody;

  // Entries [begin, end) of the cache were read one after the other.
  struct Visit {
    uint32_t begin;
    uint32_t end;
  };
  // A series without a position in the layout yet; positions are counted on from its size.
  struct NewSeries {
    KeyId key;       // with a reference
    uint32_t after;  // how many of the layout's series come before it
  };
  // What the last timed sample of a position was before this scrape.
  struct Undo {
    uint32_t position;
    int64_t timestamp_ms;
    double value;
  };

  // Forgets the last scrape, for a layout of that many positions and a cache of that many
  // entries.
  void Begin(size_t positions, size_t entries);

  ByteBuffer body_;
  Gunzip gunzip_;
  ScrapeTrace trace_;
  ScrapeBatch batch_;

  // By position, provisional ones behind the layout's.
  std::vector<double> values_;
  Bits present_;
  Bits tracked_;
  Bits stale_;
  Bits absent_;
  std::vector<ScrapeBatch::ExplicitTime> times_;

  std::vector<Visit> visits_;
  Bits visited_;  // by entry
  std::vector<NewSeries> new_series_;
  std::vector<Undo> undo_;
  // Built when something is not where it is expected.
  absl::flat_hash_map<uint64_t, uint32_t> entry_index_;  // hash of a text → entry
  absl::flat_hash_map<KeyId, uint32_t> position_index_;
  bool entry_index_valid_ = false;
  bool position_index_valid_ = false;

  // For a new layout: where each position goes.
  std::vector<uint32_t> moves_;
  Bits needed_;
  Bits moved_bits_;
  std::vector<double> moved_values_;

  std::vector<Label> labels_;
  LabelsBuilder builder_;
};

}  // namespace trawl

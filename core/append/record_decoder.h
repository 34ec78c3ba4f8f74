#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/append/appender.h"
#include "core/append/sample_bitmap.h"
#include "core/model/labels.h"
#include "core/model/metadata.h"
#include "core/model/value.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// Texts point into the decoder's dictionary.
struct DecodedLabel {
  std::string_view name;
  std::string_view value;
};

struct DecodedFamily {
  std::string_view name;
  MetricType type = MetricType::kUnknown;
  std::string_view unit;
  std::string_view help;
};

// A series without its target's labels.
struct DecodedKey {
  uint64_t uid = 0;                       // counts up over the decoder's life; never reused
  std::vector<DecodedLabel> labels;       // sorted, unique, no empty value; __name__ among them
  const DecodedFamily* family = nullptr;  // null: none known
  bool complete = false;                  // the target's labels do not apply
  mutable uint64_t tag = 0;               // the reader's own, 0 at first
};

// What holds for a whole segment.
struct DecodedSegment {
  uint64_t uid = 0;
  Labels external_labels;
  std::string tenant;
};

// The ordered series of a target. Its address and uid stand for it as long as it is defined:
// until a layout that replaces it is decoded, or the next segment begins (Visitor tells).
struct DecodedLayout {
  uint64_t uid = 0;  // counts up over the decoder's life; never reused
  std::vector<DecodedLabel> target_labels;
  std::vector<const DecodedKey*> keys;
  std::shared_ptr<const DecodedSegment> segment;
  mutable uint64_t tag = 0;  // the reader's own, 0 at first

  size_t size() const { return keys.size(); }
  Labels TargetLabels() const;
  // All labels of a series as storage keeps them: the key's; the target's unless the key is
  // complete; the segment's external labels where there is no label of that name.
  Labels SeriesLabels(size_t position) const;
};

// One scrape of one target. All is valid during OnScrape only, but for the layout (see there).
struct DecodedScrape {
  uint64_t number = 0;  // of the record
  const DecodedLayout* layout = nullptr;
  int64_t time_ms = 0;  // of every sample without a time of its own
  uint32_t flags = 0;   // storage::v1::Scrape::Flag
  // One a position; 0 where absent. A series may end here: the stale marker.
  std::span<const double> values;
  BitWords absent;  // positions without a value; empty: none
  BitWords stale;   // with TARGET_GONE or SCRAPE_FAILED: get a marker at time_ms; all are absent
  std::span<const ScrapeBatch::ExplicitTime> times;  // ascending positions
  uint64_t samples = 0;                              // values and markers
  // The record's message, for what is not decoded here: start times, exemplars, histograms. Not
  // verified.
  const storage::v1::Scrape* message = nullptr;

  // Calls f(uint32_t position, double value, int64_t time_ms) for each sample, by position; stale
  // markers of both kinds have the stale marker as value.
  template <typename F>
  void ForEachSample(F&& f) const;
};

// Reads the records of one Append stream: the reverse of RecordEncoder, for stores.
//
// Guarantees:
//   1. HOSTILE INPUT NEVER CRASHES, and memory is bounded by Options.
//   2. Numbers are contiguous from Options.durable + 1, but for Gaps; every CRC, every id and
//      every length is verified. After an error the decoder is dead and the stream must end.
//   3. Records of a rebuild message change the state and are not shown to the visitor.
// Errors: kInvalidArgument (the writer broke the protocol), kDataLoss (damaged bytes).
// Not thread-safe.
class RecordDecoder {
 public:
  struct Options {
    // As told in Welcome.
    uint64_t durable = 0;
    // Of one message's body, decompressed.
    size_t max_body_bytes = (size_t{32} << 20) + (size_t{2} << 20);
    // Of strings, keys and layouts that one segment may define, as held in memory.
    size_t max_dictionary_bytes = size_t{512} << 20;
  };

  class Visitor {
   public:
    virtual ~Visitor() = default;
    virtual void OnScrape(const DecodedScrape& scrape) = 0;
    // `gone` is replaced by `by`; it is destroyed when this returns. Also while rebuilding.
    virtual void OnLayoutReplaced(const DecodedLayout& gone, const DecodedLayout& by) {
      (void)gone, (void)by;
    }
    // All keys and layouts of the segment before are gone. Also while rebuilding.
    virtual void OnSegment(const DecodedSegment& segment) { (void)segment; }
  };

  explicit RecordDecoder(const Options& options);
  ~RecordDecoder();

  // Decodes one message. Scrapes before a damaged record have been shown when it fails.
  absl::Status Decode(const storage::v1::Records& records, Visitor& visitor);
  // The same over records that are not in a message (a log's): one record, as it stands there.
  absl::Status DecodeRecord(uint64_t number, std::string_view record, Visitor& visitor);
  // Numbers go on behind the gap. It must begin at next_number().
  absl::Status Skip(const storage::v1::Gap& gap);

  // The number that must come next; all below are decoded or skipped.
  uint64_t next_number() const;
  // Memory that the dictionary takes, as counted against max_dictionary_bytes.
  size_t dictionary_bytes() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

template <typename F>
void DecodedScrape::ForEachSample(F&& f) const {
  size_t next_time = 0;
  for (uint32_t position = 0; position < layout->size(); ++position) {
    if (BitIsSet(stale, position)) {
      f(position, StaleMarker(), time_ms);
    } else if (!BitIsSet(absent, position)) {
      while (next_time < times.size() && times[next_time].position < position) ++next_time;
      const bool own = next_time < times.size() && times[next_time].position == position;
      f(position, values[position], own ? times[next_time].timestamp_ms : time_ms);
    }
  }
}

}  // namespace trawl

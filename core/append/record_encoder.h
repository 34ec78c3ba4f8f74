#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/append/appender.h"
#include "core/append/column_codec.h"
#include "core/append/dictionary_writer.h"
#include "core/model/labels.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// Makes the records of a lane out of scrapes: D records for what the segment does not know yet,
// and one S record a scrape. RecordDecoder is the reverse.
// Not thread-safe: the lane's thread.
class RecordEncoder {
 public:
  // Whole records (core/append/record.h), in the order in which they must be committed.
  struct Encoded {
    std::vector<std::string> dictionary;
    std::string scrape;
    uint64_t samples = 0;   // values and stale markers
    bool keyframe = false;  // of the S record
  };

  // How values stand in the records: in decimal delta, unless raw columns are asked for.
  explicit RecordEncoder(storage::v1::Encoding encoding = storage::v1::ENCODING_DECIMAL_DELTA);

  // Forgets all; the next record starts a segment with this header.
  void BeginSegment(const Labels& external_labels, std::string_view tenant);
  // The next S record will be a keyframe.
  void BeginKeyframe() { keyframe_ = true; }
  // BeginSegment must come before the next Encode: at the start, and after an error that left
  // definitions half made. The caller asks for it as well when it could not commit a record.
  bool needs_segment() const { return needs_segment_; }

  // Into `encoded`, whose buffers are reused. kInvalidArgument: too large for a record, or the
  // batch contradicts itself.
  absl::Status Encode(const ScrapeBatch& batch, Encoded& encoded);

  // The layout will not be used again.
  void Forget(uint64_t layout_id) { dictionary_.Forget(layout_id); }

 private:
  absl::Status Check(const ScrapeBatch& batch) const;
  absl::Status EncodeScrape(const ScrapeBatch& batch, uint64_t layout, Encoded& encoded);
  BitWords AbsentPositions(const ScrapeBatch& batch);
  void EncodeTimes(const ScrapeBatch& batch, BitWords absent, std::string& out) const;

  DictionaryWriter dictionary_;
  std::unique_ptr<ColumnEncoder> columns_;
  bool needs_segment_ = true;
  bool keyframe_ = true;
  // Scratch.
  storage::v1::Scrape scrape_;
  std::vector<uint64_t> absent_;
};

}  // namespace trawl

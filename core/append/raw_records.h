#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/append/column_codec.h"
#include "core/append/decimal_delta_codec.h"
#include "core/append/record_log.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// Rewrites the records of a lane so that their values stand in raw columns, which a reader takes
// without any state: for a store that asked for them, and behind a record that was left out, as
// decimal delta would build on it.
//
// It has to see every record that a decoder would have to: the D records of the segment, and the
// S records since a keyframe. Of D records it keeps the sizes of layouts only: ten bytes a series
// in all. After an error it must not be used again.
// Not thread-safe.
class RawRecords {
 public:
  // Takes a record over without making anything of it.
  absl::Status Follow(const LogRecord& record);
  // The same, and what to send: a D record as it is, an S record with raw columns. Valid until the
  // next call, of this or of the record's log. kDataLoss: not what a lane writes.
  absl::StatusOr<std::string_view> Rewrite(const LogRecord& record);

 private:
  absl::Status FollowDictionary(std::string_view payload);
  absl::Status AddLayout(const storage::v1::LayoutDef& def);
  absl::Status DecodeScrape(std::string_view payload);
  void EncodeScrape();

  uint64_t next_layout_ = 1;
  absl::flat_hash_map<uint64_t, uint32_t> positions_;  // by layout id
  DecimalDeltaDecoder decoder_;
  RawColumnEncoder encoder_;
  // Scratch.
  storage::v1::Scrape scrape_;
  DecodedColumns columns_;
  std::string bytes_;
};

}  // namespace trawl

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "core/append/sample_bitmap.h"
#include "core/model/layout.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// How the values of a scrape stand in an S record: the seam between the record and its columns.
//
// Guarantees of every codec: decoder and encoder change their state by the same steps, in the
// order of the records, and the decoder verifies value_crc32c.
// Layout ids are those of the dictionary. Not thread-safe.
class ColumnEncoder {
 public:
  virtual ~ColumnEncoder() = default;
  // All state is forgotten: the next record is a keyframe.
  virtual void Reset() = 0;
  // `to` replaces `from`; the state of kept positions moves over.
  virtual void MoveState(uint64_t from, uint64_t to, const LayoutPatch& patch) = 0;
  // Upper bound of what Encode adds to a record.
  virtual size_t MaxBytes(size_t positions) const = 0;
  // Fills the columns and value_crc32c of `scrape`. `values` has one a position; those of `absent`
  // are not read.
  virtual void Encode(uint64_t layout, std::span<const double> values, BitWords absent,
                      storage::v1::Scrape& scrape) = 0;
};

struct DecodedColumns {
  std::vector<double> values;    // one a position; 0 where absent
  std::vector<uint64_t> absent;  // empty: none
};

class ColumnDecoder {
 public:
  virtual ~ColumnDecoder() = default;
  virtual void Reset() = 0;
  virtual void MoveState(uint64_t from, uint64_t to, const LayoutPatch& patch) = 0;
  // kInvalidArgument: not decodable; kDataLoss: value_crc32c differs.
  virtual absl::Status Decode(uint64_t layout, size_t positions, const storage::v1::Scrape& scrape,
                              DecodedColumns& out) = 0;
};

// Scrape.value_crc32c: of all positions that are neither absent nor a stale marker.
uint32_t ValueCrc32c(std::span<const double> values, BitWords absent);
// True also if there are no positions.
bool AllAbsent(size_t positions, BitWords absent);

// Raw columns: a little-endian double a position. No state.
class RawColumnEncoder final : public ColumnEncoder {
 public:
  void Reset() override {}
  void MoveState(uint64_t, uint64_t, const LayoutPatch&) override {}
  size_t MaxBytes(size_t positions) const override { return positions * 8 + positions / 8 + 32; }
  void Encode(uint64_t layout, std::span<const double> values, BitWords absent,
              storage::v1::Scrape& scrape) override;
};

class RawColumnDecoder final : public ColumnDecoder {
 public:
  void Reset() override {}
  void MoveState(uint64_t, uint64_t, const LayoutPatch&) override {}
  absl::Status Decode(uint64_t layout, size_t positions, const storage::v1::Scrape& scrape,
                      DecodedColumns& out) override;
};

}  // namespace trawl

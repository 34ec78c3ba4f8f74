#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "core/append/column_codec.h"
#include "core/append/sample_bitmap.h"
#include "core/model/layout.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// The last value of each position of a layout: a decimal (m, k), or bits that are none. Nine
// bytes a series. A new one is (0, 0), the value +0.
//
// The last bits need no place of their own: they follow from m and k as long as these are valid,
// and where an escape voids these the bits take m's place.
class DecimalColumn {
 public:
  // `k` of a value that is no decimal.
  static constexpr uint8_t kVoid = 0xff;

  explicit DecimalColumn(size_t positions) : words_(positions), scales_(positions) {}

  size_t size() const { return words_.size(); }
  uint64_t memory_bytes() const { return words_.capacity() * 8 + scales_.capacity(); }

  bool is_decimal(size_t p) const { return scales_[p] != kVoid; }
  int scale(size_t p) const { return scales_[p]; }        // if is_decimal
  int64_t mantissa(size_t p) const { return words_[p]; }  // if is_decimal
  uint64_t bits(size_t p) const;                          // of the last value
  void set_mantissa(size_t p, int64_t m) { words_[p] = m; }
  void set_decimal(size_t p, int64_t m, int k);
  void set_bits(size_t p, uint64_t bits);

  // This column after its layout was patched.
  DecimalColumn Patched(const LayoutPatch& patch) const;

 private:
  std::vector<int64_t> words_;  // m, or bits
  std::vector<uint8_t> scales_;
};

// The columns of all layouts of a lane. Encoder and decoder have one each, and they never part.
class DecimalColumns {
 public:
  void Reset() { columns_.clear(); }
  void Move(uint64_t from, uint64_t to, const LayoutPatch& patch);
  // The layout's; a new one if there is none.
  DecimalColumn& Of(uint64_t layout, size_t positions);
  uint64_t memory_bytes() const;

 private:
  absl::flat_hash_map<uint64_t, DecimalColumn> columns_;
};

// Decimal delta: two bits a sample say how it follows from the position's last value; most do so
// by a small difference of their decimal digits. DECIMAL_DELTA.md describes it. Exact for every
// pattern of 64 bits.
//
// A batch that is encoded has changed the state: where its record is not committed, the lane
// begins a new segment. Not thread-safe.
class DecimalDeltaEncoder final : public ColumnEncoder {
 public:
  void Reset() override { columns_.Reset(); }
  void MoveState(uint64_t from, uint64_t to, const LayoutPatch& patch) override {
    columns_.Move(from, to, patch);
  }
  size_t MaxBytes(size_t positions) const override { return positions * 9 + positions / 4 + 32; }
  void Encode(uint64_t layout, std::span<const double> values, BitWords absent,
              storage::v1::Scrape& scrape) override;

  uint64_t memory_bytes() const { return columns_.memory_bytes(); }

 private:
  DecimalColumns columns_;
};

// The reverse. Also takes raw columns, which any record may carry. A position whose sample is a
// histogram counts as absent. After an error the state is not defined: the stream must end.
class DecimalDeltaDecoder final : public ColumnDecoder {
 public:
  void Reset() override { columns_.Reset(); }
  void MoveState(uint64_t from, uint64_t to, const LayoutPatch& patch) override {
    columns_.Move(from, to, patch);
  }
  absl::Status Decode(uint64_t layout, size_t positions, const storage::v1::Scrape& scrape,
                      DecodedColumns& out) override;

  uint64_t memory_bytes() const { return columns_.memory_bytes(); }

 private:
  absl::Status DecodeDelta(DecimalColumn& column, const storage::v1::Scrape& scrape,
                           DecodedColumns& out);
  void NoteRaw(DecimalColumn& column, const DecodedColumns& values);

  DecimalColumns columns_;
  RawColumnDecoder raw_;
};

}  // namespace trawl

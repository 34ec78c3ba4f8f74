#include "core/append/column_codec.h"

#include <bit>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "core/base/hash.h"
#include "core/model/value.h"

namespace trawl {
namespace {

static_assert(std::endian::native == std::endian::little,
              "columns are copied as they stand in memory");

// CRC-32C of the floats of a column: of all positions that are neither absent nor a stale marker.
// Runs of floats are taken from where they stand.
class ValueCrc {
 public:
  explicit ValueCrc(const double* values) : values_(values) {}

  void AddRun(size_t begin, size_t end) {
    if (begin == end) return;
    const auto* bytes = reinterpret_cast<const char*>(values_ + begin);
    crc_ = Crc32c(std::string_view(bytes, (end - begin) * sizeof(double)), crc_);
  }
  uint32_t crc() const { return crc_; }

 private:
  const double* const values_;
  uint32_t crc_ = 0;
};

// Calls f(position) for each bit below `positions`.
template <typename F>
void ForEachBit(BitWords words, size_t positions, F&& f) {
  for (size_t w = 0; w < words.size(); ++w) {
    for (uint64_t bits = words[w]; bits != 0; bits &= bits - 1) {
      const size_t position = w * 64 + static_cast<size_t>(std::countr_zero(bits));
      if (position < positions) f(position);
    }
  }
}

void SetAllBits(size_t positions, std::vector<uint64_t>& words) {
  words.assign(BitWordCount(positions), ~uint64_t{0});
  if (positions % 64 != 0) words.back() >>= 64 - positions % 64;
}

bool HasDecimalColumns(const storage::v1::Scrape& scrape) {
  return !scrape.control().empty() || !scrape.integers().empty() || !scrape.escapes().empty();
}

absl::Status CheckAbsentAreZero(std::span<const double> values, BitWords absent) {
  bool zero = true;
  ForEachBit(absent, values.size(),
             [&](size_t p) { zero = zero && std::bit_cast<uint64_t>(values[p]) == 0; });
  if (!zero) return absl::InvalidArgumentError("an absent position carries a value");
  return absl::OkStatus();
}

}  // namespace

uint32_t ValueCrc32c(std::span<const double> values, BitWords absent) {
  ValueCrc crc(values.data());
  size_t run = 0;  // start of the run of floats
  for (size_t p = 0; p < values.size(); ++p) {
    if (!IsStaleMarker(values[p]) && !BitIsSet(absent, p)) continue;
    crc.AddRun(run, p);
    run = p + 1;
  }
  crc.AddRun(run, values.size());
  return crc.crc();
}

bool AllAbsent(size_t positions, BitWords absent) {
  size_t count = 0;
  ForEachBit(absent, positions, [&count](size_t) { ++count; });
  return count == positions;
}

void RawColumnEncoder::Encode(uint64_t, std::span<const double> values, BitWords absent,
                              storage::v1::Scrape& scrape) {
  scrape.clear_raw();
  scrape.clear_absent();
  scrape.set_value_crc32c(0);
  if (values.empty() || AllAbsent(values.size(), absent)) return;  // no columns, no samples
  std::string& raw = *scrape.mutable_raw();
  raw.assign(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double));
  ForEachBit(absent, values.size(),
             [&raw](size_t p) { std::memset(raw.data() + p * sizeof(double), 0, sizeof(double)); });
  if (!absent.empty()) BitWordsToBytes(absent, *scrape.mutable_absent());
  scrape.set_value_crc32c(ValueCrc32c(values, absent));
}

absl::Status RawColumnDecoder::Decode(uint64_t, size_t positions, const storage::v1::Scrape& scrape,
                                      DecodedColumns& out) {
  if (HasDecimalColumns(scrape)) {
    return absl::InvalidArgumentError("values in decimal delta, which is not read here");
  }
  if (scrape.raw().empty()) {
    out.values.assign(positions, 0.0);
    SetAllBits(positions, out.absent);
    if (scrape.value_crc32c() == 0) return absl::OkStatus();
    return absl::DataLossError("a checksum of values, but no values");
  }
  if (scrape.raw().size() != positions * sizeof(double)) {
    return absl::InvalidArgumentError(absl::StrCat("raw column of ", scrape.raw().size(),
                                                   " bytes for ", positions, " positions"));
  }
  if (!BitWordsFromBytes(scrape.absent(), positions, out.absent)) {
    return absl::InvalidArgumentError("absent bitmap is longer than the layout");
  }
  out.values.resize(positions);
  std::memcpy(out.values.data(), scrape.raw().data(), scrape.raw().size());
  if (absl::Status zero = CheckAbsentAreZero(out.values, out.absent); !zero.ok()) return zero;
  if (scrape.value_crc32c() != ValueCrc32c(out.values, out.absent)) {
    return absl::DataLossError("wrong checksum of values");
  }
  return absl::OkStatus();
}

}  // namespace trawl

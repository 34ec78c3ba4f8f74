#include "core/append/decimal_delta_codec.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "core/append/decimal.h"
#include "core/append/varint.h"
#include "core/model/value.h"

namespace trawl {
namespace {

// How a value is coded: two bits.
enum Control : uint8_t { kSame = 0, kDelta = 1, kRescale = 2, kEscape = 3 };

// First byte of an escape.
enum Escape : uint8_t { kXor = 1, kRaw = 2, kStale = 3, kAbsent = 4, kHistogram = 5 };

// What a value takes at most beside its control bits.
constexpr size_t kMaxValueBytes = 9;
// A delta that is longer is compared with the whole mantissa at the smallest scale: a page that
// once showed many digits would pay for them ever after.
constexpr size_t kPlainDeltaBytes = 3;

// Values are coded by blocks of so many, on the stack, and appended.
constexpr size_t kBlock = 64;

// ---- Encoding

// Where the next bytes go.
struct Output {
  uint8_t* integers;
  uint8_t* escapes;
};

Control PutKind(Escape kind, Output& out) {
  *out.escapes++ = kind;
  return kEscape;
}

// XOR with the last bits if that is shorter.
Control PutBits(uint64_t bits, DecimalColumn& column, size_t p, Output& out) {
  const uint64_t difference = bits ^ column.bits(p);
  column.set_bits(p, bits);
  const int leading = std::countl_zero(difference) / 8;
  const int length = 8 - leading - std::countr_zero(difference) / 8;
  if (length >= 7) {
    PutKind(kRaw, out);
    std::memcpy(out.escapes, &bits, sizeof(bits));
    out.escapes += sizeof(bits);
    return kEscape;
  }
  PutKind(kXor, out);
  *out.escapes++ = static_cast<uint8_t>(leading << 4 | length);
  for (int i = 0; i < length; ++i) {
    *out.escapes++ = static_cast<uint8_t>(difference >> (8 * (7 - leading - i)));
  }
  return kEscape;
}

Control PutRescale(const Decimal& decimal, DecimalColumn& column, size_t p, Output& out) {
  column.set_decimal(p, decimal.mantissa, decimal.scale);
  *out.integers++ = static_cast<uint8_t>(decimal.scale);
  out.integers = WriteVarint(ZigZag(decimal.mantissa), out.integers);
  return kRescale;
}

// A value that is neither the last one nor near to it.
Control PutFar(double value, DecimalColumn& column, size_t p, Output& out) {
  const std::optional<Decimal> decimal = FindDecimal(value);
  if (!decimal) return PutBits(std::bit_cast<uint64_t>(value), column, p, out);
  return PutRescale(*decimal, column, p, out);
}

Control PutChanged(double value, DecimalColumn& column, size_t p, Output& out) {
  int64_t mantissa = 0;
  if (!column.is_decimal(p) || !FindMantissa(value, column.scale(p), mantissa)) {
    return PutFar(value, column, p, out);
  }
  const uint64_t delta = ZigZag(mantissa - column.mantissa(p));
  const size_t bytes = VarintBytes(delta);
  if (bytes > kPlainDeltaBytes) {
    const std::optional<Decimal> whole = FindDecimal(value);
    if (whole && 1 + VarintBytes(ZigZag(whole->mantissa)) < bytes) {
      return PutRescale(*whole, column, p, out);
    }
  }
  column.set_mantissa(p, mantissa);
  out.integers = WriteVarint(delta, out.integers);
  return kDelta;
}

Control PutValue(double value, DecimalColumn& column, size_t p, Output& out) {
  const uint64_t bits = std::bit_cast<uint64_t>(value);
  if (bits == column.bits(p)) return kSame;
  if (bits == kStaleNaNBits) return PutKind(kStale, out);
  return PutChanged(value, column, p, out);
}

// Codes positions begin to end, at most kBlock of them; `absent` from bit 0 on.
void EncodeBlock(std::span<const double> values, size_t begin, uint64_t absent,
                 DecimalColumn& column, storage::v1::Scrape& scrape) {
  std::array<uint8_t, kBlock / 4> control = {};
  std::array<uint8_t, kBlock * kMaxValueBytes> integers;
  std::array<uint8_t, kBlock * kMaxValueBytes> escapes;
  Output out{integers.data(), escapes.data()};
  const size_t count = std::min(kBlock, values.size() - begin);
  for (size_t i = 0; i < count; ++i) {
    const bool is_absent = (absent >> i & 1) != 0;
    const Control code =
        is_absent ? PutKind(kAbsent, out) : PutValue(values[begin + i], column, begin + i, out);
    control[i / 4] = static_cast<uint8_t>(control[i / 4] | code << (2 * (i % 4)));
  }
  const auto append = [](const uint8_t* from, size_t size, std::string& to) {
    to.append(reinterpret_cast<const char*>(from), size);
  };
  append(control.data(), (count + 3) / 4, *scrape.mutable_control());
  append(integers.data(), static_cast<size_t>(out.integers - integers.data()),
         *scrape.mutable_integers());
  append(escapes.data(), static_cast<size_t>(out.escapes - escapes.data()),
         *scrape.mutable_escapes());
}

// ---- Decoding

absl::Status Invalid(std::string_view what, size_t position) {
  return absl::InvalidArgumentError(absl::StrCat(
      "decimal delta: ", absl::string_view(what.data(), what.size()), " at position ", position));
}

// A column that is read from front to back.
class Input {
 public:
  explicit Input(const std::string& bytes)
      : at_(reinterpret_cast<const uint8_t*>(bytes.data())), end_(at_ + bytes.size()) {}

  bool done() const { return at_ == end_; }
  bool Byte(uint8_t& byte) {
    if (at_ == end_) return false;
    byte = *at_++;
    return true;
  }
  bool SignedVarint(int64_t& value) {
    uint64_t zigzag = 0;
    const uint8_t* const behind = ReadVarint(at_, end_, zigzag);
    if (behind == nullptr) return false;
    at_ = behind;
    value = UnZigZag(zigzag);
    return true;
  }
  // The first of `count` is the highest, or the lowest.
  bool BigEndian(int count, uint64_t& value) {
    if (end_ - at_ < count) return false;
    for (value = 0; count > 0; --count) value = value << 8 | *at_++;
    return true;
  }
  bool LittleEndian8(uint64_t& value) {
    if (end_ - at_ < 8) return false;
    std::memcpy(&value, at_, 8);
    at_ += 8;
    return true;
  }

 private:
  const uint8_t* at_;
  const uint8_t* const end_;
};

bool IsMantissa(int64_t m) { return m <= kMaxDecimalMantissa && m >= -kMaxDecimalMantissa; }

// Reads the values of a record, position by position.
class DeltaReader {
 public:
  DeltaReader(const storage::v1::Scrape& scrape, DecimalColumn& column, DecodedColumns& out)
      : control_(scrape.control()),
        integers_(scrape.integers()),
        escapes_(scrape.escapes()),
        column_(column),
        out_(out) {}

  absl::Status Read() {
    const size_t positions = column_.size();
    for (size_t p = 0; p < positions; ++p) {
      const char* const what = ReadValue(p);
      if (what != nullptr) return Invalid(what, p);
    }
    if (!integers_.done() || !escapes_.done()) return Invalid("bytes left over", positions);
    return absl::OkStatus();
  }

 private:
  // What is wrong, or null.
  const char* ReadValue(size_t p) {
    const int code = static_cast<unsigned char>(control_[p / 4]) >> (2 * (p % 4)) & 3;
    const char* what = nullptr;
    if (code == kEscape) return ReadEscape(p);
    if (code == kDelta) what = ReadDelta(p);
    if (code == kRescale) what = ReadRescale(p);
    out_.values[p] = std::bit_cast<double>(column_.bits(p));
    return what;
  }

  const char* ReadDelta(size_t p) {
    int64_t delta = 0;
    if (!integers_.SignedVarint(delta)) return "a difference that is cut off";
    if (!column_.is_decimal(p)) return "a difference to a value that is no decimal";
    const auto mantissa = static_cast<int64_t>(static_cast<uint64_t>(column_.mantissa(p)) +
                                               static_cast<uint64_t>(delta));
    if (!IsMantissa(mantissa)) return "a mantissa that is too large";
    column_.set_mantissa(p, mantissa);
    return nullptr;
  }

  const char* ReadRescale(size_t p) {
    uint8_t scale = 0;
    int64_t mantissa = 0;
    if (!integers_.Byte(scale) || !integers_.SignedVarint(mantissa)) {
      return "a decimal that is cut off";
    }
    if (scale > kMaxDecimalScale || !IsMantissa(mantissa)) return "a decimal that is too large";
    column_.set_decimal(p, mantissa, scale);
    return nullptr;
  }

  const char* ReadEscape(size_t p) {
    uint8_t kind = 0;
    if (!escapes_.Byte(kind)) return "an escape that is cut off";
    switch (kind) {
      case kXor:
      case kRaw:
        return ReadBits(kind, p);
      case kStale:
        out_.values[p] = StaleMarker();
        return nullptr;
      case kAbsent:
      case kHistogram:
        SetAbsent(p);
        return nullptr;
      default:
        return "an unknown escape";
    }
  }

  const char* ReadBits(uint8_t kind, size_t p) {
    uint64_t bits = 0;
    if (!(kind == kRaw ? escapes_.LittleEndian8(bits) : ReadXor(p, bits))) {
      return "an escape that is cut off";
    }
    // It has a kind of its own, which leaves the state as it is.
    if (bits == kStaleNaNBits) return "a stale marker as a value";
    column_.set_bits(p, bits);
    out_.values[p] = std::bit_cast<double>(bits);
    return nullptr;
  }

  bool ReadXor(size_t p, uint64_t& bits) {
    uint8_t lengths = 0;
    if (!escapes_.Byte(lengths)) return false;
    const int leading = lengths >> 4;
    const int length = lengths & 15;
    uint64_t difference = 0;
    if (leading + length > 8 || !escapes_.BigEndian(length, difference)) return false;
    const int trailing = 8 - leading - length;
    bits = column_.bits(p) ^ (length == 0 ? 0 : difference << (8 * trailing));
    return true;
  }

  void SetAbsent(size_t p) {
    if (out_.absent.empty()) out_.absent.assign(BitWordCount(column_.size()), 0);
    out_.absent[p / 64] |= uint64_t{1} << (p % 64);
    out_.values[p] = 0;
  }

  const std::string& control_;
  Input integers_;
  Input escapes_;
  DecimalColumn& column_;
  DecodedColumns& out_;
};

// One control for each position, none behind the last.
bool ControlFits(const std::string& control, size_t positions) {
  if (control.size() != (positions + 3) / 4) return false;
  return positions % 4 == 0 ||
         static_cast<unsigned char>(control.back()) >> (2 * (positions % 4)) == 0;
}

}  // namespace

// ---- State

uint64_t DecimalColumn::bits(size_t p) const {
  if (scales_[p] == kVoid) return static_cast<uint64_t>(words_[p]);
  return std::bit_cast<uint64_t>(DecimalValue(words_[p], scales_[p]));
}

void DecimalColumn::set_decimal(size_t p, int64_t m, int k) {
  words_[p] = m;
  scales_[p] = static_cast<uint8_t>(k);
}

void DecimalColumn::set_bits(size_t p, uint64_t bits) {
  words_[p] = static_cast<int64_t>(bits);
  scales_[p] = kVoid;
}

DecimalColumn DecimalColumn::Patched(const LayoutPatch& patch) const {
  size_t positions = 0;
  for (size_t step = 0; step < patch.size(); ++step) {
    if (patch[step] > 0) positions += static_cast<size_t>(patch[step]);
    if (patch[step] == 0 && ++step < patch.size()) positions += static_cast<size_t>(patch[step]);
  }
  DecimalColumn patched(positions);
  size_t from = 0;
  size_t to = 0;
  for (size_t step = 0; step < patch.size(); ++step) {
    const int64_t n = patch[step];
    if (n == 0) {
      if (++step < patch.size()) to += static_cast<size_t>(patch[step]);
    } else if (n < 0) {
      from += static_cast<size_t>(-n);
    } else {
      for (int64_t i = 0; i < n; ++i, ++from, ++to) {
        patched.words_[to] = words_[from];
        patched.scales_[to] = scales_[from];
      }
    }
  }
  return patched;
}

void DecimalColumns::Move(uint64_t from, uint64_t to, const LayoutPatch& patch) {
  const auto base = columns_.find(from);
  if (base == columns_.end()) return;
  DecimalColumn patched = base->second.Patched(patch);
  columns_.erase(base);
  columns_.emplace(to, std::move(patched));
}

DecimalColumn& DecimalColumns::Of(uint64_t layout, size_t positions) {
  DecimalColumn& column = columns_.try_emplace(layout, positions).first->second;
  if (column.size() != positions)
    column = DecimalColumn(positions);  // never: layouts are immutable
  return column;
}

uint64_t DecimalColumns::memory_bytes() const {
  uint64_t bytes = columns_.capacity() * (sizeof(*columns_.begin()) + 1);
  for (const auto& [layout, column] : columns_) bytes += column.memory_bytes();
  return bytes;
}

// ---- The codec

void DecimalDeltaEncoder::Encode(uint64_t layout, std::span<const double> values, BitWords absent,
                                 storage::v1::Scrape& scrape) {
  scrape.clear_control();
  scrape.clear_integers();
  scrape.clear_escapes();
  scrape.set_value_crc32c(0);
  if (AllAbsent(values.size(), absent)) return;  // no columns, no samples
  DecimalColumn& column = columns_.Of(layout, values.size());
  for (size_t begin = 0; begin < values.size(); begin += kBlock) {
    const size_t word = begin / kBlock;
    EncodeBlock(values, begin, word < absent.size() ? absent[word] : 0, column, scrape);
  }
  scrape.set_value_crc32c(ValueCrc32c(values, absent));
}

absl::Status DecimalDeltaDecoder::Decode(uint64_t layout, size_t positions,
                                         const storage::v1::Scrape& scrape, DecodedColumns& out) {
  const bool delta =
      !scrape.control().empty() || !scrape.integers().empty() || !scrape.escapes().empty();
  if (!delta) {
    absl::Status status = raw_.Decode(layout, positions, scrape, out);
    if (status.ok() && !scrape.raw().empty()) NoteRaw(columns_.Of(layout, positions), out);
    return status;
  }
  if (!scrape.raw().empty() || !scrape.absent().empty()) {
    return absl::InvalidArgumentError("decimal delta and raw columns in one record");
  }
  if (!ControlFits(scrape.control(), positions)) {
    return absl::InvalidArgumentError(absl::StrCat("decimal delta: ", scrape.control().size(),
                                                   " bytes of control for ", positions,
                                                   " positions"));
  }
  return DecodeDelta(columns_.Of(layout, positions), scrape, out);
}

absl::Status DecimalDeltaDecoder::DecodeDelta(DecimalColumn& column,
                                              const storage::v1::Scrape& scrape,
                                              DecodedColumns& out) {
  out.values.resize(column.size());
  out.absent.clear();
  absl::Status status = DeltaReader(scrape, column, out).Read();
  if (!status.ok()) return status;
  if (scrape.value_crc32c() == ValueCrc32c(out.values, out.absent)) return absl::OkStatus();
  return absl::DataLossError("wrong checksum of values");
}

void DecimalDeltaDecoder::NoteRaw(DecimalColumn& column, const DecodedColumns& values) {
  for (size_t p = 0; p < column.size(); ++p) {
    if (BitIsSet(values.absent, p) || IsStaleMarker(values.values[p])) continue;
    column.set_bits(p, std::bit_cast<uint64_t>(values.values[p]));
  }
}

}  // namespace trawl

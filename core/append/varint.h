#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace trawl {

// Varints as in protobuf: seven bits a byte, lowest first, the high bit says that more follow.
// ZigZag maps integers that are near 0, of either sign, to small ones.

inline uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}

inline int64_t UnZigZag(uint64_t value) {
  return static_cast<int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

// What WriteVarint writes: 1 to 10.
inline size_t VarintBytes(uint64_t value) {
  return (static_cast<size_t>(std::bit_width(value | 1)) + 6) / 7;
}

// Returns the place behind it.
inline uint8_t* WriteVarint(uint64_t value, uint8_t* out) {
  for (; value >= 0x80; value >>= 7) *out++ = static_cast<uint8_t>(value | 0x80);
  *out++ = static_cast<uint8_t>(value);
  return out;
}

// Returns the place behind it; null if it is cut off or has more than 64 bits.
inline const uint8_t* ReadVarint(const uint8_t* in, const uint8_t* end, uint64_t& value) {
  value = 0;
  for (int shift = 0; in != end && shift < 64; shift += 7) {
    const uint64_t byte = *in++;
    if (shift == 63 && byte > 1) return nullptr;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return in;
  }
  return nullptr;
}

}  // namespace trawl

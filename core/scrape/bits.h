#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace trawl {

// Bitmaps over positions: bit p of word p/64. They grow when a bit is set; bits beyond the end
// are 0.
using Bits = std::vector<uint64_t>;

inline size_t WordCount(size_t bits) { return (bits + 63) / 64; }

inline bool TestBit(const Bits& bits, size_t at) {
  return at / 64 < bits.size() && ((bits[at / 64] >> (at % 64)) & 1) != 0;
}
inline void SetBit(Bits& bits, size_t at) {
  if (at / 64 >= bits.size()) bits.resize(at / 64 + 1);
  bits[at / 64] |= uint64_t{1} << (at % 64);
}
inline void ClearBit(Bits& bits, size_t at) {
  if (at / 64 < bits.size()) bits[at / 64] &= ~(uint64_t{1} << (at % 64));
}
template <typename Function>
void ForEachBit(const Bits& bits, Function function) {
  for (size_t word = 0; word < bits.size(); ++word) {
    for (uint64_t left = bits[word]; left != 0; left &= left - 1) {
      function(static_cast<uint32_t>(word * 64 + static_cast<size_t>(std::countr_zero(left))));
    }
  }
}

}  // namespace trawl

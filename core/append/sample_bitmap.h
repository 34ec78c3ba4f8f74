#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trawl {

// Bitmaps over the positions of a layout: bit p % 64 of word p / 64. On the wire they are bytes,
// little endian, with zero bytes at the end left out. Words that are missing are zero.
using BitWords = std::span<const uint64_t>;

inline size_t BitWordCount(size_t positions) { return (positions + 63) / 64; }

inline bool BitIsSet(BitWords words, size_t position) {
  const size_t word = position / 64;
  return word < words.size() && (words[word] >> (position % 64) & 1) != 0;
}

inline uint64_t CountBits(BitWords words) {
  uint64_t count = 0;
  for (const uint64_t word : words) count += static_cast<uint64_t>(std::popcount(word));
  return count;
}

// The wire's form, without zero bytes at the end.
void BitWordsToBytes(BitWords words, std::string& bytes);
// False if a bit at or above `positions` is set. `words` is empty if no bit is set.
bool BitWordsFromBytes(std::string_view bytes, size_t positions, std::vector<uint64_t>& words);

}  // namespace trawl

#include "core/append/sample_bitmap.h"

namespace trawl {

void BitWordsToBytes(BitWords words, std::string& bytes) {
  bytes.clear();
  bytes.reserve(words.size() * 8);
  for (const uint64_t word : words) {
    for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(word >> (8 * i)));
  }
  while (!bytes.empty() && bytes.back() == '\0') bytes.pop_back();
}

bool BitWordsFromBytes(std::string_view bytes, size_t positions, std::vector<uint64_t>& words) {
  words.clear();
  while (!bytes.empty() && bytes.back() == '\0') bytes.remove_suffix(1);
  if (bytes.empty()) return true;
  const auto last = static_cast<unsigned char>(bytes.back());
  const size_t top_bit = (bytes.size() - 1) * 8 + static_cast<size_t>(std::bit_width(last)) - 1;
  if (top_bit >= positions) return false;
  words.assign(BitWordCount(positions), 0);
  for (size_t i = 0; i < bytes.size(); ++i) {
    words[i / 8] |= uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * (i % 8));
  }
  return true;
}

}  // namespace trawl

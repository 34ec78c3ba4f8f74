#pragma once

#include <cstdint>
#include <string_view>

namespace trawl {

// A keyed 64-bit hash of series texts. The key is random for each process, so a target cannot
// forge two texts with one hash (architecture.md, hot path). Thread-safe.
struct HashKey {
  uint64_t seed = 0;
  static HashKey Random();
};
uint64_t HashText(HashKey key, std::string_view text);

// FNV-1a, 64 bits: Prometheus' target hashes and offset seeds are made with it (spec 1.5, 3.8).
inline constexpr uint64_t kFnvOffset = 14695981039346656037ull;
uint64_t Fnv1a64(std::string_view bytes, uint64_t state = kFnvOffset);

// xxHash64 with seed 0, as Prometheus hashes label sets (spec 3.8).
uint64_t XxHash64(std::string_view bytes);

// CRC-32C (Castagnoli).
uint32_t Crc32c(std::string_view bytes, uint32_t crc = 0);

}  // namespace trawl

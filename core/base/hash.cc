#include "core/base/hash.h"

#include <isa-l/crc.h>
#include <xxhash.h>

#include <algorithm>
#include <random>

namespace trawl {
namespace {

// ISA-L counts bytes in an int.
constexpr size_t kMaxCrcBlock = size_t{1} << 30;

}  // namespace

HashKey HashKey::Random() {
  std::random_device device;
  return HashKey{(uint64_t{device()} << 32) | device()};
}

uint64_t HashText(HashKey key, std::string_view text) {
  return XXH3_64bits_withSeed(text.data(), text.size(), key.seed);
}

uint64_t Fnv1a64(std::string_view bytes, uint64_t state) {
  for (const char byte : bytes) {
    state ^= static_cast<uint8_t>(byte);
    state *= 1099511628211ull;
  }
  return state;
}

uint64_t XxHash64(std::string_view bytes) { return XXH64(bytes.data(), bytes.size(), 0); }

uint32_t Crc32c(std::string_view bytes, uint32_t crc) {
  crc = ~crc;
  while (!bytes.empty()) {
    const std::string_view block = bytes.substr(0, kMaxCrcBlock);
    bytes.remove_prefix(block.size());
    auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(block.data()));
    crc = crc32_iscsi(data, static_cast<int>(block.size()), crc);
  }
  return ~crc;
}

}  // namespace trawl

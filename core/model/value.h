#pragma once

#include <bit>
#include <cstdint>

namespace trawl {

// Sample values are doubles; two NaN patterns have a meaning (spec 4.7, 4.16).
inline constexpr uint64_t kStaleNaNBits = 0x7ff0000000000002;   // "this series has ended here"
inline constexpr uint64_t kNormalNaNBits = 0x7ff8000000000001;  // every NaN that a text exposes

inline double StaleMarker() { return std::bit_cast<double>(kStaleNaNBits); }
inline double NormalNaN() { return std::bit_cast<double>(kNormalNaNBits); }
inline bool IsStaleMarker(double v) { return std::bit_cast<uint64_t>(v) == kStaleNaNBits; }

}  // namespace trawl

#pragma once

#include <cstdint>
#include <string>

namespace trawl {

// Numbered as trawl.storage.v1.MetricType; kUnknown is the wire's UNSPECIFIED.
enum class MetricType : uint8_t {
  kUnknown = 0,
  kCounter = 1,
  kGauge = 2,
  kHistogram = 3,
  kGaugeHistogram = 4,
  kSummary = 5,
  kInfo = 6,
  kStateSet = 7,
};

// What TYPE, HELP and UNIT lines say of a metric family.
struct MetricFamily {
  std::string name;
  MetricType type = MetricType::kUnknown;
  std::string unit;
  std::string help;
  friend bool operator==(const MetricFamily&, const MetricFamily&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const MetricFamily& f) {
    return H::combine(std::move(h), f.name, static_cast<int>(f.type), f.unit, f.help);
  }
};

}  // namespace trawl

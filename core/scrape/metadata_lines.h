#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/model/metadata.h"
#include "core/model/series_key.h"

namespace trawl {

// The metadata of a body. Where its last lines stand is noted as they go by; they are read only
// when a series asks, which in the steady state none does.
//
// Body and keys outlive it. Shard's thread only.
class MetadataLines {
 public:
  // Comment lines that stand one after the other in the body.
  struct Run {
    size_t at = 0;
    size_t length = 0;
    friend bool operator==(const Run&, const Run&) = default;
  };

  MetadataLines(std::string_view body, KeyTable& keys) : body_(body), keys_(keys) {}

  // A run with HELP or TYPE lines, the last one so far.
  void Note(Run run, bool has_type) {
    last_ = run;
    if (has_type) last_with_type_ = run;
    read_ = false;
  }

  // What the last TYPE line says.
  MetricType Type() {
    Read();
    return type_;
  }
  // The family that a series of this metric name belongs to; 0: none is told.
  uint32_t FamilyOf(std::string_view metric_name);

 private:
  void Read();
  void ReadRun(Run run);

  const std::string_view body_;
  KeyTable& keys_;
  Run last_;
  Run last_with_type_;
  bool read_ = true;
  MetricFamily family_;
  std::optional<uint32_t> family_id_;
  MetricType type_ = MetricType::kUnknown;
};

}  // namespace trawl

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/model/labels.h"

namespace trawl {

// A condition on one label, as in PromQL. A label that is not there has the value "".
struct LabelMatcher {
  enum class Op { kEqual, kNotEqual, kMatches, kNotMatches };
  std::string name;
  Op op = Op::kEqual;
  std::string value;  // a RE2 pattern, anchored at both ends, for kMatches and kNotMatches
  friend bool operator==(const LabelMatcher&, const LabelMatcher&) = default;
};

// Which series: `up`, `up{job="node",instance!~"10\\..*"}`, `{job="node"}`.
// Errors: kInvalidArgument with the column.
absl::StatusOr<std::vector<LabelMatcher>> ParseSelector(std::string_view text);

struct StoredSample {
  Labels labels;  // with __name__
  int64_t timestamp_ms = 0;
  double value = 0;  // the stale marker's NaN if stale
  bool stale = false;
};

struct SampleQuery {
  std::vector<LabelMatcher> matchers;  // all must hold
  size_t last_per_series = 0;          // only the newest of each series; 0: all
  size_t last = 0;                     // only the newest of all; 0: all
};

// The samples of a SQLite store's file that match, by labels, then time; the file may be written
// meanwhile. Errors: kNotFound (no file), kFailedPrecondition (not a store's file, a newer format),
// kInvalidArgument (a bad pattern). Reads on the calling thread, may take a while.
absl::StatusOr<std::vector<StoredSample>> ReadSamples(const std::string& path,
                                                      const SampleQuery& query);

}  // namespace trawl

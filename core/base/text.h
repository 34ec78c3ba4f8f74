#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace trawl {

bool IsValidUtf8(std::string_view text);

// As Go's %q prints a string.
std::string GoQuote(std::string_view text);

// The shortest decimal that reads back as `value`, as Go's strconv.FormatFloat(v, 'g', -1, 64)
// (`+Inf`, `NaN`, `1e+06`…).
std::string FormatGoFloat(double value);

// Prometheus' base-2 sizes (`100MB`, `1KiB`; KB = 1024; spec 7.3 body_size_limit). A plain
// number without a unit is an error, except 0.
absl::StatusOr<uint64_t> ParseByteSize(std::string_view text);

}  // namespace trawl

#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace trawl {

// Prometheus' durations (`1h30m`, `500ms`; spec 3.2), with its error texts.
absl::StatusOr<absl::Duration> ParsePrometheusDuration(std::string_view text);
std::string FormatPrometheusDuration(absl::Duration duration);

// As Go prints a time.Duration (`1m0s`): the `interval` label of the self-metrics.
std::string FormatGoDuration(absl::Duration duration);

// RFC 3339 with nanoseconds as Go prints it; 0001-01-01T00:00:00Z for InfinitePast.
std::string FormatGoTime(absl::Time time);

}  // namespace trawl

#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "core/base/failure_reason.h"
#include "core/fetch/fetcher.h"
#include "core/scrape/job_settings.h"
#include "core/scrape/target.h"

namespace trawl {

// What a scrape asks of its target, and what it makes of an answer that brings no samples: the
// same for a loop's scrapes and for those out of turn. Pure.

FetchRequest MakeScrapeRequest(const JobSettings& settings, const Target& target);

// The limit on the inflated body that is kept, of what is configured.
uint64_t BodyLimit(const JobSettings& settings);

struct ScrapeFailure {
  absl::Status status;
  FailureReason reason = FailureReason::kNone;
};
// Of a fetch that brought no answer. A body over the limit has the words that a target shows.
ScrapeFailure FailureOf(const FetchError& error, const JobSettings& settings);
// Of an answer that is no 200.
ScrapeFailure FailureOfStatus(const FetchResponse& response);
// Of a body that could not be inflated, or is too large.
ScrapeFailure FailureOfInflate(const absl::Status& status, const JobSettings& settings);

}  // namespace trawl

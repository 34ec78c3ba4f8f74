#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "core/base/failure_reason.h"
#include "core/fetch/fetcher.h"

namespace trawl {

// Where a scrape's time went. What it did not come to is unset; the phase in which it failed has
// the time until then.
struct ScrapePhases {
  std::optional<absl::Duration> dns;
  std::optional<absl::Duration> connect;
  std::optional<absl::Duration> tls;
  std::optional<absl::Duration> first_byte;  // from the request on
  std::optional<absl::Duration> transfer;
  std::optional<absl::Duration> inflate;
  std::optional<absl::Duration> parse;  // relabeling and encoding included

  friend bool operator==(const ScrapePhases&, const ScrapePhases&) = default;
};

// The phases of a fetch that ended for `reason` (kNone: it did not fail). Pure.
ScrapePhases PhasesOf(const FetchTimings& timings, FailureReason reason);

// What a scrape came to, in figures.
struct ScrapeFigures {
  absl::Time start = absl::InfinitePast();  // the time that its samples carry; that: no scrape
  absl::Duration lateness;                  // against the schedule
  absl::Duration duration;
  uint64_t inflated_bytes = 0;  // the text that was parsed
  uint64_t samples_scraped = 0;
  uint64_t samples_post_relabeling = 0;
  uint64_t series_added = 0;
  uint64_t out_of_order = 0;
  uint64_t duplicates = 0;
  uint64_t out_of_bounds = 0;
  FailureReason reason = FailureReason::kNone;  // kNone: up
  std::string error;                            // "" when up

  friend bool operator==(const ScrapeFigures&, const ScrapeFigures&) = default;
};

// One scrape, as a target's history shows it, which cuts long errors.
struct ScrapeRecord : ScrapeFigures {
  const ScrapeFigures& figures() const { return *this; }

  ScrapePhases phases;
  uint64_t body_bytes = 0;  // as received
  int http_status = 0;      // 0: no answer
  std::string content_type;
  bool connection_reused = false;

  friend bool operator==(const ScrapeRecord&, const ScrapeRecord&) = default;
};

}  // namespace trawl

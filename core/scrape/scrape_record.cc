#include "core/scrape/scrape_record.h"

#include <algorithm>

namespace trawl {
namespace {

using Phase = std::optional<absl::Duration> ScrapePhases::*;

// In which phase a fetch was when it ended, if it did not get to the answer's first byte.
Phase PhaseOfFailure(const FetchTimings& timings, FailureReason reason) {
  switch (reason) {
    case FailureReason::kDns:
    case FailureReason::kTimeoutDns:
      return &ScrapePhases::dns;
    case FailureReason::kTls:
    case FailureReason::kTimeoutTls:
      return &ScrapePhases::tls;
    case FailureReason::kTimeoutResponse:
      return &ScrapePhases::first_byte;
    default:
      return timings.request > absl::ZeroDuration() ? &ScrapePhases::first_byte
                                                    : &ScrapePhases::connect;
  }
}

}  // namespace

ScrapePhases PhasesOf(const FetchTimings& timings, FailureReason reason) {
  ScrapePhases phases;
  absl::Duration before;
  const auto take = [&](Phase phase, absl::Duration end) {
    if (end <= absl::ZeroDuration()) return;
    phases.*phase = std::max(end - before, absl::ZeroDuration());
    before = std::max(before, end);
  };
  take(&ScrapePhases::dns, timings.dns);
  take(&ScrapePhases::connect, timings.connect);
  take(&ScrapePhases::tls, timings.tls);
  before = std::max(before, timings.request);  // what it took to find a kept connection is no phase
  take(&ScrapePhases::first_byte, timings.first_byte);
  if (timings.first_byte > absl::ZeroDuration()) {
    take(&ScrapePhases::transfer, timings.total);
  } else if (reason != FailureReason::kNone) {
    const Phase phase = PhaseOfFailure(timings, reason);
    if (!(phases.*phase)) take(phase, timings.total);
  }
  return phases;
}

}  // namespace trawl

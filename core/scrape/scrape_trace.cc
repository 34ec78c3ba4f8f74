#include "core/scrape/scrape_trace.h"

namespace trawl {

void ScrapeTrace::Clear() {
  step_ = nullptr;
  record_.phases = ScrapePhases();
  record_.body_bytes = 0;
  record_.http_status = 0;
  record_.content_type.clear();
  record_.connection_reused = false;
}

void ScrapeTrace::OnFetched(const FetchOutcome& outcome) {
  const FetchTimings& timings = outcome.ok() ? outcome.response.timings : outcome.error.timings;
  step_ = nullptr;
  record_.phases = PhasesOf(timings, outcome.ok() ? FailureReason::kNone : outcome.error.reason);
  record_.body_bytes = outcome.response.body.size();
  record_.http_status = outcome.response.status_code;
  record_.content_type = outcome.response.content_type;
  record_.connection_reused = timings.connection_reused;
}

void ScrapeTrace::BeginStep(Step step, absl::Duration now) {
  if (step == step_) return;  // it goes on, in slices now
  Finish(now);
  step_ = step;
  step_began_ = now;
}

ScrapeRecord& ScrapeTrace::Finish(absl::Duration now) {
  if (step_ != nullptr) record_.phases.*step_ = now - step_began_;
  step_ = nullptr;
  return record_;
}

}  // namespace trawl

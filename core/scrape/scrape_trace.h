#pragma once

#include <optional>

#include "absl/time/time.h"
#include "core/fetch/fetcher.h"
#include "core/scrape/scrape_record.h"

namespace trawl {

// What is noted of the scrape under way for its target's history, from the answer on. Kept with the
// buffers of the scrape and used again, so that noting allocates nothing.
// Shard's thread only.
class ScrapeTrace {
 public:
  // A scrape that asks nobody.
  void Clear();
  void OnFetched(const FetchOutcome& outcome);
  // The step begins now, and the one before ends.
  void BeginInflate(absl::Duration now) { BeginStep(&ScrapePhases::inflate, now); }
  void BeginParse(absl::Duration now) { BeginStep(&ScrapePhases::parse, now); }

  // The step under way ends. The caller adds what is of the samples and the schedule.
  ScrapeRecord& Finish(absl::Duration now);

 private:
  using Step = std::optional<absl::Duration> ScrapePhases::*;
  void BeginStep(Step step, absl::Duration now);

  ScrapeRecord record_;
  Step step_ = nullptr;
  absl::Duration step_began_;  // steady
};

}  // namespace trawl

#include "core/scrape/probe_gate.h"

#include <prometheus/counter.h>

#include "absl/strings/str_cat.h"

namespace trawl {

absl::Status ProbeGate::Enter(uint64_t pool, uint64_t target) {
  if (inside_.contains({pool, target})) {
    metrics_.scrape_now_refused_total.Increment({"target"});
    return absl::ResourceExhaustedError(
        "a scrape out of turn of this target is under way: wait for its answer");
  }
  if (inside_.size() >= limit_) {
    metrics_.scrape_now_refused_total.Increment({"limit"});
    return absl::ResourceExhaustedError(absl::StrCat(
        inside_.size(), " scrapes out of turn are under way, no more are allowed at once"));
  }
  inside_.insert({pool, target});
  metrics_.scrape_now_total.Increment();
  return absl::OkStatus();
}

}  // namespace trawl

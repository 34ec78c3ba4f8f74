#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "core/telemetry/scrape_metrics.h"

namespace trawl {

// Lets in scrapes out of turn: one a target, and a bounded number at once. One thread.
class ProbeGate {
 public:
  ProbeGate(size_t limit, ScrapeMetrics& metrics) : limit_(limit), metrics_(metrics) {}

  // kResourceExhausted, with a sentence. After OK, Leave must follow.
  absl::Status Enter(uint64_t pool, uint64_t target);
  void Leave(uint64_t pool, uint64_t target) { inside_.erase({pool, target}); }

 private:
  const size_t limit_;
  ScrapeMetrics& metrics_;
  std::set<std::pair<uint64_t, uint64_t>> inside_;  // pool, target hash
};

}  // namespace trawl

#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "absl/time/time.h"
#include "core/append/sink.h"
#include "core/scrape/pool_status.h"

namespace trawl {

// What the page of the targets asks for: which pools unfolded, which targets of them.
struct OverviewQuery {
  // Words, all of which a target's URL, labels (as name="value") or last error must have; letters
  // count alike in both cases. "": every target.
  std::string search;
  std::optional<TargetHealth> health;
  size_t limit = 100;                      // targets of one pool
  std::map<std::string, size_t> limit_of;  // the same, of this job
  std::set<std::string> open;              // pools whose targets are listed
  std::set<std::string> closed;            // pools whose targets are not
  size_t open_up_to = 200;        // others are listed as long as all pools' targets are no more
  std::set<std::string> dropped;  // pools whose dropped targets are listed
};

inline constexpr size_t kMaxOverviewLimit = 25'000;

// GET /api/v1/targets/overview, in the envelope of Prometheus' API:
//   {now, pools: [{job, active, up, down, unknown, dropped, failed, matching, openByDefault,
//                  targets: [{id, scrapePool, scrapeUrl, labels, health, lastError, reason,
//                             lastScrape, duration, lateness, samples,
//                             history: [[start, lateness, duration, 1 if up], …],
//                             held (if so), rejected (if any): [{sink, code, samples}]}],
//                  droppedTargets: [{id, discoveredLabels, reason}],
//                  pending (if so: the configuration does not have the job; all are `failed`)}]}
// Times are Unix milliseconds (lastScrape 0: never), durations seconds; the history begins with the
// oldest. Costs a look at every target's health; what is not listed is not written. Pure.
std::string TargetsOverviewJson(const PoolsSnapshot& pools,
                                std::span<const std::shared_ptr<const LaneStatus>> lanes,
                                const OverviewQuery& query, absl::Time now);

}  // namespace trawl

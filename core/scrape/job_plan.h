#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/config/trawl_config.h"
#include "core/discovery/desired_targets.h"
#include "core/scrape/target.h"

namespace trawl {

// A job before or after a change of the configuration.
struct PlannedJob {
  // Null: there is none, or, before the change, its pool could not be made.
  const ScrapeConfig* config = nullptr;
  FirstScrape first_scrape = FirstScrape::kOffset;
  OwnedGroups groups;  // what is wanted of it
};

// What a change of the configuration does to one job. A target is restarted when it is scraped
// before and after (the same public labels and URL), and its loop does something else: its
// interval, its hidden labels or the loop's settings are others.
struct JobPlan {
  using TargetPtr = std::shared_ptr<const Target>;
  struct Restart {
    TargetPtr target;                 // as it will be
    std::vector<std::string> fields;  // that may have made it
  };

  std::vector<std::string> fields;  // of the config that differ, sorted; of a job that stays
  std::vector<TargetPtr> added;     // each list by URL
  std::vector<TargetPtr> removed;   // as they are
  std::vector<Restart> restarted;
  uint64_t unchanged = 0;
  // Whether those that are restarted go on with their series cache, so that no series ends.
  bool keeps_cache = true;

  uint64_t targets_after() const { return added.size() + restarted.size() + unchanged; }
};

// Goes through a reload as it is carried out, on a copy of what decides in it: the new config with
// the old groups first (ScrapePool::Reload), then with the new groups (ScrapePool::Sync). Builds
// every target of the job, twice if its config differs. Pure.
JobPlan PlanJob(const PlannedJob& before, const PlannedJob& after);

}  // namespace trawl

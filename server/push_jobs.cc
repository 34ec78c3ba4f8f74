#include "server/push_jobs.h"

#include <algorithm>
#include <utility>

namespace trawl {
namespace {

bool IsPushed(const DesiredTargets& desired) {
  return std::any_of(desired.groups.begin(), desired.groups.end(), [](const OwnedGroup& group) {
    return group.source != "static" && group.source != "file";
  });
}

}  // namespace

void PushJobs::Set(const Config& config) {
  auto jobs = std::make_shared<std::set<std::string>>();
  for (const ScrapeConfig& job : config.scrape_configs) {
    if (job.expects_push()) jobs->insert(job.job_name);
  }
  const auto before = jobs_.Get();  // stays while it is read
  for (const std::string& job : *before) {
    if (!jobs->contains(job)) deps_.metrics.RemoveJob(job);
  }
  jobs_.Set(std::move(jobs));
  Count();
}

void PushJobs::Count() {
  deps_.discovery.ReadAsync([this, jobs = jobs_.Get()](const TargetSets& sets) {
    for (const std::string& job : *jobs) {
      deps_.metrics.job_without_source.Set({job}, IsPushed(*sets.Desired(job)) ? 0 : 1);
    }
  });
}

}  // namespace trawl

#include "server/config_applier.h"

#include <string>
#include <utility>
#include <vector>

#include "server/await.h"

namespace trawl {

ConfigApplier::ConfigApplier(SinkFlags sink_flags, const Deps& deps)
    : sink_flags_(std::move(sink_flags)), deps_(deps) {}

absl::Status ConfigApplier::Accept(const Config& config) {
  return deps_.sinks.Apply(DesiredSinks(sink_flags_, config));
}

absl::Status ConfigApplier::Apply(const LoadedConfig& next) {
  const Labels& external = next.config->global.external_labels;
  external_labels_.Set(std::make_shared<const Labels>(external));
  deps_.shards.SetExternalLabels(external);
  Awaited<absl::Status> applied;
  deps_.manager.ApplyConfig(next.config, next.trawl_config,
                            [applied](absl::Status status) { applied.Set(std::move(status)); });
  absl::Status status = applied.Wait();
  TellDiscovery(next);
  return status;
}

void ConfigApplier::TellDiscovery(const LoadedConfig& next) {
  std::vector<std::string> jobs;
  for (const ScrapeConfig& job : next.config->scrape_configs) jobs.push_back(job.job_name);
  Awaited<bool> known;
  deps_.discovery.SetKnownJobsAsync(std::move(jobs), [known] { known.Set(true); });
  known.Wait();
  Awaited<bool> told;
  deps_.sources.ApplyAsync(next.config, [told] { told.Set(true); });
  told.Wait();
  deps_.push_jobs.Set(*next.config);
}

}  // namespace trawl

#include "core/scrape/scrape_pool.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/log.h"

namespace trawl {
namespace {

absl::StatusOr<std::shared_ptr<const HttpClient>> MakeClient(HttpClientFactory& clients,
                                                             const ScrapeConfig& config) {
  auto client = clients.MakeClient(config.http);
  if (client.ok()) return client;
  return absl::Status(client.status().code(),
                      absl::StrCat("error creating HTTP client: ", client.status().message()));
}

// A cache generation is the pool's id and the number of configs that allowed no reuse.
uint64_t FirstGeneration(uint64_t pool) { return pool << 32; }

}  // namespace

absl::StatusOr<std::unique_ptr<ScrapePool>> ScrapePool::Create(Options options, const Deps& deps) {
  deps.metrics.pools_total.Increment();
  auto client = MakeClient(deps.clients, *options.config);
  if (!client.ok()) {
    deps.metrics.pools_failed_total.Increment();
    return client.status();
  }
  return std::unique_ptr<ScrapePool>(new ScrapePool(std::move(options), deps, *std::move(client)));
}

ScrapePool::ScrapePool(Options options, const Deps& deps, std::shared_ptr<const HttpClient> client)
    : options_(std::move(options)),
      deps_(deps),
      client_(std::move(client)),
      cache_generation_(FirstGeneration(options_.id)) {
  MakeSettings();
  UpdateTargetLimit();
  UpdateStatus();
}

void ScrapePool::MakeSettings() {
  settings_ = MakeJobSettings(config(), client_, options_.offset_seed, cache_generation_);
}

void ScrapePool::Sync(const DesiredTargets& desired) {
  const absl::Duration begin = deps_.clock.Steady();
  const PoolTargets::Change change = targets_.Update(config(), desired.groups);
  Take(change, /*settings_changed=*/false);
  synced_ = true;
  deps_.metrics.ObserveSync(config().job_name, deps_.clock.Steady() - begin);
}

absl::Status ScrapePool::Reload(std::shared_ptr<const ScrapeConfig> config_new,
                                FirstScrape first_scrape) {
  options_.first_scrape = first_scrape;
  if (*config_new == config()) {
    options_.config = std::move(config_new);  // lets the old one go
    UpdateStatus();
    return absl::OkStatus();
  }
  const absl::Duration begin = deps_.clock.Steady();
  deps_.metrics.pool_reloads_total.Increment();
  if (config_new->http != config().http) {
    auto client = MakeClient(deps_.clients, *config_new);
    if (!client.ok()) {
      deps_.metrics.pool_reloads_failed_total.Increment();
      return client.status();
    }
    client_ = *std::move(client);
  }
  const bool settings_changed = !SameLoopSettings(config(), *config_new);
  if (!ReusableCache(config(), *config_new)) ++cache_generation_;
  options_.config = std::move(config_new);
  if (settings_changed) MakeSettings();
  Take(targets_.Rebuild(config()), settings_changed);
  deps_.metrics.ObserveReload(config().scrape_interval, deps_.clock.Steady() - begin);
  return absl::OkStatus();
}

void ScrapePool::Stop() {
  for (const ShardLoops& shard : deps_.shards) {
    shard.shard->loop.Post([loops = shard.loops, id = options_.id] { loops->RemovePool(id); });
  }
  deps_.metrics.RemoveJob(config().job_name);
}

void ScrapePool::Take(const PoolTargets::Change& change, bool settings_changed) {
  LogFailures(change);
  deps_.metrics.sync_failed_total.Increment({config().job_name},
                                            static_cast<double>(change.failed));
  const bool forced_changed = UpdateTargetLimit();
  AddUntold(change, settings_changed || forced_changed);
  UpdateStatus();
}

// True when the error that is forced on all targets is another one than before.
bool ScrapePool::UpdateTargetLimit() {
  const size_t count = targets_.size();
  const uint64_t limit = config().target_limit;
  deps_.metrics.pool_target_limit.Set({config().job_name}, static_cast<double>(limit));
  deps_.metrics.pool_targets.Set({config().job_name}, static_cast<double>(count));
  std::shared_ptr<const std::string> error;
  if (limit > 0 && count > limit) {
    deps_.metrics.pool_exceeded_target_limit_total.Increment();
    error = std::make_shared<const std::string>(
        absl::StrCat("target_limit exceeded (number of targets: ", count, ", limit: ", limit, ")"));
  }
  const bool same = error == nullptr ? forced_error_ == nullptr
                                     : forced_error_ != nullptr && *error == *forced_error_;
  if (!same) forced_error_ = std::move(error);
  return !same;
}

void ScrapePool::AddUntold(const PoolTargets::Change& change, bool all_shards) {
  const uint32_t count = static_cast<uint32_t>(deps_.shards.size());
  std::vector<LoopChange> changes(count);
  for (const std::shared_ptr<const Target>& target : change.removed) {
    changes[ShardOf(*target, count)].removed.push_back(target->hash);
  }
  for (const PoolTargets::Change::Added& added : change.added) {
    changes[ShardOf(*added.target, count)].added.push_back({added.target, added.status});
  }
  // A start, and a push of very many, keep to the offsets.
  const bool at_once = synced_ && change.added.size() <= kMaxImmediate;
  for (uint32_t i = 0; i < count; ++i) {
    LoopChange& to_shard = changes[i];
    if (!all_shards && to_shard.removed.empty() && to_shard.added.empty()) continue;
    to_shard.pool = options_.id;
    to_shard.settings = settings_;
    to_shard.forced_error = forced_error_;
    to_shard.first_scrape = at_once ? options_.first_scrape : FirstScrape::kOffset;
    untold_.push_back({i, std::move(to_shard)});
  }
}

void ScrapePool::TellShards() {
  for (Untold& untold : untold_) {
    const ShardLoops& to = deps_.shards[untold.shard];
    to.shard->loop.Post([loops = to.loops, change = std::move(untold.change)]() mutable {
      loops->Apply(std::move(change));
    });
  }
  untold_.clear();
}

void ScrapePool::LogFailures(const PoolTargets::Change& change) const {
  for (const std::string& failure : change.failures) {
    LogError("Creating target failed", {{"scrape_pool", config().job_name}, {"err", failure}});
  }
  if (change.failed > change.failures.size()) {
    LogError("Creating more targets failed",
             {{"scrape_pool", config().job_name},
              {"num_failed", change.failed - change.failures.size()}});
  }
}

void ScrapePool::UpdateStatus() {
  auto status = std::make_shared<PoolStatus>();
  status->job = config().job_name;
  status->config = options_.config;
  status->active = targets_.active();
  status->groups = targets_.groups();
  status->dropped_count = targets_.dropped_count();
  status->failed_count = targets_.failed_count();
  status->withheld_count = targets_.withheld_count();
  status->duplicate_count = targets_.duplicate_count();
  status->sources = targets_.sources();
  status->shards = static_cast<uint32_t>(deps_.shards.size());
  status->target_limit = config().target_limit;
  status->over_target_limit = forced_error_ != nullptr;
  status->scrape_interval = config().scrape_interval;
  status->scrape_timeout = config().scrape_timeout;
  status_ = std::move(status);
}

}  // namespace trawl

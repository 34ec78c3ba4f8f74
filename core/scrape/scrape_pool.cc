#include "core/scrape/scrape_pool.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/scrape/target_builder.h"

namespace trawl {
namespace {

constexpr size_t kMaxFailuresLogged = 10;  // of one update

absl::StatusOr<std::shared_ptr<const HttpClient>> MakeClient(HttpClientFactory& clients,
                                                             const ScrapeConfig& config) {
  auto client = clients.MakeClient(config.http);
  if (client.ok()) return client;
  return absl::Status(client.status().code(),
                      absl::StrCat("error creating HTTP client: ", client.status().message()));
}

using ActiveTargets = std::vector<std::shared_ptr<const ActiveTarget>>;

// The order in which targets are listed.
using Place = std::tuple<std::string_view, uint64_t>;
Place PlaceOf(const Target& target) { return {target.url, target.hash}; }
Place PlaceOf(const std::shared_ptr<const ActiveTarget>& target) {
  return {target->url, target->hash};
}

size_t PositionOf(const Place& place, const ActiveTargets& targets) {
  const auto found = std::ranges::lower_bound(targets, place, {},
                                              [](const auto& target) { return PlaceOf(target); });
  return static_cast<size_t>(found - targets.begin());
}

// `old` without what stands at the positions `gone` and with `fresh`; all sorted. Looks at no
// more targets than it must: there may be very many.
ActiveTargets Merge(const ActiveTargets& old, const std::vector<size_t>& gone,
                    const ActiveTargets& fresh) {
  ActiveTargets all;
  all.reserve(old.size() + fresh.size());
  size_t at = 0;
  auto next_gone = gone.begin();
  const auto copy_until = [&](size_t end) {
    while (at < end) {
      const size_t stop = next_gone == gone.end() ? end : std::min(end, *next_gone);
      all.insert(all.end(), old.data() + at, old.data() + stop);
      at = stop;
      if (next_gone != gone.end() && *next_gone == at) {
        ++at;
        ++next_gone;
      }
    }
  };
  for (const std::shared_ptr<const ActiveTarget>& target : fresh) {
    copy_until(PositionOf(PlaceOf(target), old));
    all.push_back(target);
  }
  copy_until(old.size());
  return all;
}

std::vector<std::string> SourcesOf(const PoolTargets::Entry& entry) {
  std::vector<std::string> sources;
  for (const PoolTargets::Owner& owner : entry.owners) {
    // Owners are sorted by source.
    if (sources.empty() || sources.back() != owner.group->source) {
      sources.push_back(owner.group->source);
    }
  }
  return sources;
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
  UpdateStatus({});
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
                                            static_cast<double>(change.new_failures.size()));
  for (const std::shared_ptr<const Target>& target : change.added) {
    targets_.Get(target->hash).status = std::make_shared<TargetStatus>();
  }
  const bool forced_changed = UpdateTargetLimit();
  TellShards(change, settings_changed || forced_changed);
  UpdateStatus(change);
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

void ScrapePool::TellShards(const PoolTargets::Change& change, bool all_shards) {
  const uint32_t count = static_cast<uint32_t>(deps_.shards.size());
  std::vector<LoopChange> changes(count);
  for (const std::shared_ptr<const Target>& target : change.removed) {
    changes[ShardOf(*target, count)].removed.push_back(target->hash);
  }
  for (const std::shared_ptr<const Target>& target : change.added) {
    changes[ShardOf(*target, count)].added.push_back({target, targets_.Get(target->hash).status});
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
    deps_.shards[i].shard->loop.Post(
        [loops = deps_.shards[i].loops, to_shard = std::move(to_shard)]() mutable {
          loops->Apply(std::move(to_shard));
        });
  }
}

void ScrapePool::LogFailures(const PoolTargets::Change& change) const {
  const size_t count = change.new_failures.size();
  for (size_t i = 0; i < std::min(count, kMaxFailuresLogged); ++i) {
    LogError("Creating target failed",
             {{"scrape_pool", config().job_name}, {"err", change.new_failures[i]->error}});
  }
  if (count > kMaxFailuresLogged) {
    LogError("Creating more targets failed",
             {{"scrape_pool", config().job_name}, {"num_failed", count - kMaxFailuresLogged}});
  }
}

void ScrapePool::UpdateStatus(const PoolTargets::Change& change) {
  auto status = std::make_shared<PoolStatus>();
  status->job = config().job_name;
  status->target_limit = config().target_limit;
  status->over_target_limit = forced_error_ != nullptr;
  status->scrape_interval = config().scrape_interval;
  status->scrape_timeout = config().scrape_timeout;
  status->active = ActiveAfter(change);
  if (change.dropped_changed || status_ == nullptr) {
    ListDropped(*status);
  } else {
    status->dropped = status_->dropped;
    status->dropped_count = status_->dropped_count;
  }
  if (change.failed_changed || status_ == nullptr) {
    ListFailed(*status);
  } else {
    status->failed = status_->failed;
    status->failed_count = status_->failed_count;
  }
  status_ = std::move(status);
}

std::vector<std::shared_ptr<const ActiveTarget>> ScrapePool::ActiveAfter(
    const PoolTargets::Change& change) {
  const ActiveTargets none;
  const ActiveTargets& old = status_ == nullptr ? none : status_->active;
  std::vector<size_t> gone;
  ActiveTargets fresh;
  for (const auto& target : change.removed) gone.push_back(PositionOf(PlaceOf(*target), old));
  for (uint64_t hash : change.reowned) {
    const PoolTargets::Entry& entry = targets_.Get(hash);
    gone.push_back(PositionOf(PlaceOf(*entry.target), old));
    fresh.push_back(MakeActive(entry));
  }
  for (const auto& target : change.added) fresh.push_back(MakeActive(targets_.Get(target->hash)));
  std::ranges::sort(gone);
  std::ranges::sort(fresh, {}, [](const auto& target) { return PlaceOf(target); });
  return Merge(old, gone, fresh);
}

std::shared_ptr<const ActiveTarget> ScrapePool::MakeActive(const PoolTargets::Entry& entry) const {
  const Target& target = *entry.target;
  const PoolTargets::Owner& first = entry.owners.front();
  auto active = std::make_shared<ActiveTarget>();
  active->job = config().job_name;
  active->hash = target.hash;
  active->url = target.url;
  active->labels = *target.labels;
  active->discovered_labels = Discovered(*first.group, first.index);
  active->scrape_interval = target.interval_text;
  active->scrape_timeout = target.timeout_text;
  active->sources = SourcesOf(entry);
  active->shard = ShardOf(target, static_cast<uint32_t>(deps_.shards.size()));
  active->status = entry.status;
  return active;
}

void ScrapePool::ListDropped(PoolStatus& status) const {
  const uint64_t limit = config().keep_dropped_targets;
  for (const std::unique_ptr<PoolTargets::Group>& group : targets_.groups()) {
    status.dropped_count += group->built.dropped.size();
    for (uint32_t index : group->built.dropped) {
      if (limit > 0 && status.dropped.size() >= limit) break;
      Labels discovered = Discovered(*group, index);
      std::string reason = DropReason(config(), discovered);
      status.dropped.push_back(
          {config().job_name, std::move(discovered), std::move(reason), {group->source}});
    }
  }
}

void ScrapePool::ListFailed(PoolStatus& status) const {
  for (const std::unique_ptr<PoolTargets::Group>& group : targets_.groups()) {
    status.failed_count += group->built.failed.size();
    for (const BuiltGroup::Failed& failed : group->built.failed) {
      if (status.failed.size() >= kMaxFailedListed) break;
      status.failed.push_back({Discovered(*group, failed.index), failed.error, {group->source}});
    }
  }
}

Labels ScrapePool::Discovered(const PoolTargets::Group& group, uint32_t index) const {
  return DiscoveredLabels(config(), group.group->targets[index], group.group->labels);
}

}  // namespace trawl

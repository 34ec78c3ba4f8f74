#include "core/scrape/scrape_manager.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/base/mutex.h"
#include "core/scrape/loop_set.h"
#include "core/scrape/schedule.h"

namespace trawl {

// What was asked for since the last reconcile.
struct ScrapeManager::Staged {
  using ConfigDone = absl::AnyInvocable<void(absl::Status)>;

  std::map<std::string, std::shared_ptr<const DesiredTargets>> targets;  // newest, by job
  std::vector<Done> targets_done;
  std::shared_ptr<const Config> config;  // newest; null: none
  std::shared_ptr<const TrawlConfig> trawl_config;
  std::vector<ConfigDone> config_done;
  Done stop_done;  // set: stop
};

struct ScrapeManager::Mailbox {
  Mutex mutex;
  Staged staged TRAWL_GUARDED_BY(mutex);
  bool woken TRAWL_GUARDED_BY(mutex) = false;
};

ScrapeManager::ScrapeManager(const Options& options, const Deps& deps)
    : options_(options),
      deps_(deps),
      mailbox_(std::make_unique<Mailbox>()),
      probe_gate_(options.max_probes, deps.metrics) {
  for (Shard* shard : deps_.shards) {
    shards_.push_back({shard, std::make_shared<LoopSet>(*shard)});
  }
}

ScrapeManager::~ScrapeManager() { deps_.loop.Cancel(timer_); }

void ScrapeManager::SetTargets(std::shared_ptr<const DesiredTargets> job,
                               absl::AnyInvocable<void()> done) {
  {
    MutexLock lock(mailbox_->mutex);
    Staged& staged = mailbox_->staged;
    if (done != nullptr) staged.targets_done.push_back(std::move(done));
    staged.targets[job->job] = std::move(job);
  }
  Wake();
}

void ScrapeManager::ApplyConfig(std::shared_ptr<const Config> config,
                                std::shared_ptr<const TrawlConfig> trawl_config,
                                absl::AnyInvocable<void(absl::Status)> done) {
  {
    MutexLock lock(mailbox_->mutex);
    Staged& staged = mailbox_->staged;
    staged.config = std::move(config);
    staged.trawl_config = std::move(trawl_config);
    if (done != nullptr) staged.config_done.push_back(std::move(done));
  }
  Wake();
}

void ScrapeManager::Stop(absl::AnyInvocable<void()> done) {
  {
    MutexLock lock(mailbox_->mutex);
    mailbox_->staged.stop_done = std::move(done);
  }
  Wake();
}

void ScrapeManager::Wake() {
  {
    MutexLock lock(mailbox_->mutex);
    if (std::exchange(mailbox_->woken, true)) return;
  }
  deps_.loop.Post([this] {
    const absl::Duration since = deps_.loop.clock().Steady() - last_reconcile_;
    if (since >= options_.coalesce) return Reconcile();
    timer_ = deps_.loop.RunAfter(options_.coalesce - since, [this] { Reconcile(); });
  });
}

void ScrapeManager::Reconcile() {
  timer_ = 0;
  const absl::Duration begin = deps_.loop.clock().Steady();
  Staged staged;
  {
    MutexLock lock(mailbox_->mutex);
    std::swap(staged, mailbox_->staged);
    mailbox_->woken = false;
  }
  absl::Status config_status;
  if (!stopped_) {
    if (staged.config != nullptr) config_status = TakeConfig(staged);
    for (auto& [name, job] : staged.targets) TakeTargets(job);
    Publish();
    for (auto& [job, pool] : pools_) pool->TellShards();
  }
  for (Done& done : staged.targets_done) done();
  for (Staged::ConfigDone& done : staged.config_done) done(config_status);
  last_reconcile_ = deps_.loop.clock().Steady();
  deps_.metrics.reconcile_duration_seconds.Observe(absl::ToDoubleSeconds(last_reconcile_ - begin));
  if (staged.stop_done != nullptr) StopLoops(std::move(staged.stop_done));
}

absl::Status ScrapeManager::TakeConfig(Staged& staged) {
  config_ = std::move(staged.config);
  trawl_config_ = staged.trawl_config == nullptr ? std::make_shared<const TrawlConfig>()
                                                 : std::move(staged.trawl_config);
  RemovePools();
  FindPending();
  return UpdatePools();
}

void ScrapeManager::RemovePools() {
  for (auto it = pools_.begin(); it != pools_.end();) {
    if (config_->FindJob(it->first) != nullptr) {
      ++it;
      continue;
    }
    it->second->Stop();
    it = pools_.erase(it);
  }
}

void ScrapeManager::FindPending() {
  pending_.clear();
  for (const auto& [job, desired] : desired_) {
    if (config_->FindJob(job) == nullptr && !desired->groups.empty()) pending_[job] = desired;
  }
}

absl::Status ScrapeManager::UpdatePools() {
  std::string problems;
  for (const ScrapeConfig& job : config_->scrape_configs) {
    const auto pool = pools_.find(job.job_name);
    absl::Status status;
    if (pool == pools_.end()) {
      status = CreatePool(job);
    } else {
      // Shares the config's life instead of copying the job's part.
      status =
          pool->second->Reload({config_, &job}, trawl_config_->ForJob(job.job_name).first_scrape);
      if (!status.ok()) {
        LogError("error reloading scrape pool", {{"scrape_pool", job.job_name}, {"err", status}});
      }
    }
    if (!status.ok()) absl::StrAppend(&problems, ": ", status.message(), "; job ", job.job_name);
  }
  if (problems.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("failed to apply the new configuration", problems));
}

absl::Status ScrapeManager::CreatePool(const ScrapeConfig& config) {
  ScrapePool::Options options;
  options.id = next_pool_++;
  options.offset_seed = OffsetSeed(options_.fqdn, config_->global.external_labels);
  options.config = {config_, &config};
  options.first_scrape = trawl_config_->ForJob(config.job_name).first_scrape;
  auto pool = ScrapePool::Create(std::move(options),
                                 {deps_.loop.clock(), shards_, deps_.clients, deps_.metrics});
  if (!pool.ok()) {
    LogError("error creating new scrape pool",
             {{"scrape_pool", config.job_name}, {"err", pool.status()}});
    return pool.status();
  }
  const auto wanted = desired_.find(config.job_name);
  if (wanted != desired_.end()) (*pool)->Sync(*wanted->second);
  pools_[config.job_name] = *std::move(pool);
  return absl::OkStatus();
}

void ScrapeManager::TakeTargets(const std::shared_ptr<const DesiredTargets>& job) {
  const std::string name = job->job;
  const ScrapeConfig* config = config_ == nullptr ? nullptr : config_->FindJob(name);
  if (config == nullptr && job->groups.empty()) {
    desired_.erase(name);
    pending_.erase(name);
    return;
  }
  desired_[name] = job;
  if (config == nullptr) pending_[name] = job;
  const auto pool = pools_.find(name);
  if (pool != pools_.end()) {
    pool->second->Sync(*job);
  } else if (config != nullptr) {
    // Its failure is logged, and tried again with the next update.
    CreatePool(*config).IgnoreError();
  }
}

void ScrapeManager::Probe(ProbeTarget target, const ScrapeProbe::Limits& limits,
                          ScrapeProbe::Callback done) {
  deps_.loop.Post([this, target = std::move(target), limits, done = std::move(done)]() mutable {
    StartProbe(target, limits, std::move(done));
  });
}

void ScrapeManager::StartProbe(const ProbeTarget& target, const ScrapeProbe::Limits& limits,
                               ScrapeProbe::Callback done) {
  const auto pool = pools_.find(target.job);
  if (stopped_) return done(absl::UnavailableError("the server is stopping"));
  if (pool == pools_.end() || target.shard >= shards_.size()) {
    return done(absl::NotFoundError("the target is gone"));
  }
  const uint64_t id = pool->second->id();
  const absl::Status entered = probe_gate_.Enter(id, target.hash);
  if (!entered.ok()) return done(entered);
  const uint64_t hash = target.hash;
  ScrapeProbe::Callback leave = [this, id, hash, done = std::move(done)](
                                    absl::StatusOr<ProbeResult> result) mutable {
    deps_.loop.Post([this, id, hash, done = std::move(done), result = std::move(result)]() mutable {
      probe_gate_.Leave(id, hash);
      done(std::move(result));
    });
  };
  const ScrapePool::ShardLoops& shard = shards_[target.shard];
  shard.shard->loop.Post(
      [loops = shard.loops, id, hash, limits, leave = std::move(leave)]() mutable {
        loops->Probe(id, hash, limits, std::move(leave));
      });
}

void ScrapeManager::Publish() {
  auto snapshot = std::make_shared<PoolsSnapshot>();
  snapshot->pools.reserve(pools_.size());
  for (const auto& [job, pool] : pools_) snapshot->pools.push_back(pool->status());
  for (const auto& [job, desired] : pending_) snapshot->pending.push_back(desired);
  snapshot_.Set(std::move(snapshot));
}

void ScrapeManager::StopLoops(Done done) {
  if (std::exchange(stopped_, true)) {
    done();
    return;
  }
  stop_done_ = std::move(done);
  shards_running_ = shards_.size();
  for (const ScrapePool::ShardLoops& shard : shards_) {
    shard.shard->loop.Post([this, loops = shard.loops] {
      loops->Stop(options_.stop_grace, [this] {
        deps_.loop.Post([this] {
          if (--shards_running_ == 0) std::exchange(stop_done_, nullptr)();
        });
      });
    });
  }
}

}  // namespace trawl

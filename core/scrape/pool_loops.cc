#include "core/scrape/pool_loops.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "core/scrape/schedule.h"
#include "core/scrape/series_cache.h"

namespace trawl {

absl::Duration ImmediateStarts::NextDelay(absl::Duration steady_now) {
  return std::max(next_ - steady_now, absl::ZeroDuration());
}

void ImmediateStarts::Take(absl::Duration steady_now) {
  next_ = std::max(next_, steady_now) + absl::Seconds(1) / kPerSecond;
}

PoolLoops::PoolLoops(Deps deps)
    : deps_(std::move(deps)), context_{deps_.shard, *this, nullptr, nullptr} {}

PoolLoops::~PoolLoops() = default;

void PoolLoops::Apply(LoopChange change) {
  context_.settings = std::move(change.settings);
  context_.forced_error = std::move(change.forced_error);
  // First those that go: what they leave may be what those that come go on with.
  for (uint64_t hash : change.removed) Remove(hash);
  for (LoopChange::Added& added : change.added) Add(std::move(added), change.first_scrape);
}

void PoolLoops::Remove(uint64_t hash) {
  const auto found = loops_.find(hash);
  if (found == loops_.end()) return;
  std::unique_ptr<ScrapeLoop> loop = std::move(found->second);
  loops_.erase(found);
  const auto newest = by_public_hash_.find(loop->target()->public_hash);
  if (newest != by_public_hash_.end() && newest->second == loop.get()) {
    by_public_hash_.erase(newest);
  }
  const auto [begin, end] = stopping_.equal_range(loop->target()->public_hash);
  for (auto it = begin; it != end; ++it) {
    if (it->second.successor == loop.get()) it->second.successor = nullptr;
  }
  if (loop->Stop()) {
    End(*loop, loop->TakeContinuation(), loop->UntilNextTick());
  } else {
    LetFinish(std::move(loop));
  }
}

void PoolLoops::LetFinish(std::unique_ptr<ScrapeLoop> loop) {
  const uint64_t public_hash = loop->target()->public_hash;
  stopping_.emplace(public_hash, Stopping{std::move(loop)});
}

void PoolLoops::Add(LoopChange::Added added, FirstScrape first_scrape) {
  const Target& target = *added.target;
  auto loop = std::make_unique<ScrapeLoop>(added.target, std::move(added.status), context_);
  ScrapeLoop& started = *loop;
  loops_[target.hash] = std::move(loop);
  by_public_hash_[target.public_hash] = &started;
  if (Stopping* predecessor = FindPredecessor(target)) {
    predecessor->successor = &started;
    predecessor->first_scrape = first_scrape;
  } else {
    Start(started, first_scrape);
  }
}

PoolLoops::Stopping* PoolLoops::FindPredecessor(const Target& target) {
  const auto [begin, end] = stopping_.equal_range(target.public_hash);
  for (auto it = begin; it != end; ++it) {
    Stopping& stopping = it->second;
    if (stopping.successor == nullptr && stopping.loop->target()->url == target.url) {
      return &stopping;
    }
  }
  return nullptr;
}

void PoolLoops::Start(ScrapeLoop& loop, FirstScrape first_scrape) {
  const Target& target = *loop.target();
  const Clock& clock = deps_.shard.loop.clock();
  const absl::Duration steady = clock.Steady();
  const absl::Duration offset =
      OffsetFromNow(target.hash, context_.settings->offset_seed, target.interval, clock.Now());
  Continuation before = TakeContinuation(target);
  const bool is_new = before.cache == nullptr;
  if (first_scrape == FirstScrape::kImmediate && is_new) {
    const absl::Duration delay = deps_.immediate_starts.NextDelay(steady);
    if (delay < offset) {
      deps_.immediate_starts.Take(steady);
      loop.Run(delay, /*then_phase=*/true, std::move(before));
      return;
    }
  }
  loop.Run(offset, /*then_phase=*/false, std::move(before));
}

// What a loop that has ended not long ago left to this target.
Continuation PoolLoops::TakeContinuation(const Target& target) {
  auto [begin, end] = ending_.equal_range(target.public_hash);
  for (auto it = begin; it != end; ++it) {
    EndOfRun& ended = *it->second;
    if (ended.target().url != target.url ||
        ended.generation() != context_.settings->cache_generation) {
      continue;
    }
    Continuation continuation = ended.Take();
    ending_.erase(it);
    return continuation;
  }
  return {};
}

void PoolLoops::End(const ScrapeLoop& loop, Continuation continuation,
                    absl::Duration until_next_tick) {
  if (continuation.cache == nullptr) return;
  EndOfRun::Deps deps{deps_.shard, [this](const Target& target) { return LayoutOf(target); },
                      [this](EndOfRun& ended) { OnEnded(ended); }};
  auto end = std::make_unique<EndOfRun>(
      EndOfRun::Options{loop.target(), std::move(continuation), until_next_tick}, std::move(deps));
  ending_.emplace(loop.target()->public_hash, std::move(end));
}

void PoolLoops::OnCacheOutdated(const ScrapeLoop& loop, Continuation outdated) {
  End(loop, std::move(outdated), absl::ZeroDuration());
}

void PoolLoops::OnStopped(ScrapeLoop& loop) {
  const auto [begin, end] = stopping_.equal_range(loop.target()->public_hash);
  const auto found =
      std::find_if(begin, end, [&](const auto& entry) { return entry.second.loop.get() == &loop; });
  const Stopping stopped = std::move(found->second);
  stopping_.erase(found);
  if (leaving_) {
    Forget(loop.TakeContinuation());
    if (idle()) deps_.on_idle();
    return;
  }
  End(loop, loop.TakeContinuation(), loop.UntilNextTick());
  if (stopped.successor != nullptr) Start(*stopped.successor, stopped.first_scrape);
}

LayoutPtr PoolLoops::LayoutOf(const Target& target) const {
  const auto newest = by_public_hash_.find(target.public_hash);
  return newest == by_public_hash_.end() ? nullptr : newest->second->layout();
}

void PoolLoops::OnEnded(EndOfRun& ended) {
  auto [begin, end] = ending_.equal_range(ended.target().public_hash);
  const auto found =
      std::find_if(begin, end, [&](const auto& entry) { return entry.second.get() == &ended; });
  if (found != end) ending_.erase(found);
}

absl::StatusOr<ScrapeProbe::Input> PoolLoops::ProbeInput(uint64_t hash) const {
  const auto found = loops_.find(hash);
  if (found == loops_.end()) return absl::NotFoundError("the target is gone");
  const ScrapeLoop& loop = *found->second;
  if (loop.IsAmidBody()) return absl::UnavailableError("a scrape of it is being ingested");
  ScrapeProbe::Input input{loop.target(), context_.settings, context_.forced_error, nullptr};
  const JobSettings& settings = *input.settings;
  if (loop.cache_generation() == settings.cache_generation) input.cache = loop.CopyCache();
  if (input.cache != nullptr) {
    input.cache->set_samples(settings.samples);
  } else {
    input.cache =
        std::make_unique<SeriesCache>(SeriesCache::Options{settings.samples, input.target->labels},
                                      SeriesCache::Deps{deps_.shard.keys, deps_.shard.hash_key});
  }
  return input;
}

bool PoolLoops::Leave() {
  leaving_ = true;
  ending_.clear();
  by_public_hash_.clear();
  for (auto& [public_hash, stopping] : stopping_) stopping.successor = nullptr;
  for (auto& [hash, loop] : loops_) {
    if (loop->Stop()) {
      Forget(loop->TakeContinuation());
    } else {
      LetFinish(std::move(loop));
    }
  }
  loops_.clear();
  return idle();
}

void PoolLoops::Abandon() {
  std::vector<ScrapeLoop*> loops;
  for (const auto& [public_hash, stopping] : stopping_) loops.push_back(stopping.loop.get());
  for (ScrapeLoop* loop : loops) loop->Abandon();
}

void PoolLoops::Forget(const Continuation& continuation) {
  if (continuation.cache == nullptr || continuation.cache->layout() == nullptr) return;
  deps_.shard.appender.Forget(continuation.cache->layout());
}

}  // namespace trawl

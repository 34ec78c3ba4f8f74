#include "core/scrape/loop_set.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/base/event_loop.h"

namespace trawl {

namespace {

absl::Status Stopping() { return absl::UnavailableError("the server is stopping"); }

}  // namespace

LoopSet::LoopSet(Shard& shard) : shard_(shard) {}

LoopSet::~LoopSet() { AbandonProbes(); }

void LoopSet::Apply(LoopChange change) {
  std::unique_ptr<PoolLoops>& pool = pools_[change.pool];
  if (pool == nullptr) {
    pool = std::make_unique<PoolLoops>(
        PoolLoops::Deps{shard_, immediate_starts_, [this] { OnPoolIdle(); }});
  }
  pool->Apply(std::move(change));
  CountLoops();
}

void LoopSet::RemovePool(uint64_t pool) {
  const auto found = pools_.find(pool);
  if (found == pools_.end()) return;
  std::unique_ptr<PoolLoops> gone = std::move(found->second);
  pools_.erase(found);
  if (!gone->Leave()) leaving_.push_back(std::move(gone));
  CountLoops();
}

void LoopSet::Probe(uint64_t pool, uint64_t hash, const ScrapeProbe::Limits& limits,
                    ScrapeProbe::Callback done) {
  if (stopping_) return done(Stopping());
  const auto found = pools_.find(pool);
  if (found == pools_.end()) return done(absl::NotFoundError("the target is gone"));
  absl::StatusOr<ScrapeProbe::Input> input = found->second->ProbeInput(hash);
  if (absl::IsUnavailable(input.status())) {
    // A body is ingested in a bounded number of turns.
    return shard_.loop.Post([this, pool, hash, limits, done = std::move(done)]() mutable {
      Probe(pool, hash, limits, std::move(done));
    });
  }
  if (!input.ok()) return done(input.status());
  StartProbe(*std::move(input), limits, std::move(done));
}

void LoopSet::StartProbe(ScrapeProbe::Input input, const ScrapeProbe::Limits& limits,
                         ScrapeProbe::Callback done) {
  const uint64_t id = next_probe_++;
  auto probe = std::make_unique<ScrapeProbe>(
      shard_, std::move(input), limits,
      [this, id, done = std::move(done)](absl::StatusOr<ProbeResult> result) mutable {
        // It is inside itself still: it lives until the callback has run.
        const auto node = probes_.extract(id);
        done(std::move(result));
      });
  ScrapeProbe& started = *probe;
  probes_.emplace(id, std::move(probe));
  started.Start();
}

void LoopSet::AbandonProbes() {
  while (!probes_.empty()) probes_.begin()->second->Abandon(Stopping());
}

void LoopSet::Stop(absl::Duration grace, absl::AnyInvocable<void()> stopped) {
  stopping_ = true;
  AbandonProbes();
  std::vector<uint64_t> ids;
  for (const auto& [id, pool] : pools_) ids.push_back(id);
  for (uint64_t id : ids) RemovePool(id);
  if (leaving_.empty()) {
    stopped();
    return;
  }
  stopped_ = std::move(stopped);
  grace_timer_ = shard_.loop.RunAfter(grace, [this] {
    for (const std::unique_ptr<PoolLoops>& pool : leaving_) pool->Abandon();
  });
}

// A pool says so from inside itself: it is destroyed later.
void LoopSet::OnPoolIdle() {
  if (sweep_posted_) return;
  sweep_posted_ = true;
  shard_.loop.Post([this] { Sweep(); });
}

void LoopSet::Sweep() {
  sweep_posted_ = false;
  std::erase_if(leaving_, [](const std::unique_ptr<PoolLoops>& pool) { return pool->idle(); });
  if (!leaving_.empty() || stopped_ == nullptr) return;
  shard_.loop.Cancel(grace_timer_);
  std::exchange(stopped_, nullptr)();  // may destroy this
}

void LoopSet::CountLoops() const {
  size_t count = 0;
  for (const auto& [id, pool] : pools_) count += pool->size();
  shard_.metrics.loops.Set({absl::StrCat(shard_.number)}, static_cast<double>(count));
}

}  // namespace trawl

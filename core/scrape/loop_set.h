#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "core/base/event_loop.h"
#include "core/scrape/pool_loops.h"
#include "core/scrape/shard.h"

namespace trawl {

// The scrape loops of one shard, of every pool: what the manager's thread posts to.
//
// Shard's thread only, but for construction and, once stopped, destruction.
class LoopSet {
 public:
  explicit LoopSet(Shard& shard);
  ~LoopSet();
  LoopSet(const LoopSet&) = delete;
  LoopSet& operator=(const LoopSet&) = delete;

  // Makes the pool's loops here what `change` says; a pool that is new begins with it.
  void Apply(LoopChange change);
  // The job is gone: its loops end without stale markers; scrapes under way are finished.
  void RemovePool(uint64_t pool);

  // Scrapes a target once, out of turn. `done` runs once, on this thread, also if the set is
  // stopped meanwhile (kUnavailable). kNotFound: the target isn't here.
  void Probe(uint64_t pool, uint64_t hash, const ScrapeProbe::Limits& limits,
             ScrapeProbe::Callback done);

  // Ends every loop without stale markers. A fetch that is still under way after `grace` is
  // given up. `stopped` runs when no loop is left. Nothing may be applied afterwards.
  void Stop(absl::Duration grace, absl::AnyInvocable<void()> stopped);

 private:
  void StartProbe(ScrapeProbe::Input input, const ScrapeProbe::Limits& limits,
                  ScrapeProbe::Callback done);
  void AbandonProbes();
  void OnPoolIdle();
  void Sweep();
  void CountLoops() const;

  Shard& shard_;
  ImmediateStarts immediate_starts_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<PoolLoops>> pools_;
  // Of jobs that are gone: until the last scrape under way has ended.
  std::vector<std::unique_ptr<PoolLoops>> leaving_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<ScrapeProbe>> probes_;  // under way
  uint64_t next_probe_ = 1;
  bool stopping_ = false;
  bool sweep_posted_ = false;
  TimerId grace_timer_ = 0;
  absl::AnyInvocable<void()> stopped_;
};

}  // namespace trawl

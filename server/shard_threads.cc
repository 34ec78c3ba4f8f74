#include "server/shard_threads.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "server/await.h"

namespace trawl {
namespace {

ShardThread::Options OptionsOfEach(const ShardThreads::Options& all, const Spooling* spooling) {
  ShardThread::Options options;
  options.hash_key = HashKey::Random();
  options.fetcher.user_agent = absl::StrCat("trawl/", all.identity.version);
  options.max_body_bytes = std::max<uint64_t>(1, all.max_inflight_bytes / all.count);
  options.log.max_bytes = std::max<size_t>(1, all.max_queue_bytes / all.count);
  options.lane.max_segment_bytes = spooling != nullptr
                                       ? Lane::SegmentBytes(spooling->lane_bytes())
                                       : std::min(options.lane.max_segment_bytes,
                                                  std::max<size_t>(1, options.log.max_bytes / 16));
  options.lane.identity = all.identity;
  return options;
}

// A counter to what is counted elsewhere.
void Raise(prometheus::Counter& counter, uint64_t total) {
  counter.Increment(static_cast<double>(total) - counter.Value());
}

}  // namespace

ShardThreads::ShardThreads(const Options& options, const ShardThread::Deps& deps)
    : spooling_(deps.spooling) {
  ShardThread::Options each = OptionsOfEach(options, spooling_);
  for (uint32_t number = 0; number < options.count; ++number) {
    each.number = number;
    each.lane.identity.lane = number;
    threads_.push_back(std::make_unique<ShardThread>(each, deps));
  }
}

std::vector<EpochLane> ShardThreads::OpenEarlierLogs() {
  std::vector<EpochLane> opened;
  if (spooling_ == nullptr) return opened;
  const absl::StatusOr<std::vector<StoredLane>> stored = spooling_->Earlier();
  if (!stored.ok()) LogError("The spool can't be listed", {{"err", stored.status()}});
  for (const StoredLane& lane : stored.ok() ? *stored : std::vector<StoredLane>()) {
    ShardThread& shard = *threads_[lane.lane % threads_.size()];
    RunOn(shard.loop(), [&] {
      std::unique_ptr<StoredLog> log = OpenEarlierLog(lane, shard.loop());
      if (log == nullptr) return;
      StoredLog* const source = log.get();
      opened.push_back(EpochLane{lane.epoch, lane.lane});
      shard.earlier().AddLog(opened.back(), std::move(log),
                             [source] { source->RemoveDirectory(); });
    });
  }
  return opened;
}

std::unique_ptr<StoredLog> ShardThreads::OpenEarlierLog(const StoredLane& lane, EventLoop& loop) {
  absl::StatusOr<std::unique_ptr<StoredLog>> log = spooling_->OpenEarlier(lane, loop);
  if (!log.ok()) {
    LogError("A spool of an earlier run can't be opened; the next start tries again",
             {{"directory", lane.directory}, {"err", log.status()}});
    return nullptr;
  }
  LogInfo("Draining the spool of an earlier run", {{"epoch", lane.epoch},
                                                   {"lane", lane.lane},
                                                   {"from", (*log)->first_number()},
                                                   {"to", (*log)->next_number() - 1},
                                                   {"bytes", (*log)->total_bytes()}});
  return *std::move(log);
}

void ShardThreads::SetExternalLabels(const Labels& labels) {
  for (const auto& shard : threads_) {
    RunOn(shard->loop(), [&] { shard->lane().SetExternalLabels(labels); });
  }
}

bool ShardThreads::Drain(absl::Duration grace) {
  std::vector<Awaited<bool>> drained(threads_.size());
  for (size_t i = 0; i < threads_.size(); ++i) {
    Lane& lane = threads_[i]->lane();
    const Awaited<bool> done = drained[i];
    threads_[i]->loop().Post(
        [&lane, grace, done] { lane.Drain(grace, [done](bool all) { done.Set(all); }); });
  }
  bool all = true;
  for (const Awaited<bool>& done : drained) all &= done.Wait();
  return all;
}

void ShardThreads::Shutdown() {
  for (const auto& shard : threads_) shard->Shutdown();
}

std::vector<Shard*> ShardThreads::shards() const {
  std::vector<Shard*> out;
  for (const auto& shard : threads_) out.push_back(&shard->shard());
  return out;
}

std::vector<ShardThread*> ShardThreads::threads() const {
  std::vector<ShardThread*> out;
  for (const auto& shard : threads_) out.push_back(shard.get());
  return out;
}

std::vector<std::shared_ptr<const LaneStatus>> ShardThreads::LaneStatuses() const {
  std::vector<std::shared_ptr<const LaneStatus>> out;
  for (const auto& shard : threads_) out.push_back(shard->lane().status());
  for (const auto& shard : threads_) {
    const auto earlier = shard->earlier().status();
    for (const LaneStatus& lane : *earlier) out.emplace_back(earlier, &lane);
  }
  return out;
}

std::vector<std::shared_ptr<const SpoolStatus>> ShardThreads::SpoolStatuses() const {
  std::vector<std::shared_ptr<const SpoolStatus>> out;
  if (spooling_ == nullptr) return out;
  for (const auto& shard : threads_) out.push_back(shard->spool_status());
  return out;
}

void ShardThreads::Collect(FetchMetrics& metrics) const {
  uint64_t bytes = 0;
  uint64_t waits = 0;
  for (const auto& shard : threads_) {
    bytes += shard->bodies().used_bytes();
    waits += shard->bodies().waits();
  }
  metrics.inflight_bytes.Set(static_cast<double>(bytes));
  Raise(metrics.body_waits_total, waits);
  CollectConnections(metrics);
  CollectLookups(metrics);
}

void ShardThreads::CollectConnections(FetchMetrics& metrics) const {
  CurlFetcher::Totals sum;
  for (const auto& shard : threads_) {
    const CurlFetcher::Totals totals = shard->fetcher().totals();
    sum.connections_opened += totals.connections_opened;
    sum.descriptor_waits += totals.descriptor_waits;
  }
  Raise(metrics.connections_opened_total, sum.connections_opened);
  Raise(metrics.waiting_for_descriptor_total, sum.descriptor_waits);
}

void ShardThreads::CollectLookups(FetchMetrics& metrics) const {
  CaresResolver::Totals sum;
  for (const auto& shard : threads_) {
    const CaresResolver::Totals totals = shard->resolver().totals();
    sum.answered += totals.answered;
    sum.not_found += totals.not_found;
    sum.failed += totals.failed;
  }
  const auto raise = [&metrics](std::string_view result, uint64_t total) {
    metrics.dns_lookups_total.Increment(
        {result}, static_cast<double>(total) - metrics.dns_lookups_total.Value({result}));
  };
  raise("ok", sum.answered);
  raise("not_found", sum.not_found);
  raise("failed", sum.failed);
}

}  // namespace trawl

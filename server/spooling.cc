#include "server/spooling.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "server/await.h"

namespace trawl {
namespace {

constexpr absl::Duration kDiskLook = absl::Seconds(5);

uint64_t StoredBytes(FileSystem& files, const std::string& directory) {
  uint64_t bytes = 0;
  const absl::StatusOr<std::vector<std::string>> names = files.List(directory);
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    const auto file = files.OpenForRead(absl::StrCat(directory, "/", name));
    if (!file.ok()) continue;
    const absl::StatusOr<uint64_t> size = (*file)->Size();
    if (size.ok()) bytes += *size;
  }
  return bytes;
}

// What is there stays there, however little is free.
void NoteDiskAtStart(const Spooling::Options& options, FileSystem& files, SpoolBudget& budget) {
  RemoveEmptyEpochs(files, options.directory);
  const absl::Status made = files.CreateDirectory(options.directory);
  if (!made.ok()) LogError("The spool's directory can't be made", {{"err", made}});
  uint64_t stored = 0;
  const auto lanes = FindStoredLanes(files, options.directory, options.epoch);
  if (lanes.ok()) {
    for (const StoredLane& lane : *lanes) stored += StoredBytes(files, lane.directory);
  }
  const absl::StatusOr<uint64_t> free = files.FreeBytes(options.directory);
  if (!free.ok()) return;
  budget.NoteDisk(stored, *free);
  if (budget.max_bytes() < options.max_bytes) {
    LogWarn("The spool may not take as much as configured: it leaves half of the free disk",
            {{"directory", options.directory},
             {"configured_bytes", options.max_bytes},
             {"max_bytes", budget.max_bytes()},
             {"free_bytes", *free}});
  }
}

}  // namespace

Spooling::Spooling(const Options& options, const Deps& deps)
    : options_(options),
      files_(deps.files),
      budget_(options.max_bytes),
      thread_(deps.clock, "syncer") {
  NoteDiskAtStart(options_, files_, budget_);
  RunOn(thread_.loop(), [this] {
    syncer_ =
        std::make_unique<SpoolSyncer>(SpoolSyncer::Options{.sync_interval = options_.sync_interval},
                                      SpoolSyncer::Deps{thread_.loop(), files_});
    thread_.loop().RunAfter(kDiskLook, [this] { LookAtDisk(); });
  });
}

Spooling::~Spooling() {
  thread_.Shutdown();
  syncer_.reset();
}

void Spooling::LookAtDisk() {
  thread_.loop().RunAfter(kDiskLook, [this] { LookAtDisk(); });
  const absl::StatusOr<uint64_t> free = files_.FreeBytes(options_.directory);
  if (free.ok()) budget_.NoteFree(*free);
}

std::unique_ptr<Spool> Spooling::MakeSpool(uint32_t lane, EventLoop& loop) {
  Spool::Options options;
  options.directory = SpoolLaneDirectory(options_.directory, options_.epoch, lane);
  options.identity = {options_.writer_id, options_.epoch, lane};
  options.max_bytes = options_.max_bytes;
  options.max_memory_bytes = std::max<uint64_t>(1, options_.max_memory_bytes / options_.lanes);
  options.max_age = options_.max_age;
  return std::make_unique<Spool>(options, Spool::Deps{loop, files_, *syncer_, budget_});
}

absl::StatusOr<std::vector<StoredLane>> Spooling::Earlier() const {
  return FindStoredLanes(files_, options_.directory, options_.epoch);
}

absl::StatusOr<std::unique_ptr<StoredLog>> Spooling::OpenEarlier(const StoredLane& lane,
                                                                 EventLoop& loop) {
  StoredLog::Options options;
  options.directory = lane.directory;
  options.identity = {options_.writer_id, lane.epoch, lane.lane};
  options.max_age = options_.max_age;
  auto log = StoredLog::Open(options, StoredLog::Deps{loop, files_, *syncer_, budget_});
  if (!log.ok()) return log;
  const StoredLog::Findings& found = (*log)->findings();
  torn_bytes_ += found.torn_bytes;
  lost_bytes_ += found.lost_bytes;
  set_aside_files_ += found.set_aside;
  return log;
}

void Spooling::Collect(const std::vector<std::shared_ptr<const SpoolStatus>>& lanes,
                       SpoolMetrics& metrics) const {
  SpoolStatus sum;
  double degraded = 0;
  for (const auto& lane : lanes) {
    degraded += lane->degraded ? 1 : 0;
    sum.memory_bytes += lane->memory_bytes;
    sum.segments += lane->segments;
    sum.written_bytes += lane->written_bytes;
    sum.memory_samples += lane->memory_samples;
    sum.failures += lane->failures;
    for (size_t i = 0; i < sum.dropped_samples.size(); ++i) {
      sum.dropped_samples[i] += lane->dropped_samples[i];
    }
  }
  const auto raise = [](prometheus::Counter& counter, uint64_t value) {
    counter.Increment(std::max(0.0, static_cast<double>(value) - counter.Value()));
  };
  const SpoolSyncer::Counts counts = syncer_->counts();
  metrics.degraded_lanes.Set(degraded);
  metrics.bytes.Set(static_cast<double>(budget_.used_bytes()));
  metrics.limit_bytes.Set(static_cast<double>(max_bytes()));
  metrics.memory_bytes.Set(static_cast<double>(sum.memory_bytes));
  metrics.segments.Set(static_cast<double>(sum.segments));
  raise(metrics.written_bytes_total, sum.written_bytes);
  raise(metrics.unspooled_samples_total, sum.memory_samples);
  raise(metrics.failures_total, sum.failures);
  raise(metrics.torn_bytes_total, torn_bytes_);
  raise(metrics.lost_bytes_total, lost_bytes_);
  raise(metrics.set_aside_files_total, set_aside_files_);
  raise(metrics.syncs_total, counts.syncs);
  raise(metrics.failed_syncs_total, counts.failed_syncs);
  raise(metrics.failed_removals_total, counts.failed_removals);
  const auto dropped = [&](HoleReason reason) {
    return sum.dropped_samples[static_cast<size_t>(reason)] + budget_.dropped_samples(reason);
  };
  raise(metrics.capped_samples_total, dropped(HoleReason::kCap));
  raise(metrics.aged_samples_total, dropped(HoleReason::kAge));
}

}  // namespace trawl

#include "core/spool/spool_syncer.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "core/spool/gap_ledger.h"

namespace trawl {

SpoolSyncer::SpoolSyncer(const Options& options, const Deps& deps)
    : options_(options), loop_(deps.loop), files_(deps.files) {
  Arm();
}

SpoolSyncer::~SpoolSyncer() {
  loop_.Cancel(timer_);
  Pass();
}

void SpoolSyncer::Watch(std::shared_ptr<SpoolFile> file) {
  MutexLock lock(mutex_);
  new_files_.push_back(std::move(file));
}

void SpoolSyncer::Remove(SpoolRemoval removal) {
  MutexLock lock(mutex_);
  new_removals_.push_back(std::move(removal));
}

SpoolSyncer::Counts SpoolSyncer::counts() const {
  return {syncs_.load(), failed_syncs_.load(), failed_removals_.load()};
}

void SpoolSyncer::Arm() {
  timer_ = loop_.RunAfter(options_.sync_interval, [this] {
    Pass();
    Arm();
  });
}

void SpoolSyncer::TakeNew() {
  MutexLock lock(mutex_);
  for (std::shared_ptr<SpoolFile>& file : new_files_) {
    watched_.push_back(Watched{std::move(file)});
  }
  new_files_.clear();
  std::move(new_removals_.begin(), new_removals_.end(), std::back_inserter(removals_));
  new_removals_.clear();
}

// Oldest files first: what a power loss takes is the newest.
void SpoolSyncer::Pass() {
  TakeNew();
  std::erase_if(watched_, [this](Watched& watched) {
    SpoolFile& file = *watched.file;
    const bool sealed = file.sealed.load(std::memory_order_acquire);
    absl::Status status = Sync(watched);
    if (status.ok() && !sealed) status = CheckThere(watched);
    if (status.ok()) return sealed;
    ++failed_syncs_;
    file.failed.store(true);
    LogError("A segment of the spool can't be synced", {{"file", file.path}, {"err", status}});
    return true;
  });
  for (size_t left = removals_.size(); left > 0; --left) {
    SpoolRemoval removal = std::move(removals_.front());
    removals_.pop_front();
    const absl::Status status = CarryOut(removal);
    if (status.ok() || removal.once) continue;
    if (failed_removals_++ == 0) {
      LogWarn("A file of the spool can't be removed", {{"file", removal.path}, {"err", status}});
    }
    removals_.push_back(std::move(removal));
  }
}

absl::Status SpoolSyncer::Sync(Watched& watched) {
  SpoolFile& file = *watched.file;
  const uint64_t written = file.written_bytes.load(std::memory_order_acquire);
  if (written != watched.synced_bytes) {
    RETURN_IF_ERROR(file.file->Sync());
    ++syncs_;
    watched.synced_bytes = written;
  }
  if (!watched.directory_synced) {
    RETURN_IF_ERROR(files_.SyncDirectory(file.directory));
    watched.directory_synced = true;
  }
  return absl::OkStatus();
}

// What is written to a file that somebody removed is nowhere; a copy in its place falls behind.
absl::Status SpoolSyncer::CheckThere(const Watched& watched) {
  const auto there = files_.OpenForRead(watched.file->path);
  if (absl::IsNotFound(there.status())) return there.status();
  if (!there.ok()) return absl::OkStatus();
  const absl::StatusOr<uint64_t> bytes = (*there)->Size();
  if (!bytes.ok() || *bytes >= watched.synced_bytes) return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat("there is another file, of ", *bytes, " bytes, not ", watched.synced_bytes));
}

absl::Status SpoolSyncer::CarryOut(const SpoolRemoval& removal) {
  // A page says all that those before it said: one that was overtaken is not needed any more.
  uint64_t& generation = ledger_generations_[removal.ledger_path];
  if (!removal.ledger_path.empty() && removal.ledger_generation > generation) {
    const absl::Status written = WriteLedgerPage(files_, removal.ledger_path,
                                                 removal.ledger_generation, removal.ledger_page);
    // Without its directory there is nothing it would be of use to.
    if (!absl::IsNotFound(written)) RETURN_IF_ERROR(written);
    generation = removal.ledger_generation;
  }
  if (removal.path.empty()) return absl::OkStatus();
  const absl::Status removed = files_.Remove(removal.path);
  return absl::IsNotFound(removed) ? absl::OkStatus() : removed;
}

}  // namespace trawl

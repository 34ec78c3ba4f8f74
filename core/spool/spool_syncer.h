#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/base/event_loop.h"
#include "core/base/file_system.h"
#include "core/base/mutex.h"

namespace trawl {

// A segment's file that is written by a lane's thread and synced by the syncer's.
struct SpoolFile {
  std::string path;
  std::string directory;
  std::unique_ptr<WritableFile> file;
  std::atomic<uint64_t> written_bytes{0};  // by the lane
  std::atomic<bool> sealed{false};         // by the lane: nothing more is written
  // By the syncer. After a failed sync nobody knows what is on the disk: never tried again.
  std::atomic<bool> failed{false};
};

// A file that goes, after what is lost with it was noted.
struct SpoolRemoval {
  std::string path;
  // Of the ledger; "": nothing is lost.
  std::string ledger_path;
  std::string ledger_page;
  uint64_t ledger_generation = 0;
  bool once = false;  // not tried again: a directory that may hold something still
};

// The thread that waits for the disk: syncs what the lanes wrote, all together and every
// sync_interval, and removes what they need no more.
//
// Guarantees:
//   1. What was written before a pass that succeeded survives a power loss.
//   2. A file that somebody removed while it is written counts as one that can't be synced; so does
//      one that a copy was put in the place of, once more is written than that has.
//   3. A removal happens after its ledger page is synced; one that fails is tried again.
// Watch and Remove: any thread. The rest: the loop's thread.
class SpoolSyncer {
 public:
  struct Options {
    absl::Duration sync_interval = absl::Seconds(1);
  };
  struct Deps {
    EventLoop& loop;  // outlives the syncer, and has ended or is this thread when it goes
    FileSystem& files;
  };
  struct Counts {
    uint64_t syncs = 0;
    uint64_t failed_syncs = 0;
    uint64_t failed_removals = 0;
  };

  SpoolSyncer(const Options& options, const Deps& deps);
  ~SpoolSyncer();

  // The file is synced from now on, until it is sealed and synced; the directory with it.
  void Watch(std::shared_ptr<SpoolFile> file);
  void Remove(SpoolRemoval removal);
  Counts counts() const;

  // One pass, now.
  void Pass();

 private:
  // A file on the syncer's side.
  struct Watched {
    std::shared_ptr<SpoolFile> file;
    uint64_t synced_bytes = 0;
    bool directory_synced = false;
  };
  void Arm();
  absl::Status Sync(Watched& watched);
  absl::Status CheckThere(const Watched& watched);
  absl::Status CarryOut(const SpoolRemoval& removal);
  void TakeNew();

  const Options options_;
  EventLoop& loop_;
  FileSystem& files_;

  // The loop's thread.
  TimerId timer_ = 0;
  std::vector<Watched> watched_;
  std::deque<SpoolRemoval> removals_;
  std::map<std::string, uint64_t> ledger_generations_;  // written, by path

  std::atomic<uint64_t> syncs_{0};
  std::atomic<uint64_t> failed_syncs_{0};
  std::atomic<uint64_t> failed_removals_{0};

  Mutex mutex_;
  std::vector<std::shared_ptr<SpoolFile>> new_files_ TRAWL_GUARDED_BY(mutex_);
  std::vector<SpoolRemoval> new_removals_ TRAWL_GUARDED_BY(mutex_);
};

}  // namespace trawl

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/scrape/pool_status.h"
#include "server/target_filter.h"
#include "trawl/status/v1/status.pb.h"

namespace trawl {

// What one reader knows of the targets that it watches, and how that differs from what is. It is
// as large as the state, whatever happens while the reader looks away: 16 bytes a target of the
// jobs in question, and the snapshot it was last compared with (with its order by URL, 16 bytes a
// target that all who hold the snapshot share).
//
// Comparing costs a load for each target; a pool that is not the one of last time also a look at
// its list, for the first who looks with the making of its order. Dropped targets that are equal
// (two groups name them) are one.
//
// Not thread-safe.
class TargetView {
 public:
  // Targets are named by job and id.
  struct Name {
    std::string job;
    uint64_t hash = 0;
  };
  struct Changes {
    std::vector<TargetRow> changed;  // new or different; look into the view, until its next change
    std::vector<Name> removed;
    uint64_t merged = 0;  // states in between that the reader never saw
    bool empty() const { return changed.empty() && removed.empty(); }
  };

  explicit TargetView(TargetFilter filter) : filter_(std::move(filter)) {}

  // What the reader does not know, who knows it afterwards.
  Changes Advance(const PoolsSnapshot& pools);
  // As shown, labels_shared included.
  status::v1::Target ToTarget(const TargetRow& row) const;
  // The reader knows nothing any more; nothing is kept.
  void Clear() {
    jobs_.clear();
    shown_ = 0;
  }
  // That the reader knows.
  size_t size() const { return shown_; }

 private:
  struct ActiveItem {
    const ActiveTarget* target = nullptr;
    uint64_t version : 61 = 0;
    uint64_t fits : 1 = 0;    // the filter, but for the health
    uint64_t shown : 1 = 0;   // the reader knows it
    uint64_t shared : 1 = 0;  // labels_shared
  };
  struct DroppedItem {
    uint64_t hash = 0;
    uint64_t fingerprint = 0;  // of what is shown
  };
  struct Job {
    uint64_t round = 0;                             // in which it was last there
    std::shared_ptr<const PoolStatus> pool;         // null: pending
    std::shared_ptr<const DesiredTargets> pending;  // null: a pool
    std::vector<ActiveItem> active;                 // all of the pool's, by URL
    std::vector<DroppedItem> dropped;               // that the reader knows, by hash
    std::vector<DroppedTarget> listed;              // of the last change
  };

  Job& TakeJob(const std::string& job);
  void AdvancePool(Job& job, const std::shared_ptr<const PoolStatus>& pool, Changes& changes);
  void AdvancePending(Job& job, const std::shared_ptr<const DesiredTargets>& pending,
                      Changes& changes);
  std::vector<ActiveItem> MergeActive(const Job& job, const PoolStatus& pool, Changes& changes);
  void Update(const PoolStatus& pool, ActiveItem before, ActiveItem& item, Changes& changes);
  void RemoveActive(const std::string& job, const ActiveItem& item, Changes& changes);
  void TakeDropped(const std::string& name, Job& job, Changes& changes);
  void RemoveJob(const std::string& name, const Job& job, Changes& changes);

  const TargetFilter filter_;
  uint64_t round_ = 0;
  size_t shown_ = 0;
  std::map<std::string, Job> jobs_;
};

}  // namespace trawl

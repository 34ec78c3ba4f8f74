#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/store/store_backend.h"

namespace trawl {

// The numbers and totals of all lanes of a store, each twice: as made durable, and as taken (what
// the next commit makes durable). What all back ends have in common; each brings its own way of
// keeping the numbers.
// Not thread-safe.
class LaneLedger {
 public:
  struct Entry {
    LaneState durable;
    LaneState taken;
    std::vector<storage::v1::Reject> rejects;  // not yet told
    bool known = false;                        // has been durable once
    bool dirty = false;                        // `taken` differs from `durable`
    uint64_t incarnation = 0;                  // of the stream that it comes from
  };

  // Loads what was kept.
  void LoadLane(const LaneKey& lane, LaneState state);
  void LoadWriter(const std::string& writer, uint64_t incarnation) {
    incarnations_[writer] = incarnation;
  }

  uint64_t Incarnation(const std::string& writer) const;
  const std::map<std::string, uint64_t>& incarnations() const { return incarnations_; }
  std::optional<LaneState> Find(const LaneKey& lane) const;
  std::vector<std::pair<LaneKey, LaneState>> Lanes() const;
  bool dirty() const { return dirty_; }

  // An address that stays valid.
  Entry& Lane(const LaneKey& lane) { return lanes_[lane]; }
  // `entry` is one of this ledger's.
  void MarkDirty(Entry& entry) { entry.dirty = dirty_ = true; }
  // Counts samples of a record as refused for good.
  void Reject(Entry& entry, storage::v1::Reject reject);

  // Calls f(lane, entry) for each that has something to commit.
  template <typename F>
  void ForEachDirty(F&& f) {
    for (auto& [lane, entry] : lanes_) {
      if (entry.dirty) f(lane, entry);
    }
  }
  // Calls f(lane, state) for each lane with what holds once all that was taken is durable.
  template <typename F>
  void ForEachKept(F&& f) const {
    for (const auto& [lane, entry] : lanes_) {
      if (entry.known || entry.dirty) f(lane, entry.taken);
    }
  }
  // What was taken is durable: tells the observer.
  void Committed(StoreBackend::Observer& observer);
  // What was taken is lost.
  void RolledBack();

 private:
  std::map<std::string, uint64_t> incarnations_;
  std::map<LaneKey, Entry> lanes_;
  bool dirty_ = false;
};

// The histograms of a scrape as a reject, for back ends that keep none; nullopt if there are none.
std::optional<storage::v1::Reject> RejectHistograms(const DecodedScrape& scrape);

}  // namespace trawl

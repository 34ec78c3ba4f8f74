#include "client/store/lane_ledger.h"

#include <algorithm>

namespace trawl {
namespace {

// So many positions are named in a reject, and so many rejects in an ack: the rest is counted.
constexpr int kMaxPositions = 16;
constexpr size_t kMaxRejects = 256;

}  // namespace

void LaneLedger::LoadLane(const LaneKey& lane, LaneState state) {
  Entry& entry = lanes_[lane];
  entry.durable = state;
  entry.taken = std::move(state);
  entry.known = true;
}

uint64_t LaneLedger::Incarnation(const std::string& writer) const {
  const auto found = incarnations_.find(writer);
  return found == incarnations_.end() ? 0 : found->second;
}

std::optional<LaneState> LaneLedger::Find(const LaneKey& lane) const {
  const auto found = lanes_.find(lane);
  if (found == lanes_.end() || !found->second.known) return std::nullopt;
  return found->second.durable;
}

std::vector<std::pair<LaneKey, LaneState>> LaneLedger::Lanes() const {
  std::vector<std::pair<LaneKey, LaneState>> lanes;
  for (const auto& [lane, entry] : lanes_) {
    if (entry.known) lanes.emplace_back(lane, entry.durable);
  }
  return lanes;
}

void LaneLedger::Reject(Entry& entry, storage::v1::Reject reject) {
  entry.taken.totals.rejected[reject.code()] += reject.samples();
  if (reject.positions_size() > kMaxPositions) {
    reject.mutable_positions()->Truncate(kMaxPositions);
  }
  if (entry.rejects.size() < kMaxRejects) entry.rejects.push_back(std::move(reject));
  MarkDirty(entry);
}

void LaneLedger::Committed(StoreBackend::Observer& observer) {
  dirty_ = false;
  std::vector<std::pair<LaneKey, std::vector<storage::v1::Reject>>> told;
  ForEachDirty([&](const LaneKey& lane, Entry& entry) {
    entry.dirty = false;
    entry.known = true;
    entry.durable = entry.taken;
    told.emplace_back(lane, std::exchange(entry.rejects, {}));
  });
  for (const auto& [lane, rejects] : told) {
    const LaneState state = lanes_[lane].durable;
    observer.OnDurable(lane, state, rejects);
  }
}

void LaneLedger::RolledBack() {
  dirty_ = false;
  ForEachDirty([](const LaneKey&, Entry& entry) {
    entry.dirty = false;
    entry.taken = entry.durable;
    entry.rejects.clear();
  });
}

std::optional<storage::v1::Reject> RejectHistograms(const DecodedScrape& scrape) {
  if (scrape.message == nullptr || scrape.message->histograms_size() == 0) return std::nullopt;
  storage::v1::Reject reject;
  reject.set_number(scrape.number);
  reject.set_code(storage::v1::Reject::UNSUPPORTED_TYPE);
  reject.set_samples(static_cast<uint64_t>(scrape.message->histograms_size()));
  reject.set_detail("this store keeps no native histograms");
  for (const auto& histogram : scrape.message->histograms()) {
    reject.add_positions(histogram.position());
  }
  return reject;
}

}  // namespace trawl

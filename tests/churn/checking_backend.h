#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "client/store/lane_ledger.h"
#include "client/store/store_backend.h"
#include "tests/churn/churning_pages.h"

namespace trawl {

// A back end that keeps nothing, and compares each sample with what the target's page said: each
// scrape comes once and in order, each series has its labels and value, each that was replaced
// ends once.
class CheckingBackend final : public StoreBackend {
 public:
  explicit CheckingBackend(const ChurningPage& page) : page_(page) {}

  void SetObserver(Observer& observer) override { observer_ = &observer; }
  const std::string& store_id() const override { return store_id_; }
  uint64_t window_bytes() const override { return uint64_t{8} << 20; }
  uint64_t Incarnation(const std::string& writer) const override {
    return ledger_.Incarnation(writer);
  }
  absl::Status Fence(const std::string& writer, uint64_t incarnation) override;
  std::optional<LaneState> FindLane(const LaneKey& lane) const override {
    return ledger_.Find(lane);
  }
  std::vector<std::pair<LaneKey, LaneState>> Lanes() const override { return ledger_.Lanes(); }
  void OpenLane(const LaneKey& lane, uint64_t incarnation, OpenedLane opened) override;
  void Commit() override { ledger_.Committed(*observer_); }
  void Write(const storage::v1::WriteRequest& request, Written done) override;
  StoreStats Stats() override { return {}; }

  int64_t scrapes() const { return scrapes_; }
  int64_t markers() const { return markers_; }
  uint64_t lost() const { return lost_; }
  // The first that were found.
  const std::vector<std::string>& complaints() const { return complaints_; }

 private:
  class Writer;
  struct Target {
    int64_t scrape = 0;
    int64_t minute = 0;
  };

  void Check(const DecodedScrape& scrape);
  void CheckSample(const DecodedKey& key, double value, const Target& now, const Target& before);
  void Complain(std::string what);

  const ChurningPage page_;
  const std::string store_id_ = "checking";
  Observer* observer_ = nullptr;
  LaneLedger ledger_;
  std::map<std::string, Target> targets_;
  int64_t scrapes_ = 0;
  int64_t markers_ = 0;
  uint64_t lost_ = 0;
  std::vector<std::string> complaints_;
};

}  // namespace trawl

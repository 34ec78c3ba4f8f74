#include "client/store/discard_backend.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/store/lane_ledger.h"
#include "core/base/hash.h"

namespace trawl {
namespace {

class DiscardWriter final : public LaneWriter {
 public:
  DiscardWriter(LaneLedger& ledger, LaneLedger::Entry& entry, uint64_t& samples)
      : ledger_(ledger), entry_(entry), samples_(samples) {}

  absl::Status Write(const DecodedScrape& scrape) override {
    samples_ += scrape.samples;
    entry_.taken.totals.stored += scrape.samples;
    return absl::OkStatus();
  }
  absl::Status CountDuplicate(const DecodedScrape& scrape) override {
    entry_.taken.totals.duplicate += scrape.samples;
    ledger_.MarkDirty(entry_);
    return absl::OkStatus();
  }
  absl::Status Advance(uint64_t number, uint64_t lost) override {
    entry_.taken.durable = number;
    entry_.taken.totals.lost += lost;
    ledger_.MarkDirty(entry_);
    return absl::OkStatus();
  }
  void ForgetLayout(uint64_t) override {}
  void ForgetAll() override {}

 private:
  LaneLedger& ledger_;
  LaneLedger::Entry& entry_;
  uint64_t& samples_;
};

class DiscardBackend final : public StoreBackend {
 public:
  DiscardBackend() : store_id_(absl::StrCat(absl::Hex(HashKey::Random().seed))) {}

  void SetObserver(Observer& observer) override { observer_ = &observer; }
  const std::string& store_id() const override { return store_id_; }
  uint64_t window_bytes() const override { return uint64_t{8} << 20; }
  uint64_t Incarnation(const std::string& writer) const override {
    return ledger_.Incarnation(writer);
  }
  absl::Status Fence(const std::string& writer, uint64_t incarnation) override {
    ledger_.LoadWriter(writer, incarnation);
    return absl::OkStatus();
  }
  std::optional<LaneState> FindLane(const LaneKey& lane) const override {
    return ledger_.Find(lane);
  }
  std::vector<std::pair<LaneKey, LaneState>> Lanes() const override { return ledger_.Lanes(); }
  void OpenLane(const LaneKey& lane, uint64_t /*incarnation*/, OpenedLane opened) override {
    Commit();
    opened(std::make_unique<DiscardWriter>(ledger_, ledger_.Lane(lane), samples_));
  }
  void Commit() override { ledger_.Committed(*observer_); }
  void Write(const storage::v1::WriteRequest& request, Written done) override {
    storage::v1::WriteResponse response;
    response.set_stored(static_cast<uint64_t>(request.samples_size()));
    samples_ += response.stored();
    done(response);
  }
  StoreStats Stats() override {
    return {.samples = samples_, .samples_total = samples_, .location = "nowhere"};
  }

 private:
  const std::string store_id_;
  Observer* observer_ = nullptr;
  LaneLedger ledger_;
  uint64_t samples_ = 0;
};

}  // namespace

StoreBackendFactory DiscardBackendFactory() {
  return [](EventLoop&) -> absl::StatusOr<std::unique_ptr<StoreBackend>> {
    return std::make_unique<DiscardBackend>();
  };
}

}  // namespace trawl

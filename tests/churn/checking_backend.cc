#include "tests/churn/checking_backend.h"

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/append/appender.h"
#include "core/model/value.h"

namespace trawl {
namespace {

constexpr size_t kMaxComplaints = 10;

std::string_view LabelOf(const std::vector<DecodedLabel>& labels, std::string_view name) {
  for (const DecodedLabel& label : labels) {
    if (label.name == name) return label.value;
  }
  return "";
}

// What a key says of itself; kept in its tag, which a decoder's life is short enough for.
struct Slot {
  static constexpr uint64_t kNone = 1;  // no series of a slot

  explicit Slot(const DecodedKey& key) {
    if (key.tag == 0) key.tag = Read(key.labels);
    slot = key.tag == kNone ? -1 : static_cast<int>(key.tag >> 40) - 1;
    generation = static_cast<int64_t>(key.tag & ((uint64_t{1} << 40) - 1));
  }

  int slot;
  int64_t generation;

 private:
  static uint64_t Read(const std::vector<DecodedLabel>& labels) {
    const std::string_view pod = LabelOf(labels, "pod");
    uint64_t number = 0;
    uint64_t life = 0;
    if (!absl::SimpleAtoi(LabelOf(labels, "slot"), &number) || pod.size() < 14 ||
        !absl::SimpleAtoi(pod.substr(13), &life)) {
      return kNone;
    }
    return (number + 1) << 40 | life;
  }
};

}  // namespace

class CheckingBackend::Writer final : public LaneWriter {
 public:
  Writer(CheckingBackend& backend, LaneLedger::Entry& entry) : backend_(backend), entry_(entry) {}

  absl::Status Write(const DecodedScrape& scrape) override {
    backend_.Check(scrape);
    entry_.taken.totals.stored += scrape.samples;
    return absl::OkStatus();
  }
  absl::Status CountDuplicate(const DecodedScrape& scrape) override {
    backend_.Complain(absl::StrCat("record ", scrape.number, " came twice"));
    return absl::OkStatus();
  }
  absl::Status Advance(uint64_t number, uint64_t lost) override {
    entry_.taken.durable = number;
    backend_.lost_ += lost;
    backend_.ledger_.MarkDirty(entry_);
    return absl::OkStatus();
  }
  void ForgetLayout(uint64_t) override {}
  void ForgetAll() override {}

 private:
  CheckingBackend& backend_;
  LaneLedger::Entry& entry_;
};

absl::Status CheckingBackend::Fence(const std::string& writer, uint64_t incarnation) {
  ledger_.LoadWriter(writer, incarnation);
  return absl::OkStatus();
}

void CheckingBackend::OpenLane(const LaneKey& lane, uint64_t, OpenedLane opened) {
  Commit();
  opened(std::make_unique<Writer>(*this, ledger_.Lane(lane)));
}

void CheckingBackend::Write(const storage::v1::WriteRequest&, Written done) {
  done(absl::UnimplementedError("nobody writes here"));
}

void CheckingBackend::Complain(std::string what) {
  if (complaints_.size() < kMaxComplaints) complaints_.push_back(std::move(what));
}

void CheckingBackend::Check(const DecodedScrape& scrape) {
  if ((scrape.flags & ScrapeBatch::kTargetGone) != 0) return;
  ++scrapes_;
  const std::string instance(LabelOf(scrape.layout->target_labels, "instance"));
  Target& target = targets_[instance];
  const Target before = target;
  // What is said first: how often, and in which minute.
  Target now;
  scrape.ForEachSample([&](uint32_t position, double value, int64_t) {
    const std::string_view name = LabelOf(scrape.layout->keys[position]->labels, "__name__");
    if (position >= uint32_t{ChurningPage::kStaying}) return;
    (name == ChurningPage::kScrapes ? now.scrape : now.minute) = static_cast<int64_t>(value);
  });
  if (now.scrape != before.scrape + 1) {
    Complain(absl::StrCat(instance, ": scrape ", now.scrape, " behind ", before.scrape));
  }
  int64_t values = 0;
  int64_t markers = 0;
  scrape.ForEachSample([&](uint32_t position, double value, int64_t) {
    const DecodedKey& key = *scrape.layout->keys[position];
    if (Slot(key).slot < 0) return;
    IsStaleMarker(value) ? ++markers : ++values;
    CheckSample(key, value, now, before);
  });
  const int64_t replaced =
      before.scrape == 0 ? 0 : page_.Replaced(now.minute) - page_.Replaced(before.minute);
  if (values != page_.slots || markers != replaced) {
    Complain(absl::StrCat(instance, ": scrape ", now.scrape, " has ", values, " series and ends ",
                          markers, " instead of ", replaced));
  }
  markers_ += markers;
  target = now;
}

// A value must be of the slot's series of now, a marker of one that is no more.
void CheckingBackend::CheckSample(const DecodedKey& key, double value, const Target& now,
                                  const Target& before) {
  const Slot of(key);
  const bool stale = IsStaleMarker(value);
  const bool right = stale ? of.generation == page_.Generation(of.slot, before.minute) &&
                                 of.generation < page_.Generation(of.slot, now.minute)
                           : of.generation == page_.Generation(of.slot, now.minute) &&
                                 value == ChurningPage::Value(of.slot, now.scrape);
  if (!right) {
    Complain(absl::StrCat("slot ", of.slot, ", life ", of.generation, ": ", value, " in scrape ",
                          now.scrape, " of minute ", now.minute));
  }
}

}  // namespace trawl

#include "client/store/remote_write_backend.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "client/store/lane_ledger.h"
#include "client/store/lane_state_file.h"
#include "client/store/remote_write_queue.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "core/fetch/fetch_url.h"

namespace trawl {
namespace {

// A lane's queue and its numbers.
struct Lane {
  LaneLedger::Entry* entry;
  std::unique_ptr<RemoteWriteQueue> queue;
  bool failing = false;  // its request was not taken, and is tried again
};

Labels LabelsOf(const std::vector<DecodedLabel>& labels) {
  std::vector<Label> copied;
  copied.reserve(labels.size());
  for (const DecodedLabel& label : labels) {
    copied.push_back({std::string(label.name), std::string(label.value)});
  }
  return Labels::FromSorted(std::move(copied));
}

Labels Over(const Labels& under, const Labels& over) {
  LabelsBuilder builder(under);
  for (const Label& label : over) builder.Set(label.name, label.value);
  return std::move(builder).Build();
}

storage::v1::Reject RejectOf(const RemoteWriteQueue::Item& item) {
  storage::v1::Reject reject;
  reject.set_number(item.number);
  reject.set_code(storage::v1::Reject::REFUSED);
  reject.set_samples(item.refused.size());
  for (const uint32_t position : item.refused) reject.add_positions(position);
  reject.set_detail(item.refusal);
  return reject;
}

// Turns decoded scrapes into items of the lane's queue; knows the stream's layouts and keys.
class RemoteWriteLaneWriter final : public LaneWriter {
 public:
  RemoteWriteLaneWriter(LaneLedger& ledger, Lane& lane) : ledger_(ledger), lane_(lane) {}

  absl::Status Write(const DecodedScrape& scrape) override {
    RemoteWriteQueue::Item item;
    item.number = scrape.number;
    item.layout = LayoutOf(*scrape.layout);
    item.samples.reserve(scrape.samples);
    scrape.ForEachSample([&](uint32_t position, double value, int64_t time_ms) {
      item.samples.push_back({position, time_ms, value});
    });
    item.reject = RejectHistograms(scrape);
    lane_.queue->Push(std::move(item));
    return absl::OkStatus();
  }

  absl::Status CountDuplicate(const DecodedScrape& scrape) override {
    lane_.entry->taken.totals.duplicate += scrape.samples;
    ledger_.MarkDirty(*lane_.entry);
    return absl::OkStatus();
  }

  absl::Status Advance(uint64_t number, uint64_t lost) override {
    RemoteWriteQueue::Item item;
    item.number = number;
    item.lost = lost;
    lane_.queue->Push(std::move(item));
    return absl::OkStatus();
  }

  void ForgetLayout(uint64_t uid) override { layouts_.erase(uid); }
  void ForgetAll() override {
    layouts_.clear();
    keys_.clear();
  }

 private:
  std::shared_ptr<const RemoteWriteLayout> LayoutOf(const DecodedLayout& decoded) {
    std::shared_ptr<const RemoteWriteLayout>& known = layouts_[decoded.uid];
    if (known != nullptr) return known;
    auto layout = std::make_shared<RemoteWriteLayout>();
    const Labels& external = decoded.segment->external_labels;
    layout->external = EncodeLabels(external);
    layout->target = EncodeLabels(Over(external, LabelsOf(decoded.target_labels)));
    layout->keys.reserve(decoded.size());
    for (const DecodedKey* key : decoded.keys) layout->keys.push_back(KeyOf(*key));
    known = std::move(layout);
    return known;
  }

  std::shared_ptr<const RemoteWriteKey> KeyOf(const DecodedKey& decoded) {
    std::shared_ptr<const RemoteWriteKey>& known = keys_[decoded.uid];
    if (known == nullptr) {
      known = std::make_shared<RemoteWriteKey>(
          RemoteWriteKey{EncodeLabels(LabelsOf(decoded.labels)), decoded.complete});
    }
    return known;
  }

  LaneLedger& ledger_;
  Lane& lane_;
  absl::flat_hash_map<uint64_t, std::shared_ptr<const RemoteWriteLayout>> layouts_;
  absl::flat_hash_map<uint64_t, std::shared_ptr<const RemoteWriteKey>> keys_;
};

// A Write under way: one item in a queue of its own, tried once.
struct PlainWrite {
  storage::v1::WriteResponse response;
  std::vector<uint32_t> indexes;  // in the request, by position in the item
  StoreBackend::Written done;
  std::unique_ptr<RemoteWriteQueue> queue;
};

class RemoteWriteBackend final : public StoreBackend {
 public:
  static absl::StatusOr<std::unique_ptr<StoreBackend>> Open(const RemoteWriteOptions& options,
                                                            FileSystem& fs, EventLoop& loop);

  void SetObserver(Observer& observer) override { observer_ = &observer; }
  const std::string& store_id() const override { return state_file_->store_id(); }
  uint64_t window_bytes() const override { return options_.window_bytes; }
  uint64_t Incarnation(const std::string& writer) const override {
    return ledger_.Incarnation(writer);
  }
  absl::Status Fence(const std::string& writer, uint64_t incarnation) override;
  std::optional<LaneState> FindLane(const LaneKey& lane) const override {
    return ledger_.Find(lane);
  }
  std::vector<std::pair<LaneKey, LaneState>> Lanes() const override { return ledger_.Lanes(); }
  void OpenLane(const LaneKey& lane, uint64_t incarnation, OpenedLane opened) override;
  void Commit() override {
    if (ledger_.dirty()) (void)Save();
  }
  void Write(const storage::v1::WriteRequest& request, Written done) override;
  void Shutdown() override;
  StoreStats Stats() override;

 private:
  RemoteWriteBackend(const RemoteWriteOptions& options, EventLoop& loop)
      : options_(options), loop_(loop) {}
  absl::Status Save();
  Lane& FindOrAddLane(const LaneKey& key);
  RemoteWriteQueue::Options QueueOptions(bool retry) const;
  void OnItemDone(LaneLedger::Entry& entry, const RemoteWriteQueue::Item& item);
  void OnAnswered(Lane& lane, const absl::Status& answer);
  void CountUndivided(const RemoteWriteQueue::Item& item);
  void TellCondition();
  RemoteWriteQueue::Item PlainItem(const storage::v1::WriteRequest& request, PlainWrite& write);
  void FinishWrite(PlainWrite* write, const absl::Status& status);

  const RemoteWriteOptions options_;
  EventLoop& loop_;
  LaneLedger ledger_;
  std::unique_ptr<LaneStateFile> state_file_;
  Observer* observer_ = nullptr;
  uint64_t samples_ = 0;
  bool complained_ = false;  // about the state file
  EndpointCondition condition_;
  std::unique_ptr<HttpSenders> senders_;
  std::map<LaneKey, Lane> lanes_;
  std::map<PlainWrite*, std::unique_ptr<PlainWrite>> writes_;
};

absl::StatusOr<std::unique_ptr<StoreBackend>> RemoteWriteBackend::Open(
    const RemoteWriteOptions& options, FileSystem& fs, EventLoop& loop) {
  std::unique_ptr<RemoteWriteBackend> backend(new RemoteWriteBackend(options, loop));
  ASSIGN_OR_RETURN(backend->state_file_,
                   LaneStateFile::Open(options.state_path, fs, backend->ledger_));
  HttpSenders::Options http;
  http.threads = options.senders;
  http.user_agent = options.user_agent;
  http.headers = {"Content-Type: application/x-protobuf", "Content-Encoding: snappy",
                  "X-Prometheus-Remote-Write-Version: 0.1.0"};
  for (const auto& [name, value] : options.headers) {
    http.headers.push_back(absl::StrCat(name, ": ", value));
  }
  backend->senders_ = std::make_unique<HttpSenders>(http, options.access, loop);
  return backend;
}

absl::Status RemoteWriteBackend::Fence(const std::string& writer, uint64_t incarnation) {
  const uint64_t before = ledger_.Incarnation(writer);
  ledger_.LoadWriter(writer, incarnation);
  absl::Status saved = Save();
  if (!saved.ok()) ledger_.LoadWriter(writer, before);
  return saved;
}

// The endpoint has accepted what is in the ledger; if the file can't be written there is no ack
// for now, and the window bounds what comes.
absl::Status RemoteWriteBackend::Save() {
  absl::Status saved = state_file_->Save(ledger_);
  if (!saved.ok()) {
    if (!std::exchange(complained_, true)) {
      LogError("remote write: cannot keep the lanes' numbers, nothing is acked", {{"err", saved}});
    }
    return saved;
  }
  complained_ = false;
  if (observer_ != nullptr) ledger_.Committed(*observer_);
  return absl::OkStatus();
}

RemoteWriteQueue::Options RemoteWriteBackend::QueueOptions(bool retry) const {
  return {.max_samples = options_.max_samples,
          .max_bytes = options_.max_bytes,
          .bisect_requests = options_.bisect_requests,
          .backoff = options_.backoff,
          .max_retry_after = options_.max_retry_after,
          .retry = retry};
}

Lane& RemoteWriteBackend::FindOrAddLane(const LaneKey& key) {
  const auto [found, added] = lanes_.try_emplace(key);
  if (!added) return found->second;
  LaneLedger::Entry& entry = ledger_.Lane(key);
  found->second.entry = &entry;
  found->second.queue = std::make_unique<RemoteWriteQueue>(
      QueueOptions(true), RemoteWriteQueue::Deps{.loop = loop_, .senders = *senders_},
      RemoteWriteQueue::Callbacks{
          .done = [this, &entry](const RemoteWriteQueue::Item& item) { OnItemDone(entry, item); },
          .failed = nullptr,
          .answered = [this, &lane = found->second](
                          const absl::Status& answer) { OnAnswered(lane, answer); }});
  return found->second;
}

void RemoteWriteBackend::OnItemDone(LaneLedger::Entry& entry, const RemoteWriteQueue::Item& item) {
  const uint64_t stored = item.samples.size() - item.refused.size();
  entry.taken.durable = std::max(entry.taken.durable, item.number);
  entry.taken.totals.stored += stored;
  entry.taken.totals.lost += item.lost;
  samples_ += stored;
  CountUndivided(item);
  if (!item.refused.empty()) ledger_.Reject(entry, RejectOf(item));
  if (item.reject.has_value()) ledger_.Reject(entry, *item.reject);
  ledger_.MarkDirty(entry);
}

void RemoteWriteBackend::OnAnswered(Lane& lane, const absl::Status& answer) {
  lane.failing = absl::IsUnavailable(answer);
  if (!answer.ok()) {
    condition_.last_error = std::string(answer.message());
    condition_.last_error_time = loop_.clock().Now();
  }
  TellCondition();
}

void RemoteWriteBackend::CountUndivided(const RemoteWriteQueue::Item& item) {
  if (item.undivided == 0) return;
  condition_.undivided_samples += item.undivided;
  TellCondition();
}

void RemoteWriteBackend::TellCondition() {
  condition_.failing = std::any_of(lanes_.begin(), lanes_.end(),
                                   [](const auto& lane) { return lane.second.failing; });
  if (options_.on_condition != nullptr) options_.on_condition(condition_);
}

void RemoteWriteBackend::OpenLane(const LaneKey& key, uint64_t /*incarnation*/, OpenedLane opened) {
  Lane& lane = FindOrAddLane(key);
  lane.queue->Drop([this, &lane, opened = std::move(opened)] {
    // Its request was dropped with the stream: a lane that is never opened again fails no more.
    if (std::exchange(lane.failing, false)) TellCondition();
    const absl::Status saved = ledger_.dirty() ? Save() : absl::OkStatus();
    if (!saved.ok()) return opened(absl::UnavailableError(saved.message()));
    opened(std::make_unique<RemoteWriteLaneWriter>(ledger_, lane));
  });
}

RemoteWriteQueue::Item RemoteWriteBackend::PlainItem(const storage::v1::WriteRequest& request,
                                                     PlainWrite& write) {
  auto layout = std::make_shared<RemoteWriteLayout>();
  RemoteWriteQueue::Item item;
  for (int i = 0; i < request.samples_size(); ++i) {
    const storage::v1::Sample& sample = request.samples(i);
    std::vector<Label> given;
    for (const auto& [name, value] : sample.labels()) given.push_back({name, value});
    LabelsBuilder builder;
    builder.Reset(std::move(given));
    const bool named = !builder.Get(kMetricName).empty();
    if (!named || sample.has_histogram()) {
      storage::v1::PlainReject& reject = *write.response.add_rejects();
      reject.set_index(static_cast<uint32_t>(i));
      reject.set_code(named ? storage::v1::Reject::UNSUPPORTED_TYPE
                            : storage::v1::Reject::INVALID_LABELS);
      reject.set_detail(named ? "this store takes no native histograms" : "no __name__");
      continue;
    }
    const int64_t time_ms = sample.timestamp_ms() != 0 ? sample.timestamp_ms()
                                                       : absl::ToUnixMillis(loop_.clock().Now());
    item.samples.push_back({static_cast<uint32_t>(layout->keys.size()), time_ms,
                            sample.stale() ? StaleMarker() : sample.value()});
    write.indexes.push_back(static_cast<uint32_t>(i));
    layout->keys.push_back(std::make_shared<RemoteWriteKey>(
        RemoteWriteKey{EncodeLabels(std::move(builder).Build()), true}));
  }
  item.layout = std::move(layout);
  return item;
}

void RemoteWriteBackend::Write(const storage::v1::WriteRequest& request, Written done) {
  auto owned = std::make_unique<PlainWrite>();
  PlainWrite* write = owned.get();
  writes_[write] = std::move(owned);
  write->done = std::move(done);
  write->queue = std::make_unique<RemoteWriteQueue>(
      QueueOptions(false), RemoteWriteQueue::Deps{.loop = loop_, .senders = *senders_},
      RemoteWriteQueue::Callbacks{
          .done =
              [this, write](const RemoteWriteQueue::Item& item) {
                write->response.set_stored(item.samples.size() - item.refused.size());
                for (const uint32_t position : item.refused) {
                  storage::v1::PlainReject& reject = *write->response.add_rejects();
                  reject.set_index(write->indexes[position]);
                  reject.set_code(storage::v1::Reject::REFUSED);
                  reject.set_detail(item.refusal);
                }
                samples_ += write->response.stored();
                CountUndivided(item);
                FinishWrite(write, absl::OkStatus());
              },
          .failed = [this, write](const absl::Status& status) { FinishWrite(write, status); },
          .answered = nullptr});
  write->queue->Push(PlainItem(request, *write));
}

void RemoteWriteBackend::FinishWrite(PlainWrite* write, const absl::Status& status) {
  const Written done = std::exchange(write->done, nullptr);
  if (status.ok()) {
    done(std::move(write->response));
  } else {
    done(status);
  }
  // Not from inside its own queue.
  loop_.Post([this, write] { writes_.erase(write); });
}

void RemoteWriteBackend::Shutdown() {
  for (auto& [write, owned] : writes_) {
    if (write->done != nullptr) {
      std::exchange(write->done, nullptr)(absl::UnavailableError("the store is shutting down"));
    }
  }
  writes_.clear();
}

StoreStats RemoteWriteBackend::Stats() {
  StoreStats stats;
  stats.samples = samples_;
  stats.location = senders_->url();
  for (const auto& [lane, state] : ledger_.Lanes()) stats.samples_total += state.totals.stored;
  return stats;
}

}  // namespace

StoreBackendFactory RemoteWriteBackendFactory(RemoteWriteOptions options, FileSystem& fs) {
  return [options = std::move(options), &fs](EventLoop& loop) {
    return RemoteWriteBackend::Open(options, fs, loop);
  };
}

}  // namespace trawl

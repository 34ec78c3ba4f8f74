#include "core/append/earlier_lanes.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/base/log.h"

namespace trawl {

EarlierLanes::EarlierLanes(Options options, const Deps& deps, Callbacks callbacks)
    : options_(std::move(options)),
      loop_(deps.loop),
      random_(deps.random),
      callbacks_(std::move(callbacks)) {
  Publish();
}

EarlierLanes::~EarlierLanes() { Shutdown(); }

void EarlierLanes::Shutdown() {
  logs_.clear();  // their last words are heard while the rest still stands
  loop_.Cancel(std::exchange(settle_timer_, 0));
  loop_.Cancel(std::exchange(status_timer_, 0));
}

void EarlierLanes::AddLog(const EpochLane& lane, std::unique_ptr<RecordSource> log,
                          std::function<void()> remove) {
  logs_[lane].source = std::move(log);
  logs_[lane].remove = std::move(remove);
  OnSinkChanged();
}

void EarlierLanes::AddSink(const EpochLane& lane, const SinkSession::Sink& sink,
                           AppendStreamFactory& factory) {
  const auto log = logs_.find(lane);
  if (log == logs_.end()) return;
  SinkSession::Identity identity = options_.identity;
  identity.epoch = lane.epoch;
  identity.lane = lane.lane;
  SinkSession::Sink held = sink;
  held.held = true;
  const SinkSession::Deps deps{loop_, *log->second.source, random_, compressor_, *this};
  log->second.sinks.push_back(
      std::make_unique<SinkSession>(held, identity, options_.session, deps, factory));
  OnSinkChanged();
}

void EarlierLanes::ReplaceSink(const EpochLane& lane, std::string_view name,
                               AppendStreamFactory& factory) {
  if (SinkSession* const sink = Find(lane, name)) sink->SetFactory(factory);
}

SinkSession* EarlierLanes::Find(const EpochLane& lane, std::string_view name) {
  const auto log = logs_.find(lane);
  if (log == logs_.end()) return nullptr;
  for (const auto& sink : log->second.sinks) {
    if (sink->name() == name) return sink.get();
  }
  return nullptr;
}

void EarlierLanes::ReleaseSink(const EpochLane& lane, std::string_view name) {
  if (SinkSession* const sink = Find(lane, name)) sink->Release();
}

void EarlierLanes::RemoveSink(std::string_view name) {
  for (auto& [lane, log] : logs_) {
    std::erase_if(log.sinks, [name](const auto& sink) { return sink->name() == name; });
  }
  for (auto& [lane, drained] : drained_) {
    std::erase_if(drained, [name](const SinkStatus& sink) { return sink.name == name; });
  }
  OnSinkDurable();
}

void EarlierLanes::CloseUnwanted() {
  close_unwanted_ = true;
  OnSinkDurable();
}

absl::StatusOr<uint64_t> EarlierLanes::SkipRecord(const EpochLane& lane, std::string_view sink,
                                                  uint64_t number, bool dry_run) {
  SinkSession* const session = Find(lane, sink);
  if (session == nullptr) return absl::NotFoundError("no such sink, or it has all of that epoch");
  return session->Skip(number, dry_run);
}

// In a turn of its own: a session is what calls this, and may be what ends.
void EarlierLanes::OnSinkDurable() {
  if (settle_timer_ == 0) {
    settle_timer_ = loop_.RunAfter(absl::ZeroDuration(), [this] {
      settle_timer_ = 0;
      Settle();
    });
  }
  OnSinkChanged();
}

void EarlierLanes::Settle() {
  std::vector<std::function<void()>> told;  // when all is in order again
  for (auto it = logs_.begin(); it != logs_.end();) {
    auto& [lane, log] = *it;
    EndDrained(lane, log, told);
    uint64_t durable = log.source->next_number() - 1;
    for (const auto& sink : log.sinks) durable = std::min(durable, sink->done_through());
    log.source->Trim(durable);
    if (!log.sinks.empty() || !close_unwanted_) {
      ++it;
      continue;
    }
    LogInfo("Nothing of an earlier run is left on a lane",
            {{"epoch", lane.epoch}, {"lane", lane.lane}});
    log.remove();
    it = logs_.erase(it);
  }
  for (const auto& tell : told) tell();
}

void EarlierLanes::EndDrained(const EpochLane& lane, Log& log,
                              std::vector<std::function<void()>>& told) {
  for (const auto& sink : log.sinks) {
    const std::string name = sink->name();
    if (sink->newest_first()) told.emplace_back([this, name] { callbacks_.newest_first(name); });
    if (!sink->drained()) continue;
    drained_[lane].push_back(sink->Snapshot());
    told.emplace_back([this, name, lane] { callbacks_.drained(name, lane); });
  }
  std::erase_if(log.sinks, [](const auto& sink) { return sink->drained(); });
}

// ---- Status

// At the end of an interval that begins with the first change, so that an idle one has no timer.
void EarlierLanes::OnSinkChanged() {
  if (status_timer_ != 0) return;
  status_timer_ = loop_.RunAfter(options_.status_interval, [this] {
    status_timer_ = 0;
    Publish();
  });
}

LaneStatus EarlierLanes::StatusOf(const EpochLane& lane) const {
  LaneStatus out;
  out.epoch = lane.epoch;
  out.lane = lane.lane;
  out.earlier = true;
  if (const auto log = logs_.find(lane); log != logs_.end()) {
    out.first_number = log->second.source->first_number();
    out.next_number = log->second.source->next_number();
    out.log_bytes = log->second.source->total_bytes();
    for (const auto& sink : log->second.sinks) out.sinks.push_back(sink->Snapshot());
  }
  if (const auto drained = drained_.find(lane); drained != drained_.end()) {
    out.drained_sinks = drained->second;
  }
  return out;
}

void EarlierLanes::Publish() {
  std::set<EpochLane> lanes;
  for (const auto& [lane, log] : logs_) lanes.insert(lane);
  for (const auto& [lane, drained] : drained_) lanes.insert(lane);
  auto status = std::make_shared<std::vector<LaneStatus>>();
  for (const EpochLane& lane : lanes) status->push_back(StatusOf(lane));
  published_.Set(std::move(status));
}

}  // namespace trawl

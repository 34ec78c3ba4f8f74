#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/random/bit_gen_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/append/append_stream.h"
#include "core/append/message_compressor.h"
#include "core/append/record_log.h"
#include "core/append/sink.h"
#include "core/append/sink_session.h"
#include "core/base/event_loop.h"
#include "core/base/published.h"

namespace trawl {

// The logs that earlier runs left and that one shard drains, with the sinks that still want them.
// Which of a sink's sessions streams when is its owner's business (DrainOrder).
//
// Guarantees:
//   1. A log stays until each sink that was added for it has it durably, or was removed; what it
//      has not any more is told to them as Gaps.
//   2. A sink that has all of a log is told (Callbacks::drained), and its session ends. What it
//      counted stays in the status until the sink is removed.
// The loop's thread only, but for status(), which any thread may call.
class EarlierLanes final : private SinkSession::Listener {
 public:
  struct Options {
    SinkSession::Identity identity;  // of this run; epoch and lane are each log's own
    SinkSession::Options session;
    absl::Duration status_interval = absl::Milliseconds(500);  // of publication, at most
  };
  struct Deps {
    EventLoop& loop;
    absl::BitGenRef random;
  };
  // On the loop, in a turn in which nothing else of this is under way.
  struct Callbacks {
    std::function<void(const std::string& sink, const EpochLane& lane)> drained;
    // The sink's store wants newer epochs first.
    std::function<void(const std::string& sink)> newest_first;
  };

  EarlierLanes(Options options, const Deps& deps, Callbacks callbacks);
  ~EarlierLanes() override;

  // `remove` is called once, when no sink wants the log any more, before it is destroyed.
  void AddLog(const EpochLane& lane, std::unique_ptr<RecordSource> log,
              std::function<void()> remove);
  // The sink gets this log, as soon as it is released. Of a log that is not here: ignored.
  void AddSink(const EpochLane& lane, const SinkSession::Sink& sink, AppendStreamFactory& factory);
  // Its streams come from another factory; of a sink that is not here: ignored.
  void ReplaceSink(const EpochLane& lane, std::string_view name, AppendStreamFactory& factory);
  void ReleaseSink(const EpochLane& lane, std::string_view name);
  // It wants nothing any more.
  void RemoveSink(std::string_view name);
  // From now on a log goes when no sink wants it.
  void CloseUnwanted();
  // Ends all streams and closes the logs, which stay for the next run.
  void Shutdown();
  // SinkSession::Skip. kNotFound: no such log or sink.
  absl::StatusOr<uint64_t> SkipRecord(const EpochLane& lane, std::string_view sink, uint64_t number,
                                      bool dry_run);

  // By epoch and lane, those that are gone included.
  std::shared_ptr<const std::vector<LaneStatus>> status() const { return published_.Get(); }

 private:
  struct Log {
    std::unique_ptr<RecordSource> source;
    std::function<void()> remove;
    std::vector<std::unique_ptr<SinkSession>> sinks;
  };

  // SinkSession::Listener
  void OnSinkDurable() override;
  void OnSinkChanged() override;
  // Its target is one of another run.
  void OnSinkRejected(std::string_view /*sink*/, uint64_t /*number*/, int /*code*/,
                      uint64_t /*samples*/) override {}
  SinkSession* Find(const EpochLane& lane, std::string_view name);
  void Settle();
  void EndDrained(const EpochLane& lane, Log& log, std::vector<std::function<void()>>& told);
  LaneStatus StatusOf(const EpochLane& lane) const;
  void Publish();

  // Constant after construction.
  const Options options_;
  EventLoop& loop_;
  absl::BitGenRef random_;
  const Callbacks callbacks_;

  // Owned by the loop's thread.
  MessageCompressor compressor_;
  std::map<EpochLane, Log> logs_;
  std::map<EpochLane, std::vector<SinkStatus>> drained_;  // also of logs that are gone
  bool close_unwanted_ = false;
  TimerId settle_timer_ = 0;
  TimerId status_timer_ = 0;

  Published<std::vector<LaneStatus>> published_;
};

}  // namespace trawl

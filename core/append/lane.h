#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/random/bit_gen_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/append/append_stream.h"
#include "core/append/appender.h"
#include "core/append/message_compressor.h"
#include "core/append/record_encoder.h"
#include "core/append/record_log.h"
#include "core/append/rejected_samples.h"
#include "core/append/sink.h"
#include "core/append/sink_session.h"
#include "core/base/event_loop.h"
#include "core/base/published.h"
#include "core/model/labels.h"

namespace trawl {

// A shard's way to storage: encodes each scrape, commits it to the record log in the same turn of
// the event loop, and brings the log to every sink over a stream of its own.
//
// Guarantees:
//   1. What Append took stays in the log until every sink has it durably, or the log's cap took
//      it; what a sink misses that way it is told as a Gap.
//   2. A slow or dead sink holds up neither Append nor the other sinks.
//   3. A scrape that is too large for the log takes nothing else with it.
//   4. Segments end by size and age, when external labels change, when a sink is added and after
//      a failed write (storage-protocol.md, Objects).
// The loop's thread only, but for status(), which any thread may call.
class Lane final : public Appender, private SinkSession::Listener {
 public:
  static constexpr size_t kMaxSegmentBytes = size_t{64} << 20;
  // The size at which segments end where `log_cap_bytes` are for one lane: what the cap takes, it
  // takes by segments.
  static size_t SegmentBytes(size_t log_cap_bytes);

  struct Options {
    SinkSession::Identity identity;  // writer, incarnation, epoch, lane
    Labels external_labels;
    std::string tenant;
    size_t max_segment_bytes = kMaxSegmentBytes;  // see SegmentBytes
    absl::Duration max_segment_age = absl::Minutes(30);
    size_t keyframe_bytes = size_t{4} << 20;
    SinkSession::Options session;
    absl::Duration status_interval = absl::Milliseconds(500);  // of publication, at most
  };
  struct Deps {
    EventLoop& loop;
    RecordLog& log;  // of this lane and epoch, used by nobody else
    absl::BitGenRef random;
  };

  Lane(const Options& options, const Deps& deps);
  ~Lane() override;

  absl::Status Append(const ScrapeBatch& batch) override;
  void Forget(const LayoutPtr& layout) override;

  // Opens a stream and keeps it open. A sink that is added after the first record starts at a
  // segment that is rolled for it; where, is returned. With `held` no stream is opened before
  // ReleaseSink, and the log is kept for it all the same. `factory` must outlive the sink. Names
  // are unique: an equal name replaces the factory and keeps the cursor (new credentials, a new
  // address).
  uint64_t AddSink(std::string_view name, AppendStreamFactory& factory, bool held = false);
  // Unknown names are ignored.
  void ReleaseSink(std::string_view name);
  // SinkSession::Skip. kNotFound: no such sink.
  absl::StatusOr<uint64_t> SkipRecord(std::string_view name, uint64_t number, bool dry_run);
  // The sink's cursor is forgotten. Unknown names are ignored.
  void RemoveSink(std::string_view name);

  // Ends all streams; what is in the log stays there, for the next run.
  void Shutdown();

  // From the next record on.
  void SetExternalLabels(const Labels& labels);

  // Sends all at once from now on. Calls `done` once: with true as soon as all that was appended
  // is durable at every sink that is not held, with false after `timeout`. Never from inside Drain.
  void Drain(absl::Duration timeout, absl::AnyInvocable<void(bool)> done);

  // The newest published snapshot, at most status_interval old. Any thread.
  std::shared_ptr<const LaneStatus> status() const { return published_.Get(); }
  // What holds now.
  LaneStatus Snapshot() const;

 private:
  bool SegmentIsOver() const;
  absl::Status EncodeAndCommit(const ScrapeBatch& batch);
  absl::Status CheckFits() const;
  absl::Status Commit();
  absl::Status CommitRecord(LogRecord record);
  void BeginSegment();
  // SinkSession::Listener
  void OnSinkDurable() override;
  void OnSinkChanged() override;
  void OnSinkRejected(std::string_view sink, uint64_t number, int code, uint64_t samples) override;
  SinkSession* FindSink(std::string_view name);
  void TrimLog();
  bool AllDurable() const;
  void FinishDrain(bool drained);
  void WarnOfDrops();
  void PublishStatus();

  // Constant after construction.
  const Options options_;
  EventLoop& loop_;
  RecordLog& log_;
  absl::BitGenRef random_;

  // Owned by the loop's thread.
  RecordEncoder encoder_;
  RecordEncoder::Encoded encoded_;  // scratch
  Labels external_labels_;
  bool roll_ = true;          // a segment must begin with the next record
  bool segment_due_ = false;  // the next record is its first
  absl::Duration segment_started_;
  uint64_t keyframe_at_bytes_ = 0;  // segment_bytes at the newest keyframe
  LaneStatus counters_;             // without what Snapshot fills in
  RejectedSamples rejected_;
  uint64_t warned_samples_ = 0;                           // of those that the cap took
  absl::Duration warned_at_ = -absl::InfiniteDuration();  // steady
  MessageCompressor compressor_;
  std::vector<std::unique_ptr<SinkSession>> sinks_;
  absl::AnyInvocable<void(bool)> drained_;
  bool draining_ = false;
  bool shut_down_ = false;
  TimerId drain_timer_ = 0;
  TimerId status_timer_ = 0;

  Published<LaneStatus> published_;
};

}  // namespace trawl

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/random/bit_gen_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/append/append_stream.h"
#include "core/append/message_compressor.h"
#include "core/append/record_feed.h"
#include "core/append/record_log.h"
#include "core/append/sink.h"
#include "core/base/backoff.h"
#include "core/base/event_loop.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// Brings the records of one lane to one sink: the writer's side of a session
// (storage-protocol.md, Session), over one stream after another.
//
//   held ── Release ──► waiting ── back-off ──► opening ── Welcome ──► streaming
//                          ▲                       │                     │
//                          └── closed, silent for drop_after, Goaway, protocol error
//
// Guarantees:
//   1. `durable` follows the store's word alone, and never passes what was sent.
//   2. Each stream tells every number from the Welcome on exactly once and in order: as a record
//      or in a Gap (record_feed.h).
//   3. At most one Write is pending; memory is bounded by message_bytes and one record.
//   4. A record at which streams break again and again is found out by sending one at a time, told
//      as stuck, and waits for Skip.
// The loop's thread only.
class SinkSession final : private AppendStream::Observer {
 public:
  // Whose records they are.
  struct Identity {
    std::string writer_id;
    uint64_t incarnation = 0;  // the epoch of this run
    uint64_t epoch = 0;        // of the records
    uint32_t lane = 0;
    std::string version;
  };
  // What a sink is of this log.
  struct Sink {
    std::string name;
    uint64_t start = 1;          // records before it are none of this sink's
    std::set<uint64_t> skipped;  // records that were given up for it
    bool held = false;           // no stream is opened before Release
  };
  // So many streams in a row must break at a record until it counts as stuck.
  static constexpr uint64_t kStuckStreams = 5;

  struct Options {
    size_t message_bytes = size_t{256} << 10;              // a message goes when it has so many, or
    absl::Duration flush_delay = absl::Milliseconds(200);  // when its first record is so old
    absl::Duration ping_after = absl::Seconds(5);          // of silence
    absl::Duration drop_after = absl::Seconds(20);         // of silence
    Backoff::Options backoff;
    bool compress = true;  // zstd-1
  };
  // Called on the loop, from inside the session, which must not be destroyed then.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void OnSinkDurable() = 0;
    virtual void OnSinkChanged() = 0;
    // So many samples of a record are refused for good, as a storage::v1::Reject::Code says.
    virtual void OnSinkRejected(std::string_view sink, uint64_t number, int code,
                                uint64_t samples) = 0;
  };
  struct Deps {
    EventLoop& loop;
    RecordSource& log;
    absl::BitGenRef random;
    MessageCompressor& compressor;
    Listener& listener;
  };

  // The first stream opens at once, in a turn of its own, unless the sink is held. `factory` must
  // outlive the session.
  SinkSession(const Sink& sink, const Identity& identity, const Options& options, const Deps& deps,
              AppendStreamFactory& factory);
  ~SinkSession() override;

  const std::string& name() const { return name_; }
  uint64_t start() const { return feed_.start(); }
  // The records up to this number are of no more use to this sink.
  uint64_t done_through() const;
  // The store said what it has, on this stream or an earlier one, and has all there is.
  bool drained() const;
  // The store takes samples out of order: of several runs it wants the newest first.
  bool newest_first() const { return newest_first_; }
  bool held() const { return state_ == SinkState::kHeld; }
  // Opens the stream of a sink that was held.
  void Release();
  // Gives a record up: it becomes a Gap, or, if it defines something, with it the rest of its
  // segment. How many samples that takes. kFailedPrecondition: the sink does not wait for it.
  // `dry_run` changes nothing.
  absl::StatusOr<uint64_t> Skip(uint64_t number, bool dry_run);
  // Something was appended to the log.
  void Wake();
  // From now on nothing waits for flush_delay.
  void FlushAlways();
  // Ends the stream and opens another one there at once.
  void SetFactory(AppendStreamFactory& factory);
  SinkStatus Snapshot() const;

 private:
  // AppendStream::Observer
  void OnMessage(const storage::v1::AppendResponse& message) override;
  void OnWritten() override;
  void OnClosed(const absl::Status& status) override;

  // The stream's life.
  void Open();
  void SendHello();
  void EndStream();
  void Drop(const absl::Status& why, absl::Duration not_before = absl::ZeroDuration());
  void NoteFailure(const absl::Status& why);
  void ScheduleOpen(absl::Duration delay);
  void ProtocolError(std::string_view what);
  void OnWelcome(const storage::v1::Welcome& welcome);
  void OnAck(const storage::v1::Ack& ack);
  void OnGoaway(const storage::v1::Goaway& goaway);
  void OnSilenceTimer();
  void ArmSilenceTimer();
  void NoteTotals(const storage::v1::Totals& totals);
  void NoteRejects(const storage::v1::Ack& ack);
  void NoteDurable(uint64_t durable);
  void SetState(SinkState state);

  void NoteStuck();

  // What goes out.
  void Pump();
  bool SendControl();
  bool OneAtATime() const { return counters_.streams_without_progress >= 2; }
  bool FillMessage();
  bool MessageIsDue();
  void SendGap(storage::v1::Gap gap);
  void CountLost(const storage::v1::Gap& gap);
  uint64_t CountedThrough(storage::v1::Gap::Reason reason) const;
  uint64_t NewlyLost(const storage::v1::Gap& gap) const;
  void SendMessage();
  void Write(storage::v1::AppendRequest request);

  // Constant after construction.
  const std::string name_;
  const Identity identity_;
  const Options options_;
  EventLoop& loop_;
  RecordSource& log_;
  absl::BitGenRef random_;
  MessageCompressor& compressor_;
  Listener& listener_;

  // Owned by the loop's thread, for the session.
  AppendStreamFactory* factory_;
  RecordFeed feed_;
  SinkState state_ = SinkState::kWaiting;
  Backoff backoff_;
  uint64_t durable_ = 0;
  uint64_t highest_durable_ = 0;  // more than durable_ when the store went back
  bool welcomed_ = false;         // once
  bool newest_first_ = false;
  bool flush_always_ = false;
  std::map<storage::v1::Gap::Reason, uint64_t> lost_through_;  // counted up to here
  SinkStatus counters_;                                        // without what Snapshot fills in
  TimerId open_timer_ = 0;
  TimerId silence_timer_ = 0;
  TimerId flush_timer_ = 0;

  // For one stream.
  std::unique_ptr<AppendStream> stream_;
  bool write_pending_ = false;
  bool acked_ = false;  // durable advanced on this stream
  absl::Duration streaming_since_;
  uint64_t sent_through_ = 0;  // all up to it was written as record or Gap
  uint64_t window_bytes_ = 0;
  uint64_t window_used_ = 0;
  absl::Duration heard_;  // steady time of the last message
  absl::Duration pinged_;
  uint64_t next_nonce_ = 1;
  bool ping_due_ = false;
  std::optional<uint64_t> pong_due_;
  absl::Duration message_since_;  // steady time of the unsent message's first record
};

}  // namespace trawl

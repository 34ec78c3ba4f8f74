#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "core/append/raw_records.h"
#include "core/append/record_log.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// What the streams to one sink are told of a log, message by message.
//
// Guarantees:
//   1. Each stream is told every number from Begin on exactly once and in order: in a message, or
//      in a Gap. A message has either new records or such as rebuild the reader's state.
//   2. Before the first record, and behind a Gap, comes what a decoder has to know: the D records
//      of the segment, and the S records since the keyframe.
//   3. A record that was skipped is never told, not for rebuilding either. As the values behind it
//      build on its own, they go as raw columns up to the next keyframe.
// Not thread-safe: the lane's thread.
class RecordFeed {
 public:
  // Records before `start` are none of this sink's; `skipped` are given up.
  RecordFeed(RecordSource& log, uint64_t start, std::set<uint64_t> skipped);

  uint64_t start() const { return start_; }
  // From the next Begin on.
  void Skip(uint64_t number) { skipped_.insert(number); }

  // A stream begins: the sink has all up to `durable`, and may want its values as raw columns.
  void Begin(uint64_t durable, bool raw_columns);
  // The stream is over: nothing is kept for it.
  void End();

  // Puts records into the message: until it has `bytes` or more (of new records `new_bytes`),
  // something else must come first, or there are no more. Errors: of the log.
  absl::Status Fill(size_t bytes, size_t new_bytes);
  bool empty() const { return body_.empty(); }
  // Nothing can be added to the message: it has `bytes`, or what follows is no new record.
  bool complete(size_t bytes);
  // The message, all but its bytes, and these, uncompressed.
  const storage::v1::Records& message() const { return message_; }
  const std::string& body() const { return body_; }
  // The message is told.
  void Pass();

  // What has to be told next instead of a record, if the message is empty.
  std::optional<storage::v1::Gap> NextGap();
  // The gap is told, up to `to`, which may be less than NextGap said.
  void PassGap(uint64_t to);
  uint64_t SamplesBetween(uint64_t from, uint64_t to) const {
    return log_.SamplesBetween(from, to);
  }
  // The gap that would begin at `number`, if the log lost records there.
  std::optional<storage::v1::Gap> LossAt(uint64_t number) const;
  // What giving `number` up would take: itself, or the rest of its segment if it is a D record.
  uint64_t SkippedThrough(uint64_t number);

 private:
  void PlanRebuild();
  absl::Status FillRebuild(size_t bytes);
  absl::Status FillNew(size_t bytes);
  absl::Status AddRebuilt(uint64_t number);
  absl::Status AddNew(uint64_t number);
  void AddToMessage(const LogRecord& record, bool rebuild);
  bool SkippedBetween(uint64_t from, uint64_t end) const;

  RecordSource& log_;
  const uint64_t start_;
  std::set<uint64_t> skipped_;

  // Of one stream.
  uint64_t cursor_ = 0;      // the next number to be told
  bool wants_raw_ = false;   // the store asked for raw columns
  bool planned_ = false;     // what follows is valid
  uint64_t rebuild_at_ = 0;  // next number to look at for the rebuild
  uint64_t rebuild_keyframe_ = 0;
  uint64_t rebuild_end_ = 0;       // rebuild is done when rebuild_at_ is here
  std::optional<RawRecords> raw_;  // if values go as raw columns
  storage::v1::Records message_;
  std::string body_;
};

}  // namespace trawl

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/store/store_backend.h"
#include "core/append/record_decoder.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// The store's way back to a writer, without gRPC's types. Thread-safe.
class StoreStream {
 public:
  virtual ~StoreStream() = default;
  // Queued; sent in order.
  virtual void Send(storage::v1::AppendResponse message) = 0;
  // After what was sent. What comes later, of both methods, is ignored.
  virtual void Finish(const absl::Status& status) = 0;
};

// The store's side of one Append stream once its Hello was accepted: decodes records in order,
// hands them to the lane's writer, keeps count of the window (storage-protocol, Session 2, 3, 6,
// 7). Opening, fencing and committing are StoreSessions'.
// Store thread only.
class AppendSession : private RecordDecoder::Visitor {
 public:
  struct Options {
    LaneKey lane;
    uint64_t incarnation = 0;
    uint64_t window_bytes = 0;
  };

  AppendSession(const Options& options, const LaneState& state, std::unique_ptr<LaneWriter> writer);
  ~AppendSession() override;

  const LaneKey& lane() const { return options_.lane; }
  uint64_t incarnation() const { return options_.incarnation; }

  // kResourceExhausted: the window was overrun. Others as RecordDecoder and LaneWriter. After an
  // error the stream must end.
  absl::Status OnRecords(const storage::v1::Records& records);
  absl::Status OnGap(const storage::v1::Gap& gap);

  // Gives the window of what is durable back.
  void OnDurable(uint64_t durable);
  // The limit to tell the writer now.
  uint64_t TellWindow();
  // So much of the window is free and untold that the writer should hear of it without waiting for
  // something to become durable (a rebuild gives back without a commit).
  bool window_worth_telling() const;
  // Messages taken and not yet durable.
  size_t uncommitted_messages() const { return uncommitted_.size(); }
  // Why the back end refused what OnRecords brought.
  bool backend_failed() const { return !backend_status_.ok(); }

 private:
  struct Uncommitted {
    uint64_t last_number;
    uint64_t bytes;
  };

  void OnScrape(const DecodedScrape& scrape) override;
  void OnLayoutReplaced(const DecodedLayout& gone, const DecodedLayout& by) override;
  void OnSegment(const DecodedSegment& segment) override;
  RecordDecoder& Decoder(uint64_t first_number);
  uint64_t limit() const { return options_.window_bytes + released_bytes_; }

  const Options options_;
  const uint64_t resumed_at_;  // durable at Welcome: what is at or below it is not stored
  std::unique_ptr<LaneWriter> writer_;
  std::unique_ptr<RecordDecoder> decoder_;  // null until the first message
  absl::Status backend_status_;
  std::deque<Uncommitted> uncommitted_;
  uint64_t received_bytes_ = 0;
  uint64_t released_bytes_ = 0;
  uint64_t told_limit_;
};

}  // namespace trawl

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/store/append_session.h"
#include "core/append/record_encoder.h"
#include "core/append/record_log.h"
#include "core/model/labels.h"
#include "core/model/layout.h"
#include "core/model/series_key.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// A writer of one lane: makes numbered records with the real encoder and keeps them, so that a
// test can send, resend and lose them as it likes.
class TestWriter {
 public:
  explicit TestWriter(Labels external = {{"cluster", "c1"}});
  ~TestWriter();

  // A target with these metric names (or whole key labels) in order.
  LayoutPtr Target(const std::string& instance, const std::vector<std::string>& metrics);
  LayoutPtr TargetOf(const Labels& target, const std::vector<SeriesKey>& keys);

  // One scrape; its number is last_number() afterwards.
  void Scrape(const LayoutPtr& layout, int64_t time_ms, const std::vector<double>& values);
  void Append(const ScrapeBatch& batch);
  // The next record begins a new segment.
  void Roll();
  // The next scrape is a keyframe.
  void Keyframe() { encoder_.BeginKeyframe(); }
  void ForgetTarget(const LayoutPtr& layout);

  uint64_t last_number() const { return records_.size(); }

  static storage::v1::AppendRequest Hello(uint64_t incarnation = 10, uint64_t epoch = 10,
                                          uint32_t lane = 0, const std::string& writer = "w1");
  // Records [from, to] in one message.
  storage::v1::AppendRequest Records(uint64_t from, uint64_t to, bool rebuild = false) const;
  // The same with zstd.
  storage::v1::AppendRequest Compressed(uint64_t from, uint64_t to) const;
  // The records at or below `durable` that a stream needs before it goes on; this writer rolls
  // rarely, so it is all of the segment.
  storage::v1::AppendRequest Rebuild(uint64_t durable) const { return Records(1, durable, true); }
  static storage::v1::AppendRequest Gap(uint64_t from, uint64_t to, uint64_t samples,
                                        storage::v1::Gap::Reason reason);

 private:
  KeyTable table_;
  RecordEncoder encoder_;
  const Labels external_;
  std::vector<std::string> records_;
};

// The wire of a session under test: what the store sends stands in `sent`.
class FakeStoreStream final : public StoreStream {
 public:
  void Send(storage::v1::AppendResponse message) override;
  void Finish(const absl::Status& status) override;

  bool has_welcome() const;
  const storage::v1::Welcome& welcome() const;
  // The newest Ack; an empty one if there is none.
  storage::v1::Ack last_ack() const;
  size_t acks() const;

  std::vector<storage::v1::AppendResponse> sent;
  bool finished = false;
  absl::Status status;
};

}  // namespace trawl

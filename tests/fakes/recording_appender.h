#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/append/appender.h"
#include "core/model/labels.h"

namespace trawl {

// One sample as storage would see it.
struct RecordedSample {
  Labels labels;
  int64_t timestamp_ms = 0;
  double value = 0;

  // `up{job="j"} 1 @1000`; the value `stale` for a stale marker.
  std::string ToString() const;
};

// An Appender that spells out each batch: samples in the order of the layout, absent ones left
// out, stale bitmaps as stale markers. Not thread-safe.
class RecordingAppender final : public Appender {
 public:
  struct Batch {
    uint64_t layout_id = 0;
    int64_t timestamp_ms = 0;
    uint32_t flags = 0;
    std::vector<RecordedSample> samples;
  };

  absl::Status Append(const ScrapeBatch& batch) override;
  void Forget(const LayoutPtr& layout) override;

  // What Append answers from now on; after an error nothing is recorded.
  void set_status(absl::Status status) { status_ = std::move(status); }

  const std::vector<Batch>& batches() const { return batches_; }
  const std::vector<uint64_t>& forgotten() const { return forgotten_; }
  // Every sample of every batch, in order.
  std::vector<RecordedSample> samples() const;
  // Samples as text; report series left out. The last batch only.
  std::vector<std::string> LastBody() const;
  // The last batch's report series by name, as text.
  std::map<std::string, std::string> LastReport() const;
  void Clear() { batches_.clear(); }

 private:
  absl::Status status_;
  std::vector<Batch> batches_;
  std::vector<size_t> report_begin_;  // of each batch: index of the first report sample
  std::vector<uint64_t> forgotten_;
};

}  // namespace trawl

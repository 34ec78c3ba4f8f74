#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace trawl {

// How many samples stores refused for good, by the target whose they are, on one lane.
//
// A store names a record. Which target that is a scrape of is remembered until every sink has it,
// at 16 bytes a record, and for the newest `max_records` at most: of what waits for longer than
// that the sink's own count is all there is. Not thread-safe: the lane's thread.
class RejectedSamples {
 public:
  // By sink and storage::v1::Reject::Code.
  using Counts = std::map<std::pair<std::string, int>, uint64_t>;
  // By Labels::Hash of the target's labels.
  using ByTarget = absl::flat_hash_map<uint64_t, std::shared_ptr<const Counts>>;

  explicit RejectedSamples(size_t max_records = size_t{1} << 17) : max_records_(max_records) {}

  // Numbers rise from call to call.
  void NoteRecord(uint64_t number, uint64_t target);
  // Every sink has the records up to it.
  void Trim(uint64_t durable);
  // A record that is not known is none of anybody's.
  void Count(std::string_view sink, uint64_t number, int code, uint64_t samples);
  // The target is gone.
  void Forget(uint64_t target);

  // Null: nothing. The same object for as long as nothing changes.
  std::shared_ptr<const ByTarget> Snapshot() const;

 private:
  struct Record {
    uint64_t number = 0;
    uint64_t target = 0;
  };

  const size_t max_records_;
  std::deque<Record> records_;  // by number
  ByTarget counts_;
  mutable std::shared_ptr<const ByTarget> snapshot_;  // null: not made since the last change
};

}  // namespace trawl

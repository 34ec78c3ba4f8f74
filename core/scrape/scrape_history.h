#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/scrape/scrape_record.h"

namespace trawl {

// The last scrapes of one target, packed: about a kilobyte, as there may be 100,000 targets.
// Times are kept in microseconds (up to 71 minutes), counts and sizes up to 2^32 - 1; what is
// larger is kept as the largest. Adding a scrape like the one before allocates nothing.
// Not thread-safe.
class ScrapeHistory {
 public:
  static constexpr size_t kScrapes = 10;
  static constexpr size_t kMaxErrorBytes = 512;

  void Add(const ScrapeRecord& record);
  // The newest first.
  std::vector<ScrapeRecord> List() const;

 private:
  // What most scrapes have in common with the one before.
  struct Notes {
    std::string content_type;
    std::string error;
    uint64_t out_of_order = 0;
    uint64_t duplicates = 0;
    uint64_t out_of_bounds = 0;
  };
  struct Entry {
    int64_t start_ms = 0;
    std::shared_ptr<const Notes> notes;
    std::array<uint32_t, 7> phases_us{};  // in the order of ScrapePhases
    uint32_t lateness_us = 0;
    uint32_t duration_us = 0;
    uint32_t body_bytes = 0;
    uint32_t inflated_bytes = 0;
    uint32_t scraped = 0;
    uint32_t post_relabeling = 0;
    uint32_t series_added = 0;
    uint16_t http_status = 0;
    FailureReason reason = FailureReason::kNone;
    bool connection_reused = false;
  };
  static_assert(sizeof(Entry) <= 88);

  std::shared_ptr<const Notes> NotesOf(const ScrapeRecord& record) const;
  static ScrapeRecord Unpack(const Entry& entry);

  uint64_t added_ = 0;  // the newest is at (added_ - 1) % kScrapes
  std::array<Entry, kScrapes> entries_;
};

}  // namespace trawl

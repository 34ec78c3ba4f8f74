#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/append/appender.h"
#include "core/model/series_key.h"
#include "core/scrape/scrape_scratch.h"
#include "core/scrape/series_cache.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// The pages of a folder of tests/data/exposition-captures.tar.zst ("node_exporter",
// "prometheus"), in order: one exporter, scraped every few seconds.
absl::StatusOr<std::vector<std::string>> ReadCaptures(const std::string& archive,
                                                      const std::string& folder);

// A target that serves them, one every 10 s: what the scrape loop makes of each, report series
// included.
class CapturedTarget {
 public:
  CapturedTarget();
  // Valid until the next call.
  const ScrapeBatch& Scrape(const std::string& page);

 private:
  KeyTable keys_;
  SeriesCache cache_;
  ScrapeScratch scratch_;
  int64_t time_ms_ = 1'763'959'250'000;
};

// What scrapes take in messages of four scrapes each, record framing included.
struct MessageSizes {
  uint64_t samples = 0;
  uint64_t plain_bytes = 0;
  uint64_t zstd_bytes = 0;  // of the same messages, zstd-1 over each

  double plain_per_sample() const { return Ratio(plain_bytes); }
  double zstd_per_sample() const { return Ratio(zstd_bytes); }

 private:
  double Ratio(uint64_t bytes) const {
    return static_cast<double>(bytes) / static_cast<double>(samples);
  }
};
struct CaptureSizes {
  MessageSizes steady;  // the S records from the second scrape on
  MessageSizes whole;   // all records: definitions and the first scrape as well
};
absl::StatusOr<CaptureSizes> MeasureSizes(const std::vector<std::string>& pages,
                                          storage::v1::Encoding encoding);

}  // namespace trawl

#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/append/appender.h"
#include "core/append/record_decoder.h"
#include "core/model/layout.h"
#include "core/model/series_key.h"

namespace trawl {

// One sample as storage sees it: equal in bits, so that NaNs compare.
struct Row {
  std::string labels;
  int64_t time_ms = 0;
  uint64_t bits = 0;
  friend bool operator==(const Row&, const Row&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Row& row) {
    return out << row.labels << " " << row.bits << " @" << row.time_ms;
  }
};
using Rows = std::vector<Row>;

// A target whose page changes from one scrape to the next: series come and go, values are of all
// kinds, scrapes fail. Deterministic by its seed. A test's stand-in for the scrape loop.
class PageSource {
 public:
  PageSource(KeyTable& table, std::string instance, uint64_t seed);
  ~PageSource();

  // The next scrape; valid until the next call. Series that vanish end with a stale marker, and
  // are gone from the layout of the scrape behind it.
  const ScrapeBatch& NextScrape();
  // The last one: stale markers for all.
  const ScrapeBatch& Gone();
  // What storage should hold of the newest scrape.
  Rows ExpectedRows(const Labels& external_labels) const;
  const LayoutPtr& layout() const { return layout_; }
  int64_t time_ms() const { return batch_.timestamp_ms; }  // of the newest scrape

 private:
  KeyId MakeKey();
  void ChangePage();
  double MakeValue();
  bool Chance(int percent) { return static_cast<int>(random_() % 100) < percent; }

  KeyTable& table_;
  std::mt19937_64 random_;
  std::shared_ptr<const Labels> target_labels_;
  std::vector<KeyId> keys_;   // of the page; this object's own references
  std::vector<bool> ending_;  // get a marker in this scrape and go before the next
  LayoutPtr layout_;
  int64_t time_ms_ = 1'700'000'000'000;
  std::vector<double> values_;
  std::vector<uint64_t> absent_;
  std::vector<uint64_t> stale_;
  std::vector<ScrapeBatch::ExplicitTime> times_;
  ScrapeBatch batch_;
};

// What a decoded scrape tells.
Rows RowsOf(const DecodedScrape& scrape);

}  // namespace trawl

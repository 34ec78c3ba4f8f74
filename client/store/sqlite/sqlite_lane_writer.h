#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "client/store/lane_ledger.h"
#include "client/store/sqlite/database.h"
#include "client/store/sqlite/sqlite_catalog.h"
#include "client/store/store_backend.h"

namespace trawl {

// What all lanes of a SqliteBackend write with.
struct SqliteWriting {
  SqlDatabase& database;
  SqliteCatalog& catalog;
  LaneLedger& ledger;
  SqlStatement add_scrape;
  SqlStatement add_timed;
  absl::Status failure;  // the first since the transaction began: it must be rolled back
  bool in_transaction = false;
  uint64_t samples = 0;  // stored since the file was opened

  // Begins a transaction if there is none.
  absl::Status Begin();
  // Writes a sample with a time of its own; false: it is there already.
  absl::StatusOr<bool> AddTimed(int64_t key, int64_t target, int64_t time_ms, double value);
};

// Writes one lane's scrapes into the open transaction. Knows the rows of its stream's layouts.
// Store thread only.
class SqliteLaneWriter final : public LaneWriter {
 public:
  SqliteLaneWriter(SqliteWriting& writing, LaneLedger::Entry& entry);
  ~SqliteLaneWriter() override;

  absl::Status Write(const DecodedScrape& scrape) override;
  absl::Status CountDuplicate(const DecodedScrape& scrape) override;
  absl::Status Advance(uint64_t number, uint64_t lost) override;
  void ForgetLayout(uint64_t uid) override;
  void ForgetAll() override;

 private:
  struct Rows {
    int64_t target = 0;
    int64_t layout = 0;
  };

  absl::Status WriteNow(const DecodedScrape& scrape);
  absl::StatusOr<Rows> FindRows(const DecodedLayout& layout);
  absl::StatusOr<Rows> MakeRows(const DecodedLayout& layout);
  absl::StatusOr<int64_t> KeyRow(const DecodedKey& key);
  absl::StatusOr<bool> TakesMarkers(const DecodedScrape& scrape, int64_t target);
  absl::Status WriteRow(const DecodedScrape& scrape, const Rows& rows, bool markers);
  absl::Status WriteTimed(const DecodedScrape& scrape, const Rows& rows);
  absl::Status Fail(const absl::Status& status);

  SqliteWriting& writing_;
  LaneLedger::Entry& entry_;
  absl::flat_hash_map<uint64_t, Rows> layouts_;  // by the decoder's uid
  absl::flat_hash_map<uint64_t, int64_t> keys_;  // by the decoder's uid
  std::string values_;                           // scratch
};

}  // namespace trawl

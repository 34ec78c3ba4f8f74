#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "client/store/store_backend.h"
#include "core/base/file_system.h"

namespace trawl {

// Keeps samples in a SQLite file that any sqlite3 reads, also while it is written (WAL).
//
// FORMAT 1 (PRAGMA application_id 0x7472776c "trwl", user_version 1; sqlite/schema.h has the SQL):
// one row a scrape, its values as a JSON array in the order of a layout, which lists keys (metric
// and labels without the target's). Layouts of equal content are one row, whatever target, segment
// or run they came from. The view
//
//   samples(metric TEXT, labels TEXT, timestamp_ms INTEGER, value REAL, stale INTEGER)
//
// joins them: labels is a JSON object without __name__ and with the target's and the external
// labels. value is REAL; +Inf and -Inf are SQLite's infinities; NULL with stale = 0 is NaN, NULL
// with stale = 1 is a stale marker (the series ended there). In the table, where JSON has no such
// numbers, these four are the strings "+Inf", "-Inf", "NaN", "stale", and null is "no sample".
// Samples with a time of their own, and those of Write, stand in timed_samples, which the view
// adds.
struct SqliteOptions {
  std::string path;
  // Scrapes older than this go. 0: kept for ever.
  absl::Duration retention_time = absl::Hours(24 * 15);
  // Bytes of the file in use, above which the oldest scrapes go. 0: no bound.
  uint64_t retention_bytes = uint64_t{16} << 30;
  // Of each stream, see StoreBackend::window_bytes.
  uint64_t window_bytes = uint64_t{8} << 20;
};

// Creates the file, and its directory, if they are not there. Holds `<path>.lock` while open.
// Errors of the factory: kFailedPrecondition (another program's file, a newer format, in use by
// another process), kPermissionDenied, kDataLoss (damaged), kResourceExhausted (the disk is full),
// kUnknown (the disk failed); others.
// `fs` must outlive the back end.
StoreBackendFactory SqliteBackendFactory(SqliteOptions options, FileSystem& fs);

}  // namespace trawl

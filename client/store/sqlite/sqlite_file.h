#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/store/sqlite/database.h"
#include "core/base/file_system.h"

namespace trawl {

// Opens a file of format 1 for writing, or makes it: WAL, synchronous=FULL.
// Errors: see sqlite_backend.h.
absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenSqliteForWriting(const std::string& path);

// Opens it for reading, while it may be written. kNotFound, and as above.
absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenSqliteForReading(const std::string& path);

}  // namespace trawl

#include "client/store/sqlite/sqlite_file.h"

#include "absl/strings/str_cat.h"
#include "client/store/sqlite/schema.h"
#include "core/base/hash.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

// FULL: an ack is given for what a power loss can't take. The cache bounds memory at 64 MiB. Pages
// keep SQLite's 4096 bytes: with larger ones rows of a few kB pack badly, and each scrape dirties
// a leaf of the index.
constexpr char kWritePragmas[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;"
    "PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;"
    "PRAGMA temp_store = MEMORY;";

// OK: ours; kNotFound: an empty file.
absl::Status CheckFormat(SqlDatabase& database) {
  ASSIGN_OR_RETURN(const int64_t application, database.QueryInt("PRAGMA application_id"));
  ASSIGN_OR_RETURN(const int64_t format, database.QueryInt("PRAGMA user_version"));
  ASSIGN_OR_RETURN(const int64_t tables, database.QueryInt("SELECT count(*) FROM sqlite_schema"));
  if (application == 0 && tables == 0) return absl::NotFoundError("an empty database");
  if (application != kSqliteApplicationId) {
    return absl::FailedPreconditionError(
        absl::StrCat(database.path(), " is a SQLite database of another program"));
  }
  if (format > kSqliteFormat) {
    return absl::FailedPreconditionError(absl::StrCat(database.path(), " has format ", format,
                                                      ", newer than this program's ", kSqliteFormat,
                                                      ": use the newer program, or another file"));
  }
  return absl::OkStatus();
}

absl::Status Create(SqlDatabase& database) {
  const std::string store_id = absl::StrCat(absl::Hex(HashKey::Random().seed, absl::kZeroPad16));
  return database.Execute(absl::StrCat("BEGIN IMMEDIATE;", kSqliteSchema,
                                       "INSERT INTO store VALUES('store_id', '", store_id, "');",
                                       "PRAGMA application_id = ", kSqliteApplicationId,
                                       ";PRAGMA user_version = ", kSqliteFormat, ";COMMIT;"));
}

absl::Status Explain(const absl::Status& status, const std::string& path) {
  if (status.code() == absl::StatusCode::kFailedPrecondition &&
      status.message().find("not a database") != absl::string_view::npos) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a SQLite database"));
  }
  return status;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenSqliteForWriting(const std::string& path) {
  ASSIGN_OR_RETURN(auto database, SqlDatabase::Open(path, SqlDatabase::Mode::kCreate));
  const absl::Status format = CheckFormat(*database);
  if (absl::IsNotFound(format)) {
    RETURN_IF_ERROR(Create(*database));
  } else if (!format.ok()) {
    return Explain(format, path);
  }
  RETURN_IF_ERROR(database->Execute(kWritePragmas));
  RETURN_IF_ERROR(database->Execute(kSqliteLaterIndexes));
  return database;
}

absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenSqliteForReading(const std::string& path) {
  ASSIGN_OR_RETURN(auto database, SqlDatabase::Open(path, SqlDatabase::Mode::kReadOnly));
  const absl::Status format = CheckFormat(*database);
  if (absl::IsNotFound(format)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is an empty database"));
  }
  if (!format.ok()) return Explain(format, path);
  return database;
}

}  // namespace trawl

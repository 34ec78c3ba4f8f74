#include "client/store/sqlite/database.h"

#include <errno.h>
#include <sqlite3.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/concat.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

constexpr int kBusyTimeoutMs = 2'000;

bool IsWantOfRoom(int error) { return error == ENOSPC || error == EDQUOT; }

// `error`: errno, where the operating system failed; SQLite keeps none of -shm that can't grow.
absl::StatusCode CodeOf(int code, int error) {
  if (code == SQLITE_IOERR_SHMSIZE) return absl::StatusCode::kResourceExhausted;
  switch (code & 0xff) {
    case SQLITE_NOTADB:
      return absl::StatusCode::kFailedPrecondition;
    case SQLITE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::StatusCode::kUnavailable;
    case SQLITE_CORRUPT:
      return absl::StatusCode::kDataLoss;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return absl::StatusCode::kPermissionDenied;
    case SQLITE_IOERR:
      return absl::StatusCode::kUnknown;
    case SQLITE_CANTOPEN:
      return IsWantOfRoom(error) ? absl::StatusCode::kResourceExhausted
                                 : absl::StatusCode::kNotFound;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::Status ErrorOf(sqlite3* handle) {
  const char* file = sqlite3_db_filename(handle, "main");
  return absl::Status(CodeOf(sqlite3_extended_errcode(handle), sqlite3_system_errno(handle)),
                      absl::StrCat(sqlite3_errmsg(handle), "; file ", file ? file : ""));
}

}  // namespace

void SqlStatement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

SqlStatement& SqlStatement::Bind(int parameter, int64_t value) {
  sqlite3_bind_int64(statement_.get(), parameter, value);
  return *this;
}
SqlStatement& SqlStatement::Bind(int parameter, double value) {
  sqlite3_bind_double(statement_.get(), parameter, value);
  return *this;
}
SqlStatement& SqlStatement::Bind(int parameter, std::string_view text) {
  sqlite3_bind_text64(statement_.get(), parameter, text.data(), text.size(), SQLITE_STATIC,
                      SQLITE_UTF8);
  return *this;
}
SqlStatement& SqlStatement::BindBlob(int parameter, std::string_view bytes) {
  sqlite3_bind_blob64(statement_.get(), parameter, bytes.data(), bytes.size(), SQLITE_STATIC);
  return *this;
}
SqlStatement& SqlStatement::BindNull(int parameter) {
  sqlite3_bind_null(statement_.get(), parameter);
  return *this;
}

absl::StatusOr<bool> SqlStatement::Step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  const absl::Status status =
      code == SQLITE_DONE ? absl::OkStatus() : ErrorOf(sqlite3_db_handle(statement_.get()));
  Reset();
  if (!status.ok()) return status;
  return false;
}

absl::Status SqlStatement::Run() {
  ASSIGN_OR_RETURN(const bool row, Step());
  if (row) Reset();
  return absl::OkStatus();
}

void SqlStatement::Reset() { sqlite3_reset(statement_.get()); }

int64_t SqlStatement::Int(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}
double SqlStatement::Real(int column) const {
  return sqlite3_column_double(statement_.get(), column);
}
std::string_view SqlStatement::Text(int column) const {
  const auto* text = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  return {text, text == nullptr
                    ? 0
                    : static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column))};
}
bool SqlStatement::IsNull(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}
bool SqlStatement::IsText(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_TEXT;
}

absl::StatusOr<std::unique_ptr<SqlDatabase>> SqlDatabase::Open(const std::string& path, Mode mode) {
  sqlite3* handle = nullptr;
  const int flags =
      mode == Mode::kCreate ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<SqlDatabase> database(new SqlDatabase(path, handle));
  if (code != SQLITE_OK) {
    return absl::Status(CodeOf(code, sqlite3_system_errno(handle)),
                        absl::StrCat(sqlite3_errmsg(handle), "; file ", path));
  }
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  return database;
}

SqlDatabase::~SqlDatabase() { sqlite3_close_v2(handle_); }

absl::Status SqlDatabase::Execute(const std::string& sql) {
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) {
    return absl::OkStatus();
  }
  return ErrorOf(handle_);
}

absl::StatusOr<SqlStatement> SqlDatabase::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return ErrorOf(handle_);
  SqlStatement prepared;
  prepared.statement_.reset(statement);
  return prepared;
}

absl::StatusOr<int64_t> SqlDatabase::QueryInt(std::string_view sql) {
  ASSIGN_OR_RETURN(SqlStatement statement, Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.Int(0) : 0;
}

int64_t SqlDatabase::last_insert_id() const { return sqlite3_last_insert_rowid(handle_); }
int64_t SqlDatabase::changes() const { return sqlite3_changes64(handle_); }

}  // namespace trawl

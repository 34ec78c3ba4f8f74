#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace trawl {

// A prepared statement: bind, step until false, reset. The database must outlive it.
// Not thread-safe.
class SqlStatement {
 public:
  SqlStatement() = default;

  // Parameters count from 1. Texts must stay as they are until Reset.
  SqlStatement& Bind(int parameter, int64_t value);
  SqlStatement& Bind(int parameter, double value);
  SqlStatement& Bind(int parameter, std::string_view text);
  SqlStatement& BindBlob(int parameter, std::string_view bytes);
  SqlStatement& BindNull(int parameter);

  // True: there is a row to read. After false or an error the statement is reset.
  absl::StatusOr<bool> Step();
  // For statements without rows.
  absl::Status Run();
  void Reset();

  // Of the current row; columns count from 0. Texts are valid until the next Step or Reset.
  int64_t Int(int column) const;
  double Real(int column) const;
  std::string_view Text(int column) const;
  bool IsNull(int column) const;
  bool IsText(int column) const;

 private:
  friend class SqlDatabase;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// A connection to a SQLite file. Errors: kFailedPrecondition (not a database), kResourceExhausted
// (disk full), kUnknown (the disk failed), kUnavailable (busy), kDataLoss (damaged),
// kPermissionDenied, kNotFound, kInternal; all with the path and SQLite's words.
// Not thread-safe.
class SqlDatabase {
 public:
  enum class Mode { kCreate, kReadOnly };
  static absl::StatusOr<std::unique_ptr<SqlDatabase>> Open(const std::string& path, Mode mode);
  ~SqlDatabase();
  SqlDatabase(const SqlDatabase&) = delete;
  SqlDatabase& operator=(const SqlDatabase&) = delete;

  const std::string& path() const { return path_; }
  // Statements without parameters, separated by semicolons; rows are ignored.
  absl::Status Execute(const std::string& sql);
  absl::StatusOr<SqlStatement> Prepare(std::string_view sql);
  // The first column of the first row; 0 if there is none.
  absl::StatusOr<int64_t> QueryInt(std::string_view sql);
  int64_t last_insert_id() const;
  int64_t changes() const;  // rows that the last statement changed

 private:
  SqlDatabase(std::string path, sqlite3* handle) : path_(std::move(path)), handle_(handle) {}
  const std::string path_;
  sqlite3* const handle_;
};

}  // namespace trawl

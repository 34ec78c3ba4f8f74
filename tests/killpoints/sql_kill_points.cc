#include "tests/killpoints/sql_kill_points.h"

#include <sqlite3.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "core/base/concat.h"

namespace trawl {
namespace {

using Observer = std::function<void(const std::string& point)>;

// Never destroyed: statements may run while the process ends.
Observer& TheObserver() {
  static Observer& observer = *new Observer;
  return observer;
}

// What it does and to which table, without the rest.
std::string_view NameOf(std::string_view sql) {
  size_t end = sql.size();
  for (const std::string_view rest : {"(", ";", " SET ", " VALUES", " WHERE "}) {
    end = std::min(end, sql.find(rest));
  }
  return sql.substr(0, end);
}

bool ChangesSomething(std::string_view name) {
  for (const std::string_view verb : {"INSERT", "UPDATE", "DELETE", "COMMIT"}) {
    if (absl::StartsWith(ToAbsl(name), ToAbsl(verb))) return true;
  }
  return false;
}

int OnStatement(unsigned when, void*, void* statement, void*) {
  const char* const sql = sqlite3_sql(static_cast<sqlite3_stmt*>(statement));
  const std::string_view name = NameOf(sql == nullptr ? "" : sql);
  if (!ChangesSomething(name)) return 0;
  TheObserver()(Concat(when == SQLITE_TRACE_STMT ? "before " : "after ", name));
  return 0;
}

int OnConnection(sqlite3* connection, char**, const sqlite3_api_routines*) {
  return sqlite3_trace_v2(connection, SQLITE_TRACE_STMT | SQLITE_TRACE_PROFILE, &OnStatement,
                          nullptr);
}

}  // namespace

void TellOfSqlStatements(Observer observer) {
  TheObserver() = std::move(observer);
  // SQLite says that it is called as what it is.
  sqlite3_auto_extension(reinterpret_cast<void (*)()>(&OnConnection));
}

}  // namespace trawl

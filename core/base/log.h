#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "core/base/duration.h"

// Structured logging in Prometheus' format (`time=… level=INFO msg="…" key=value`, or JSON),
// to standard error. Wraps spdlog. Thread-safe. Messages are short and constant; what varies
// is in fields, under Prometheus' names where it has them (scrape_pool, target, err, component).

namespace trawl {

enum class LogLevel { kDebug, kInfo, kWarn, kError };
enum class LogFormat { kLogfmt, kJson };

// For main: before the first thread starts. Defaults: info, logfmt.
void ConfigureLogging(LogLevel level, LogFormat format);
bool LogEnabled(LogLevel level);

struct LogField {
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(v) {}
  LogField(std::string_view k, const absl::Status& v) : key(k), value(v.message()) {}
  LogField(std::string_view k, absl::Duration v) : key(k), value(FormatGoDuration(v)) {}
  LogField(std::string_view k, bool v) : key(k), value(v ? "true" : "false") {}
  template <typename Number>
  requires std::is_arithmetic_v<Number> LogField(std::string_view k, Number v)
      : key(k), value(absl::StrCat(v)) {}

  std::string_view key;
  std::string value;
};

// One record as a line without its end. Pure: what Log writes, and what tests look at. No
// character of a value (a hostile label) can end the line or steer a terminal.
std::string FormatLogRecord(LogFormat format, absl::Time time, LogLevel level,
                            std::string_view message, std::initializer_list<LogField> fields);

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});

inline void LogDebug(std::string_view m, std::initializer_list<LogField> f = {}) {
  if (LogEnabled(LogLevel::kDebug)) Log(LogLevel::kDebug, m, f);
}
inline void LogInfo(std::string_view m, std::initializer_list<LogField> f = {}) {
  Log(LogLevel::kInfo, m, f);
}
inline void LogWarn(std::string_view m, std::initializer_list<LogField> f = {}) {
  Log(LogLevel::kWarn, m, f);
}
inline void LogError(std::string_view m, std::initializer_list<LogField> f = {}) {
  Log(LogLevel::kError, m, f);
}

}  // namespace trawl

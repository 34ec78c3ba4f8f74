#include "core/base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <memory>

#include "core/base/clock.h"
#include "core/base/text.h"

namespace trawl {
namespace {

std::atomic<LogLevel> g_level{LogLevel::kInfo};
std::atomic<LogFormat> g_format{LogFormat::kLogfmt};

// Never destroyed: threads may log until the process ends.
spdlog::logger& Backend() {
  static spdlog::logger* const logger = [] {
    auto* made = new spdlog::logger("trawl", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");  // the record is formatted here, not by spdlog
    made->set_level(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

std::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "DEBUG";
    case LogLevel::kInfo:
      return "INFO";
    case LogLevel::kWarn:
      return "WARN";
    case LogLevel::kError:
      return "ERROR";
  }
  return "INFO";
}

spdlog::level::level_enum BackendLevel(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

// When Go's slog text handler quotes.
bool NeedsQuoting(std::string_view text) {
  return text.empty() || text.find_first_of(" =\"") != std::string_view::npos ||
         !IsPrintableText(text);
}

void AppendPair(LogFormat format, std::string& line, std::string_view key, std::string_view value) {
  if (format == LogFormat::kJson) {
    absl::StrAppend(&line, line.size() > 1 ? "," : "", JsonQuote(key), ":", JsonQuote(value));
    return;
  }
  if (!line.empty()) line += ' ';
  absl::StrAppend(&line, NeedsQuoting(key) ? GoQuote(key) : std::string(key), "=",
                  NeedsQuoting(value) ? GoQuote(value) : std::string(value));
}

}  // namespace

void ConfigureLogging(LogLevel level, LogFormat format) {
  g_level = level;
  g_format = format;
}

bool LogEnabled(LogLevel level) { return level >= g_level.load(std::memory_order_relaxed); }

std::string FormatLogRecord(LogFormat format, absl::Time time, LogLevel level,
                            std::string_view message, std::initializer_list<LogField> fields) {
  std::string line = format == LogFormat::kJson ? "{" : "";
  AppendPair(format, line, "time",
             absl::FormatTime("%E4Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone()));
  AppendPair(format, line, "level", LevelName(level));
  AppendPair(format, line, "msg", message);
  for (const LogField& field : fields) AppendPair(format, line, field.key, field.value);
  if (format == LogFormat::kJson) line += '}';
  return line;
}

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  if (!LogEnabled(level)) return;
  const std::string line = FormatLogRecord(g_format, SystemClock().Now(), level, message, fields);
  Backend().log(BackendLevel(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace trawl

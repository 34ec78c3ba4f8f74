#include "core/base/log.h"

#include <gtest/gtest.h>

#include <string>

namespace trawl {
namespace {

const absl::Time kTime =
    absl::FromCivil(absl::CivilSecond(2026, 1, 1), absl::UTCTimeZone()) + absl::Milliseconds(7);

std::string Logfmt(std::string_view message, std::initializer_list<LogField> fields) {
  return FormatLogRecord(LogFormat::kLogfmt, kTime, LogLevel::kInfo, message, fields);
}

TEST(LogTest, ARecordIsWrittenAsPrometheusWritesIt) {
  EXPECT_EQ(Logfmt("Scrape pool started",
                   {{"scrape_pool", "node"}, {"targets", 3}, {"in", absl::Seconds(90)}}),
            "time=2026-01-01T00:00:00.007Z level=INFO msg=\"Scrape pool started\" "
            "scrape_pool=node targets=3 in=1m30s");
}

TEST(LogTest, ValuesAreQuotedWhereTheyMustBe) {
  EXPECT_EQ(Logfmt("m", {{"a", ""}, {"b", "x=y"}, {"c", "say \"hi\""}, {"d", "back\\slash"}}),
            R"(time=2026-01-01T00:00:00.007Z level=INFO msg=m a="" b="x=y" c="say \"hi\"" )"
            R"(d=back\slash)");
}

TEST(LogTest, AHostileValueCannotEndTheLineOrSteerATerminal) {
  const std::string line = Logfmt("m", {{"label", "a\nlevel=ERROR\x1b[31m\x7f\xc2\x9b\xff"}});
  EXPECT_EQ(line,
            "time=2026-01-01T00:00:00.007Z level=INFO msg=m "
            R"(label="a\nlevel=ERROR\x1b[31m\x7f\u009b\xff")");
}

TEST(LogTest, JsonHasTheSameFields) {
  EXPECT_EQ(FormatLogRecord(LogFormat::kJson, kTime, LogLevel::kError, "bad\n",
                            {{"err", absl::InternalError("line \"1\"\xff")}, {"ok", false}}),
            R"({"time":"2026-01-01T00:00:00.007Z","level":"ERROR","msg":"bad\u000a",)"
            R"("err":"line \"1\"\ufffd","ok":"false"})");
}

TEST(LogTest, LevelsBelowTheConfiguredOneAreOff) {
  ConfigureLogging(LogLevel::kWarn, LogFormat::kLogfmt);
  EXPECT_FALSE(LogEnabled(LogLevel::kInfo));
  EXPECT_TRUE(LogEnabled(LogLevel::kWarn));
  ::testing::internal::CaptureStderr();

  LogInfo("hidden");
  LogError("shown", {{"key", "value"}});

  const std::string written = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(written.find("hidden"), std::string::npos);
  EXPECT_NE(written.find("level=ERROR msg=shown key=value\n"), std::string::npos);
  ConfigureLogging(LogLevel::kInfo, LogFormat::kLogfmt);
}

}  // namespace
}  // namespace trawl

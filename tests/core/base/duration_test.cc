#include "core/base/duration.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);

TEST(DurationTest, PrometheusDurationsParse) {
  const std::vector<std::pair<std::string, absl::Duration>> cases = {
      {"0", absl::ZeroDuration()},
      {"0s", absl::ZeroDuration()},
      {"0w", absl::ZeroDuration()},
      {"324ms", absl::Milliseconds(324)},
      {"3s", absl::Seconds(3)},
      {"5m", absl::Minutes(5)},
      {"1h", absl::Hours(1)},
      {"4d", 4 * kDay},
      {"4d1h", 4 * kDay + absl::Hours(1)},
      {"14d", 14 * kDay},
      {"3w", 21 * kDay},
      {"3w2d1h", 23 * kDay + absl::Hours(1)},
      {"10y", 3650 * kDay},
      {"1y2w3d4h5m6s7ms", 365 * kDay + 17 * kDay + absl::Hours(4) + absl::Minutes(5) +
                              absl::Seconds(6) + absl::Milliseconds(7)},
  };
  for (const auto& [text, want] : cases) {
    EXPECT_THAT(ParsePrometheusDuration(text), IsOkAndHolds(want)) << text;
  }
}

TEST(DurationTest, WrongDurationsGivePrometheusErrors) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "empty duration string"},
      {"1", R"(not a valid duration string: "1")"},
      {"1y1m1d", R"(not a valid duration string: "1y1m1d")"},
      {"-1w", R"(not a valid duration string: "-1w")"},
      {"1.5d", R"(unknown unit "." in duration "1.5d")"},
      {"d", R"(not a valid duration string: "d")"},
      {"1s1s", R"(not a valid duration string: "1s1s")"},
      {"1x", R"(unknown unit "x" in duration "1x")"},
      {"1s ", R"(unknown unit "s " in duration "1s ")"},
      {"294y", "duration out of range"},
      {"200y10400w", "duration out of range"},
      {"107675d", "duration out of range"},
      {"2584200h", "duration out of range"},
      {"99999999999999999999s", R"(not a valid duration string: "99999999999999999999s")"},
  };
  for (const auto& [text, want] : cases) {
    EXPECT_THAT(ParsePrometheusDuration(text), StatusIs(absl::StatusCode::kInvalidArgument, want))
        << text;
  }
}

TEST(DurationTest, PrometheusDurationsPrintAsPrometheusDoes) {
  const std::vector<std::pair<absl::Duration, std::string>> cases = {
      {absl::ZeroDuration(), "0s"},
      {absl::Microseconds(10), "0s"},
      {absl::Milliseconds(324), "324ms"},
      {absl::Seconds(90), "1m30s"},
      {absl::Milliseconds(1500), "1s500ms"},
      {7 * kDay, "1w"},
      {8 * kDay, "8d"},
      {365 * kDay, "1y"},
      {366 * kDay, "366d"},
      {730 * kDay, "2y"},
      {kDay + absl::Hours(1), "1d1h"},
      {14 * kDay, "2w"},
  };
  for (const auto& [duration, want] : cases) {
    EXPECT_EQ(FormatPrometheusDuration(duration), want);
  }
}

TEST(DurationTest, GoDurationsPrintAsGoDoes) {
  const std::vector<std::pair<absl::Duration, std::string>> cases = {
      {absl::ZeroDuration(), "0s"},
      {absl::Nanoseconds(1), "1ns"},
      {absl::Nanoseconds(1100), "1.1µs"},
      {absl::Microseconds(2200), "2.2ms"},
      {absl::Milliseconds(3300), "3.3s"},
      {absl::Seconds(15), "15s"},
      {absl::Minutes(1), "1m0s"},
      {absl::Minutes(4) + absl::Milliseconds(5001), "4m5.001s"},
      {absl::Hours(5) + absl::Minutes(6) + absl::Milliseconds(7001), "5h6m7.001s"},
      {absl::Hours(1), "1h0m0s"},
      {-absl::Seconds(90), "-1m30s"},
      {absl::Nanoseconds(std::numeric_limits<int64_t>::max()), "2562047h47m16.854775807s"},
      {absl::Nanoseconds(std::numeric_limits<int64_t>::min()), "-2562047h47m16.854775808s"},
  };
  for (const auto& [duration, want] : cases) EXPECT_EQ(FormatGoDuration(duration), want);
}

TEST(DurationTest, TimesPrintAsGoDoes) {
  const absl::Time time =
      absl::FromCivil(absl::CivilSecond(2026, 1, 2, 3, 4, 5), absl::UTCTimeZone());
  EXPECT_EQ(FormatGoTime(time), "2026-01-02T03:04:05Z");
  EXPECT_EQ(FormatGoTime(time + absl::Milliseconds(120)), "2026-01-02T03:04:05.12Z");
  EXPECT_EQ(FormatGoTime(time + absl::Nanoseconds(1)), "2026-01-02T03:04:05.000000001Z");
  EXPECT_EQ(FormatGoTime(absl::InfinitePast()), "0001-01-01T00:00:00Z");
}

}  // namespace
}  // namespace trawl

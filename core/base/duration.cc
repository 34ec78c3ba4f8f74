#include "core/base/duration.h"

#include <array>
#include <cstdint>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/text.h"

namespace trawl {
namespace {

struct Unit {
  std::string_view name;
  uint64_t milliseconds;
  bool only_if_exact;  // printed only when the rest is a multiple of it
};

constexpr uint64_t kSecondMs = 1000;
constexpr uint64_t kDayMs = 24 * 60 * 60 * kSecondMs;
// In the order in which they may stand.
constexpr std::array<Unit, 7> kUnits = {{{"y", 365 * kDayMs, true},
                                         {"w", 7 * kDayMs, true},
                                         {"d", kDayMs, false},
                                         {"h", 3600 * kSecondMs, false},
                                         {"m", 60 * kSecondMs, false},
                                         {"s", kSecondMs, false},
                                         {"ms", 1, false}}};
constexpr uint64_t kNanosecondsPerMillisecond = 1'000'000;
constexpr uint64_t kMaxNanoseconds = std::numeric_limits<int64_t>::max();

absl::Status NotValid(std::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat("not a valid duration string: ", GoQuote(text)));
}

absl::Status OutOfRange() { return absl::InvalidArgumentError("duration out of range"); }

// Takes the longest prefix of which every character is, or none is, a digit.
std::string_view TakeRun(std::string_view& text, bool digits) {
  size_t end = 0;
  while (end < text.size() && absl::ascii_isdigit(text[end]) == digits) ++end;
  const std::string_view run = text.substr(0, end);
  text.remove_prefix(end);
  return run;
}

size_t UnitPosition(std::string_view name) {
  size_t position = 0;
  while (position < kUnits.size() && kUnits[position].name != name) ++position;
  return position;
}

// `number` with at most `decimals` digits behind the point and no trailing zeros, `number`
// being counted in units of the last of these digits.
std::string WithFraction(uint64_t number, int decimals) {
  uint64_t scale = 1;
  for (int i = 0; i < decimals; ++i) scale *= 10;
  std::string text = absl::StrCat(number / scale);
  uint64_t fraction = number % scale;
  if (fraction == 0) return text;
  std::string digits = absl::StrCat(fraction + scale).substr(1);
  digits.erase(digits.find_last_not_of('0') + 1);
  return absl::StrCat(text, ".", digits);
}

std::string FormatPositiveGoDuration(uint64_t ns) {
  if (ns < 1'000) return absl::StrCat(ns, "ns");
  if (ns < 1'000'000) return absl::StrCat(WithFraction(ns, 3), "µs");
  if (ns < 1'000'000'000) return absl::StrCat(WithFraction(ns, 6), "ms");
  constexpr uint64_t kMinuteNs = 60'000'000'000;
  const uint64_t minutes = ns / kMinuteNs;
  std::string text = absl::StrCat(WithFraction(ns % kMinuteNs, 9), "s");
  if (minutes == 0) return text;
  text = absl::StrCat(minutes % 60, "m", text);
  return minutes < 60 ? text : absl::StrCat(minutes / 60, "h", text);
}

}  // namespace

absl::StatusOr<absl::Duration> ParsePrometheusDuration(std::string_view text) {
  if (text == "0") return absl::ZeroDuration();
  if (text.empty()) return absl::InvalidArgumentError("empty duration string");
  uint64_t total_ns = 0;
  size_t next_position = 0;
  for (std::string_view rest = text; !rest.empty();) {
    uint64_t number = 0;
    // Also refuses what does not fit in 64 bits, as Go does.
    if (!absl::SimpleAtoi(TakeRun(rest, true), &number)) return NotValid(text);
    const std::string_view name = TakeRun(rest, false);
    if (name.empty()) return NotValid(text);
    const size_t position = UnitPosition(name);
    if (position == kUnits.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown unit ", GoQuote(name), " in duration ", GoQuote(text)));
    }
    if (position < next_position) return NotValid(text);
    next_position = position + 1;
    const uint64_t unit_ns = kUnits[position].milliseconds * kNanosecondsPerMillisecond;
    if (number > (kMaxNanoseconds - total_ns) / unit_ns) return OutOfRange();
    total_ns += number * unit_ns;
  }
  return absl::Nanoseconds(static_cast<int64_t>(total_ns));
}

std::string FormatPrometheusDuration(absl::Duration duration) {
  const int64_t ms = absl::ToInt64Milliseconds(duration);
  // A negative one, which no config can give, prints as Go's loop leaves it: empty.
  if (ms == 0) return "0s";
  std::string text;
  if (ms < 0) return text;
  uint64_t rest = static_cast<uint64_t>(ms);
  for (const Unit& unit : kUnits) {
    if (unit.only_if_exact && rest % unit.milliseconds != 0) continue;
    const uint64_t count = rest / unit.milliseconds;
    if (count == 0) continue;
    absl::StrAppend(&text, count, unit.name);
    rest -= count * unit.milliseconds;
  }
  return text;
}

std::string FormatGoDuration(absl::Duration duration) {
  const int64_t ns = absl::ToInt64Nanoseconds(duration);
  if (ns == 0) return "0s";
  if (ns > 0) return FormatPositiveGoDuration(static_cast<uint64_t>(ns));
  return absl::StrCat("-", FormatPositiveGoDuration(~static_cast<uint64_t>(ns) + 1));
}

std::string FormatGoTime(absl::Time time) {
  if (time == absl::InfinitePast()) return "0001-01-01T00:00:00Z";
  const absl::TimeZone utc = absl::UTCTimeZone();
  const int64_t ns = absl::ToInt64Nanoseconds(utc.At(time).subsecond);
  std::string fraction;
  if (ns != 0) fraction = WithFraction(static_cast<uint64_t>(ns), 9).substr(1);
  return absl::StrCat(absl::FormatTime("%E4Y-%m-%dT%H:%M:%S", time, utc), fraction, "Z");
}

}  // namespace trawl

#include "client/trawlctl/format.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/text.h"

namespace trawl {
namespace {

std::string FormatSeconds(double seconds) {
  if (seconds < 0.001) return absl::StrFormat("%.0fus", seconds * 1e6);
  if (seconds < 1) return absl::StrFormat("%.1fms", seconds * 1e3);
  if (seconds < 120) return absl::StrFormat("%.1fs", seconds);
  if (seconds < 7200) return absl::StrFormat("%.0fm", seconds / 60);
  return absl::StrFormat("%.1fh", seconds / 3600);
}

}  // namespace

std::string FormatLabels(const google::protobuf::Map<std::string, std::string>& labels) {
  const std::map<std::string, std::string> sorted(labels.begin(), labels.end());
  std::string out = "{";
  for (const auto& [name, value] : sorted) {
    absl::StrAppend(&out, out.size() > 1 ? ", " : "", name, "=", GoQuote(value));
  }
  return out + "}";
}

std::string FormatAgo(const google::protobuf::Timestamp& time, bool set, absl::Time now) {
  if (!set) return "never";
  const absl::Time at = absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
  return FormatSeconds(absl::ToDoubleSeconds(now - at)) + " ago";
}

std::string FormatShort(const google::protobuf::Duration& duration) {
  return FormatSeconds(static_cast<double>(duration.seconds()) + duration.nanos() / 1e9);
}

}  // namespace trawl

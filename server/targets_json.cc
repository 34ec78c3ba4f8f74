#include "server/targets_json.h"

#include <charconv>
#include <cmath>
#include <map>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/duration.h"

namespace trawl {
namespace {

// The writer of Prometheus' labels escapes what JSON demands and nothing more; its struct fields
// are written safe for HTML as well.
enum class Html { kAsItIs, kEscaped };

std::string JsonString(std::string_view text, Html html) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default: {
        const bool unsafe = html == Html::kEscaped && (c == '<' || c == '>' || c == '&');
        if (byte < 0x20 || unsafe) {
          absl::StrAppendFormat(&out, "\\u%04x", byte);
        } else {
          out += c;
        }
      }
    }
  }
  return out + '"';
}

std::string LabelsJson(const Labels& labels) {
  std::string out = "{";
  for (const Label& label : labels) {
    absl::StrAppend(&out, out.size() > 1 ? "," : "", JsonString(label.name, Html::kAsItIs), ":",
                    JsonString(label.value, Html::kAsItIs));
  }
  return out + '}';
}

std::string_view HealthName(TargetHealth health) {
  switch (health) {
    case TargetHealth::kUnknown:
      return "unknown";
    case TargetHealth::kUp:
      return "up";
    case TargetHealth::kDown:
      return "down";
  }
  return "unknown";
}

std::string TargetJson(const PoolStatus& pool, const ActiveTarget& active,
                       const ExternalAddress& external) {
  const Target& target = *active.target;
  const ScrapeReport report = active.status->Get();
  return absl::StrCat(
      "{\"discoveredLabels\":", LabelsJson(DiscoveredLabels(pool, active)),
      ",\"labels\":", LabelsJson(*target.labels), ",\"scrapePool\":", GoJsonString(pool.job),
      ",\"scrapeUrl\":", GoJsonString(target.url),
      ",\"globalUrl\":", GoJsonString(MakeGlobalUrl(target.url, external)),
      ",\"lastError\":", GoJsonString(report.last.error), ",\"lastScrape\":\"",
      FormatGoTime(report.last.start),
      "\",\"lastScrapeDuration\":", GoJsonFloat(absl::ToDoubleSeconds(report.last.duration)),
      ",\"health\":\"", HealthName(report.health),
      "\",\"scrapeInterval\":", GoJsonString(target.interval_text),
      ",\"scrapeTimeout\":", GoJsonString(target.timeout_text), "}");
}

std::string DroppedJson(const DroppedTarget& target) {
  return absl::StrCat("{\"discoveredLabels\":", LabelsJson(target.discovered_labels()),
                      ",\"scrapePool\":", GoJsonString(target.job), "}");
}

std::string Success(std::string_view data) {
  return absl::StrCat("{\"status\":\"success\",\"data\":", data, "}");
}

void AddElement(std::string_view element, std::string& list) {
  absl::StrAppend(&list, list.empty() ? "" : ",", element);
}

// The host of a URL that was made with a valid address.
struct HostPort {
  std::string_view host;  // without brackets
  std::string_view port;  // "": none
};
HostPort SplitHostPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  const size_t bracket = text.rfind(']');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || bracket < colon);
  HostPort out{has_port ? text.substr(0, colon) : text,
               has_port ? text.substr(colon + 1) : std::string_view()};
  if (out.host.starts_with('[') && out.host.ends_with(']')) {
    out.host = out.host.substr(1, out.host.size() - 2);
  }
  return out;
}

}  // namespace

std::string GoJsonString(std::string_view text) { return JsonString(text, Html::kEscaped); }

std::string GoJsonFloat(double value) {
  const double magnitude = std::fabs(value);
  const bool scientific = magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21);
  char buffer[400];
  const auto end =
      std::to_chars(std::begin(buffer), std::end(buffer), value,
                    scientific ? std::chars_format::scientific : std::chars_format::fixed);
  return {std::begin(buffer), end.ptr};
}

std::string MakeGlobalUrl(const std::string& url, const ExternalAddress& external) {
  const size_t begin = url.find("://") + 3;
  const size_t end = std::min(url.find_first_of("/?", begin), url.size());
  const std::string authority = url.substr(begin, end - begin);
  const std::string rest = url.substr(end);
  const HostPort target = SplitHostPort(authority);
  if (target.host != "127.0.0.1" && target.host != "localhost" && target.host != "::1") return url;
  if (target.port == external.own_port) {
    return absl::StrCat(external.scheme, "://", external.host, rest);
  }
  return absl::StrCat(url.substr(0, begin), SplitHostPort(external.host).host,
                      target.port.empty() ? "" : ":", target.port, rest);
}

std::string TargetsJson(const PoolsSnapshot& pools, std::string_view state, std::string_view pool,
                        const ExternalAddress& external) {
  const std::string wanted = absl::AsciiStrToLower(state);
  const bool active = wanted.empty() || wanted == "any" || wanted == "active";
  const bool dropped = wanted.empty() || wanted == "any" || wanted == "dropped";
  std::string active_list;
  std::string dropped_list;
  std::string counts;
  for (const auto& status : pools.pools) {
    AddElement(absl::StrCat(GoJsonString(status->job), ":", status->dropped_count), counts);
    if (!pool.empty() && pool != status->job) continue;
    if (active) {
      for (const auto& target : status->active.ByUrl()) {
        AddElement(TargetJson(*status, *target, external), active_list);
      }
    }
    if (dropped) {
      for (const DroppedTarget& target : ListDropped(*status)) {
        const bool listed = target.drop.reason == DropReason::kRelabel && target.labels_kept;
        if (listed) AddElement(DroppedJson(target), dropped_list);
      }
    }
  }
  return Success(absl::StrCat(
      "{\"activeTargets\":[", active_list, "],\"droppedTargets\":[", dropped_list,
      "],\"droppedTargetCounts\":", dropped ? absl::StrCat("{", counts, "}") : "null", "}"));
}

std::string ScrapePoolsJson(const PoolsSnapshot& pools) {
  std::string list;
  for (const auto& pool : pools.pools) AddElement(GoJsonString(pool->job), list);
  return Success(absl::StrCat("{\"scrapePools\":[", list, "]}"));
}

std::string ConfigJson(std::string_view yaml) {
  return Success(absl::StrCat("{\"yaml\":", GoJsonString(yaml), "}"));
}

std::string ErrorJson(std::string_view type, std::string_view error) {
  return absl::StrCat("{\"status\":\"error\",\"errorType\":", GoJsonString(type),
                      ",\"error\":", GoJsonString(error), "}");
}

}  // namespace trawl

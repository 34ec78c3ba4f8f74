#include "server/targets_page.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace trawl {
namespace {

constexpr std::string_view kHead =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>trawl: targets</title>"
    "<style>body{font:14px sans-serif;margin:1em}table{border-collapse:collapse;width:100%}"
    "th,td{border:1px solid #ccc;padding:3px 6px;text-align:left;vertical-align:top}"
    ".up{color:#167a16}.down{color:#b00}.unknown{color:#777}</style></head><body>\n";

constexpr size_t kMaxFailedListed = 100;

std::string_view HealthName(TargetHealth health) {
  return health == TargetHealth::kUp ? "up" : health == TargetHealth::kDown ? "down" : "unknown";
}

std::string LabelsText(const Labels& labels) {
  std::string out;
  for (const Label& label : labels) {
    absl::StrAppend(&out, out.empty() ? "" : " ", label.name, "=\"", label.value, "\"");
  }
  return out;
}

std::string Row(const ActiveTarget& active, absl::Time now) {
  const Target& target = *active.target;
  const ScrapeReport report = active.status->Get();
  const bool scraped = report.last_scrape != absl::InfinitePast();
  const std::string when =
      scraped ? absl::StrFormat("%.1fs ago", absl::ToDoubleSeconds(now - report.last_scrape))
              : "never";
  const std::string took =
      scraped ? absl::StrFormat("%.1fms", absl::ToDoubleMilliseconds(report.last_duration)) : "";
  const std::string why =
      report.reason == FailureReason::kNone
          ? ""
          : absl::StrCat(FailureReasonName(report.reason), ": ", report.last_error);
  return absl::StrCat("<tr><td>", EscapeHtml(target.url), "</td><td class=\"",
                      HealthName(report.health), "\">", HealthName(report.health), "</td><td>",
                      EscapeHtml(LabelsText(*target.labels)), "</td><td>", when, "</td><td>", took,
                      "</td><td>", report.samples_scraped, "</td><td>",
                      EscapeHtml(why), "</td></tr>\n");
}

std::string Pool(const PoolStatus& pool, absl::Time now) {
  const auto up = std::count_if(pool.active.begin(), pool.active.end(), [](const auto& target) {
    return target->status->Get().health == TargetHealth::kUp;
  });
  std::string out = absl::StrCat("<h2>", EscapeHtml(pool.job), " (", up, "/", pool.active.size(),
                                 " up, ", pool.dropped_count, " dropped)</h2>\n<table><tr>");
  for (const char* title :
       {"Endpoint", "State", "Labels", "Last scrape", "Duration", "Samples", "Error"}) {
    absl::StrAppend(&out, "<th>", title, "</th>");
  }
  out += "</tr>\n";
  for (const auto& target : pool.active) out += Row(*target, now);
  out += "</table>\n";
  if (pool.failed_count == 0) return out;
  size_t failed = 0;
  for (const DroppedTarget& target : ListDropped(pool)) {
    const DropReason reason = target.drop.reason;
    if (reason == DropReason::kRelabel || reason == DropReason::kDuplicate) continue;
    if (++failed > kMaxFailedListed) break;
    absl::StrAppend(&out, "<p class=\"down\">", EscapeHtml(target.detail()), "</p>\n");
  }
  return out;
}

}  // namespace

std::string EscapeHtml(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string TargetsPage(const PoolsSnapshot& pools, absl::Time now) {
  std::string out(kHead);
  out +=
      "<h1>trawl</h1><p><a href=\"/targets\">targets</a> <a href=\"/metrics\">metrics</a> "
      "<a href=\"/api/v1/targets\">as JSON</a></p>\n";
  for (const auto& pool : pools.pools) out += Pool(*pool, now);
  return out + "</body></html>\n";
}

}  // namespace trawl

#include "core/config/config.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

namespace trawl {
namespace {

constexpr std::array<std::pair<ScrapeProtocol, std::string_view>, 6> kProtocols = {{
    {ScrapeProtocol::kPrometheusProto, "PrometheusProto"},
    {ScrapeProtocol::kOpenMetricsText001, "OpenMetricsText0.0.1"},
    {ScrapeProtocol::kOpenMetricsText100, "OpenMetricsText1.0.0"},
    {ScrapeProtocol::kOpenMetricsText200, "OpenMetricsText2.0.0"},
    {ScrapeProtocol::kPrometheusText004, "PrometheusText0.0.4"},
    {ScrapeProtocol::kPrometheusText100, "PrometheusText1.0.0"},
}};

}  // namespace

std::string_view ScrapeProtocolName(ScrapeProtocol protocol) {
  for (const auto& [value, name] : kProtocols) {
    if (value == protocol) return name;
  }
  return "";
}

std::optional<ScrapeProtocol> ParseScrapeProtocol(std::string_view name) {
  for (const auto& [value, protocol_name] : kProtocols) {
    if (protocol_name == name) return value;
  }
  return std::nullopt;
}

std::string_view EscapingSchemeName(EscapingScheme scheme) {
  switch (scheme) {
    case EscapingScheme::kAllowUtf8:
      return "allow-utf-8";
    case EscapingScheme::kUnderscores:
      return "underscores";
    case EscapingScheme::kDots:
      return "dots";
    case EscapingScheme::kValues:
      return "values";
  }
  return "";
}

const ScrapeConfig* Config::FindJob(std::string_view job_name) const {
  const auto found =
      std::find_if(scrape_configs.begin(), scrape_configs.end(),
                   [job_name](const ScrapeConfig& job) { return job.job_name == job_name; });
  return found == scrape_configs.end() ? nullptr : &*found;
}

}  // namespace trawl

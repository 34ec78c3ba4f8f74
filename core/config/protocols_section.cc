#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/config/config.h"
#include "core/config/section.h"
#include "core/config/yaml.h"
#include "core/config/yaml_reader.h"

namespace trawl {
namespace {

std::string Names(const std::vector<ScrapeProtocol>& protocols) {
  return absl::StrJoin(protocols, ", ", [](std::string* out, ScrapeProtocol protocol) {
    absl::StrAppend(out, ScrapeProtocolName(protocol));
  });
}

// The first problem of the list, in Prometheus' words; "" when there is none.
std::string CheckProtocols(const std::vector<std::string>& names) {
  if (names.empty()) return "scrape_protocols cannot be empty";
  std::unordered_set<std::string> seen;
  for (const std::string& name : names) {
    if (!seen.insert(absl::AsciiStrToLower(name)).second) {
      return absl::StrCat("duplicated protocol in scrape_protocols, got [",
                          absl::StrJoin(names, " "), "]");
    }
    if (!ParseScrapeProtocol(name)) {
      return absl::StrCat("scrape_protocols: ", UnknownScrapeProtocol(name));
    }
  }
  return "";
}

}  // namespace

std::string UnknownScrapeProtocol(std::string_view name) {
  return absl::StrCat("unknown scrape protocol ", name,
                      ", supported: [OpenMetricsText0.0.1 OpenMetricsText1.0.0 "
                      "OpenMetricsText2.0.0 PrometheusProto PrometheusText0.0.4 "
                      "PrometheusText1.0.0]");
}

std::optional<std::vector<ScrapeProtocol>> ReadScrapeProtocols(const YamlNode& node,
                                                               std::string_view where,
                                                               const SectionContext& context) {
  if (node.is_null()) return std::nullopt;
  std::vector<std::string> names;
  const size_t errors = context.findings.error_count();
  ReadValue(node, names, context.findings);
  if (context.findings.error_count() > errors) return std::nullopt;
  const std::string problem = CheckProtocols(names);
  if (!problem.empty()) {
    context.findings.Error(node.mark, absl::StrCat(problem, where));
    return std::nullopt;
  }
  const std::vector<ScrapeProtocol>& supported = context.options.supported_protocols;
  std::vector<ScrapeProtocol> kept;
  std::vector<ScrapeProtocol> left_out;
  for (const std::string& name : names) {
    const ScrapeProtocol protocol = *ParseScrapeProtocol(name);
    const bool known = std::find(supported.begin(), supported.end(), protocol) != supported.end();
    (known ? kept : left_out).push_back(protocol);
  }
  if (kept.empty()) {
    context.findings.Error(node.mark, absl::StrCat("none of scrape_protocols is supported: have ",
                                                   Names(supported), where));
  } else if (!left_out.empty()) {
    context.findings.Warn(
        node.mark,
        absl::StrCat("scrape_protocols: not offered to targets: ", Names(left_out), where));
  }
  return kept;
}

}  // namespace trawl

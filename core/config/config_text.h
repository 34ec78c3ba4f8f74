#pragma once

#include <string>
#include <string_view>

#include "core/config/config.h"
#include "core/config/trawl_config.h"

namespace trawl {

// A configuration as YAML, for people: with defaults filled in, what is inherited written out, and
// each secret as `<secret>` (passwords, credentials, private keys, passwords in URLs). Read again
// it is the same configuration, but for the secrets. Pure.
std::string ConfigText(const Config& config);
std::string TrawlConfigText(const TrawlConfig& config);
// `scrape_configs:` with one job.
std::string JobText(const ScrapeConfig& job);

// One rule on one line: `{source_labels: [a, b], regex: x, action: keep}`, without what is default.
std::string RelabelRuleText(const RelabelConfig& rule);

// The URL with `<secret>` in place of its password, if it has one.
std::string MaskUrl(std::string_view url);

}  // namespace trawl

#pragma once

#include <string>
#include <vector>

#include "core/config/config.h"

namespace trawl {

// The fields in which two configs of a job differ, as paths in the file: "scrape_interval",
// "relabel_configs[2].regex". Sorted; empty exactly if they are equal. Pure.
std::vector<std::string> DifferentFields(const ScrapeConfig& a, const ScrapeConfig& b);

}  // namespace trawl

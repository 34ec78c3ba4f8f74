#pragma once

#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "core/scrape/pool_status.h"

namespace trawl {

// The /targets page: pool by pool the active targets with their health, as plain HTML without
// scripts. Every text of a target or a configuration is escaped. Pure.
std::string TargetsPage(const PoolsSnapshot& pools, absl::Time now);

// `&`, `<`, `>` and both quotes as entities.
std::string EscapeHtml(std::string_view text);

}  // namespace trawl

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/config/yaml.h"

namespace trawl {

// What plain scalars mean, as Go's yaml reads them (YAML 1.1). Quoted scalars are strings.

// yes, on, true, y …
std::optional<bool> ScalarBool(const YamlNode& node);
// Decimal, 0x…, 0o… or 0…, underscores between digits; floats with no fraction (1e3) too.
std::optional<uint64_t> ScalarUint(const YamlNode& node);

// "!!str", "!!int", "!!float", "!!bool".
std::string_view ScalarTag(const YamlNode& node);

}  // namespace trawl

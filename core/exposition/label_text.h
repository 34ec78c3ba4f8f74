#pragma once

#include <string>
#include <string_view>

#include "core/model/metadata.h"

namespace trawl {

// Resolves `\"`, `\\` and `\n`; any other backslash stays (spec 5.1). Replaces `out`.
void UnescapeLabelText(std::string_view text, std::string* out);
// Resolves `\\` and `\n` only.
void UnescapeHelpText(std::string_view text, std::string* out);

// Gives a `le` value of a histogram, or a `quantile` value of a summary, OpenMetrics' form when
// it is a number (spec 5.0): "1" becomes "1.0". Leaves everything else as it is.
void NormalizeFloatLabel(MetricType type, std::string_view name, std::string* value);

}  // namespace trawl

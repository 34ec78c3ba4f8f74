#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace trawl {

// An exposition format that trawl can parse.
enum class ExpositionFormat { kText004, kText100 };

// The Accept header that asks for `formats`, the first one most, and last for anything
// (spec 4.3, form of 3.x: weights fall by 0.1 from 0.6). `escaping` is the word behind
// `escaping=`, and goes with text 1.0.0 only.
std::string AcceptHeader(std::span<const ExpositionFormat> formats, std::string_view escaping);

// Which parser a response is for.
struct FormatChoice {
  ExpositionFormat format = ExpositionFormat::kText004;
  // Set when the fallback was used: what was wrong with the content type (logged at debug).
  std::string warning;
};

// Chooses a parser by the Content-Type header ("" when there was none), else by `fallback`
// (fallback_scrape_protocol). Parameters of the content type do not matter.
// Errors: kInvalidArgument with Prometheus' texts (spec 4.4). Not asked for an empty body: that
// one is fine with any content type.
absl::StatusOr<FormatChoice> ChooseFormat(std::string_view content_type,
                                          std::optional<ExpositionFormat> fallback);

// The media type of a MIME header value, lower case, as Go's mime.ParseMediaType reads it.
// Errors: kInvalidArgument with Go's texts (`mime: no media type`).
absl::StatusOr<std::string> ParseMediaType(std::string_view header);

}  // namespace trawl

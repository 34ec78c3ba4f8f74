#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace trawl {

bool IsValidUtf8(std::string_view text);

// `text` for people, whatever a peer put into it: of more than `max_bytes` (64 or more) the
// middle is left out, with "..." in its place; then bytes that are not UTF-8 become U+FFFD.
std::string PresentableText(std::string_view text, size_t max_bytes);

// UTF-8 that shows on a screen as it is: no control or format characters, no spaces but U+0020.
bool IsPrintableText(std::string_view text);

// As Go's %q prints a string. Characters that Unicode has not assigned count as printable.
std::string GoQuote(std::string_view text);

// A JSON string with its quotes. Everything that is not printable is escaped; bytes that are not
// UTF-8 become U+FFFD.
std::string JsonQuote(std::string_view text);

// The shortest decimal that reads back as `value`, as Go's strconv.FormatFloat(v, 'g', -1, 64)
// (`+Inf`, `NaN`, `1e+06`…).
std::string FormatGoFloat(double value);

// Prometheus' base-2 sizes (`100MB`, `1KiB`; KB = 1024; spec 7.3 body_size_limit). A plain
// number without a unit is an error, except 0. A negative size, which means "no limit" there, is 0.
absl::StatusOr<uint64_t> ParseByteSize(std::string_view text);

}  // namespace trawl

#include "core/exposition/accept.h"

#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"

namespace trawl {
namespace {

// All formats that Prometheus 3 knows, and one: the first weight, in tenths (spec 4.3).
constexpr int kFirstWeight = 6;
constexpr std::string_view kTextPlain = "text/plain";

constexpr std::string_view kNoTokenChars = "()<>@,;:\\\"/[]?=";

// RFC 1521's token, as Go's mime package reads it.
size_t TokenLength(std::string_view text) {
  size_t n = 0;
  while (n < text.size() && text[n] > ' ' && text[n] < 0x7f &&
         kNoTokenChars.find(text[n]) == std::string_view::npos) {
    ++n;
  }
  return n;
}

absl::Status CheckMediaType(std::string_view type) {
  if (type.empty()) return absl::InvalidArgumentError("mime: no media type");
  const size_t main = TokenLength(type);
  if (main == 0) return absl::InvalidArgumentError("mime: no media type");
  if (main == type.size()) return absl::OkStatus();
  if (type[main] != '/') {
    return absl::InvalidArgumentError("mime: expected slash after first token");
  }
  const std::string_view rest = type.substr(main + 1);
  const size_t sub = TokenLength(rest);
  if (sub == 0) return absl::InvalidArgumentError("mime: expected token after slash");
  if (sub < rest.size()) {
    return absl::InvalidArgumentError("mime: unexpected content after media subtype");
  }
  return absl::OkStatus();
}

// A token or a quoted string at the start of `text`, which moves behind it. As in Go, a backslash
// that escapes nothing stands for itself. False when there is neither.
bool TakeValue(std::string_view* text, std::string* value) {
  value->clear();
  if (!text->starts_with('"')) {
    const size_t length = TokenLength(*text);
    value->assign(text->substr(0, length));
    text->remove_prefix(length);
    return length != 0;
  }
  for (size_t i = 1; i < text->size(); ++i) {
    char c = (*text)[i];
    if (c == '"') {
      text->remove_prefix(i + 1);
      return true;
    }
    if (c == '\\' && i + 1 < text->size() &&
        kNoTokenChars.find((*text)[i + 1]) != std::string_view::npos) {
      c = (*text)[++i];
    }
    if (c == '\r' || c == '\n') return false;
    value->push_back(c);
  }
  return false;
}

// One `; name=value`. False when there is none.
bool TakeParameter(std::string_view* rest, std::string* name, std::string* value) {
  std::string_view text = absl::StripLeadingAsciiWhitespace(*rest);
  if (!text.starts_with(';')) return false;
  text = absl::StripLeadingAsciiWhitespace(text.substr(1));
  const size_t length = TokenLength(text);
  if (length == 0) return false;
  *name = absl::AsciiStrToLower(text.substr(0, length));
  text = absl::StripLeadingAsciiWhitespace(text.substr(length));
  if (!text.starts_with('=')) return false;
  text = absl::StripLeadingAsciiWhitespace(text.substr(1));
  if (!TakeValue(&text, value)) return false;
  *rest = text;
  return true;
}

absl::Status CheckParameters(std::string_view rest) {
  std::map<std::string, std::string> seen;
  std::string name;
  std::string value;
  while (true) {
    rest = absl::StripLeadingAsciiWhitespace(rest);
    if (rest.empty()) return absl::OkStatus();
    if (!TakeParameter(&rest, &name, &value)) {
      // A trailing semicolon is let pass.
      if (absl::StripAsciiWhitespace(rest) == ";") return absl::OkStatus();
      return absl::InvalidArgumentError("mime: invalid media parameter");
    }
    // The same again is let pass too.
    if (seen.try_emplace(name, value).first->second != value) {
      return absl::InvalidArgumentError("mime: duplicate parameter name");
    }
  }
}

absl::StatusOr<FormatChoice> UseFallback(bool has_fallback, const std::string& without,
                                         const std::string& with, std::string_view cause) {
  const std::string joined = cause.empty() ? "" : absl::StrCat("\n", cause);
  if (!has_fallback) return absl::InvalidArgumentError(absl::StrCat(without, joined));
  const std::string name = GoQuote(kTextPlain);
  return FormatChoice{ExpositionFormat::kText004,
                      absl::StrCat(with, ", using fallback_scrape_protocol ", name, joined)};
}

}  // namespace

std::string AcceptHeader(std::span<const ExpositionFormat> formats, std::string_view escaping) {
  std::string header;
  int weight = kFirstWeight;
  for (const ExpositionFormat format : formats) {
    if (format == ExpositionFormat::kText100) {
      absl::StrAppend(&header, "text/plain;version=1.0.0;escaping=", escaping);
    } else {
      absl::StrAppend(&header, "text/plain;version=0.0.4");
    }
    absl::StrAppend(&header, ";q=0.", weight--, ",");
  }
  absl::StrAppend(&header, "*/*;q=0.", weight);
  return header;
}

absl::StatusOr<FormatChoice> ChooseFormat(std::string_view content_type,
                                          std::optional<ExpositionFormat> fallback) {
  if (content_type.empty()) {
    constexpr std::string_view kBlank = "non-compliant scrape target sending blank Content-Type";
    return UseFallback(
        fallback.has_value(),
        absl::StrCat(kBlank, " and no fallback_scrape_protocol specified for target"),
        std::string(kBlank), "");
  }
  const std::string quoted = GoQuote(content_type);
  const absl::StatusOr<std::string> type = ParseMediaType(content_type);
  if (!type.ok()) {
    return UseFallback(fallback.has_value(),
                       absl::StrCat("cannot parse Content-Type ", quoted,
                                    " and no fallback_scrape_protocol for target"),
                       absl::StrCat("could not parse received Content-Type ", quoted),
                       type.status().message());
  }
  if (*type == kTextPlain) return FormatChoice{};
  const std::string received = absl::StrCat("received unsupported Content-Type ", quoted);
  // A declared format that is no text must not be read as text: its timestamps are seconds.
  const bool declared =
      *type == "application/openmetrics-text" || *type == "application/vnd.google.protobuf";
  if (declared) return absl::InvalidArgumentError(received);
  return UseFallback(
      fallback.has_value(),
      absl::StrCat(received, " and no fallback_scrape_protocol specified for target"), received,
      "");
}

absl::StatusOr<std::string> ParseMediaType(std::string_view header) {
  const size_t end = header.find(';');
  const std::string_view base = header.substr(0, end);
  const std::string type = absl::AsciiStrToLower(absl::StripAsciiWhitespace(base));
  RETURN_IF_ERROR(CheckMediaType(type));
  if (end != std::string_view::npos) RETURN_IF_ERROR(CheckParameters(header.substr(end)));
  return type;
}

}  // namespace trawl

#include "server/label_matcher.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"

namespace trawl {
namespace {

absl::Status Bad(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("matcher ", GoQuote(text), ": ", why));
}

bool IsQuote(char c) { return c == '"' || c == '\''; }

// The value without its quotes and escapes.
absl::StatusOr<std::string> Unquote(std::string_view text, std::string_view value) {
  if (value.starts_with('=') || value.starts_with('~')) return Bad(text, "want =, !=, =~ or !~");
  if (value.empty() || !IsQuote(value.front())) return std::string(value);
  std::string out;
  if (value.size() < 2 || value.back() != value.front() ||
      !absl::CUnescape(value.substr(1, value.size() - 2), &out)) {
    return Bad(text, "the value's quotes or escapes are wrong");
  }
  return out;
}

}  // namespace

absl::StatusOr<LabelMatcher> LabelMatcher::Parse(std::string_view text) {
  const size_t at = text.find_first_of("=!");
  LabelMatcher matcher;
  matcher.name_ = absl::StripAsciiWhitespace(text.substr(0, at));
  if (at == std::string_view::npos || matcher.name_.empty() ||
      matcher.name_.find_first_of("{}\"', \t") != std::string::npos) {
    return Bad(text, "want name=\"value\", without braces, or !=, =~, !~ for =");
  }
  std::string_view rest = text.substr(at);
  matcher.negative_ = rest[0] == '!';
  const char second = rest.size() > 1 ? rest[1] : '\0';
  if (matcher.negative_ && second != '=' && second != '~') return Bad(text, "want != or !~");
  const bool regex = second == '~';
  rest.remove_prefix(matcher.negative_ || regex ? 2 : 1);
  ASSIGN_OR_RETURN(matcher.value_, Unquote(text, absl::StripAsciiWhitespace(rest)));
  if (regex) {
    absl::StatusOr<AnchoredRegex> compiled = AnchoredRegex::Compile(matcher.value_);
    if (!compiled.ok()) return Bad(text, compiled.status().message());
    matcher.regex_ = *std::move(compiled);
  }
  return matcher;
}

bool LabelMatcher::Matches(std::string_view value) const {
  const bool equal = regex_ ? regex_->Matches(value) : value == value_;
  return equal != negative_;
}

}  // namespace trawl

#include "core/relabel/regex.h"

#include <re2/re2.h>
#include <re2/stringpiece.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/base/text.h"

namespace trawl {
namespace {

constexpr std::string_view kMatchAll = "(.*)";

re2::StringPiece ToPiece(std::string_view text) { return {text.data(), text.size()}; }

bool StartsNamedGroup(std::string_view text) {
  return text.size() > 3 && text.substr(0, 3) == "(?<" &&
         (absl::ascii_isalpha(static_cast<unsigned char>(text[3])) || text[3] == '_');
}

// How many bytes at the start of `text` are taken literally: an escape, or `\Q…\E`.
size_t EscapeLength(std::string_view text) {
  if (text.substr(0, 2) != "\\Q") return std::min<size_t>(2, text.size());
  const size_t end = text.find("\\E");
  return end == std::string_view::npos ? text.size() : end + 2;
}

// Go reads `(?<name>…)` like `(?P<name>…)`; this RE2 knows only the latter.
std::string WithPythonGroups(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  while (!pattern.empty()) {
    size_t take = 1;
    if (pattern[0] == '\\') {
      take = EscapeLength(pattern);
    } else if (in_class) {
      in_class = pattern[0] != ']';
    } else if (pattern[0] == '[') {
      // A `]` right behind `[` or `[^` is a member of the class.
      in_class = true;
      if (pattern.substr(1, 1) == "^") ++take;
      if (pattern.substr(take, 1) == "]") ++take;
    } else if (StartsNamedGroup(pattern)) {
      out.append("(?P");
      pattern.remove_prefix(2);
    }
    out.append(pattern.substr(0, take));
    pattern.remove_prefix(take);
  }
  return out;
}

re2::RE2::Options QuietOptions() {
  re2::RE2::Options options;
  options.set_log_errors(false);
  return options;
}

}  // namespace

AnchoredRegex::AnchoredRegex(std::unique_ptr<re2::RE2> regex, bool match_all)
    : regex_(std::move(regex)), match_all_(match_all) {
  groups_.count = regex_->NumberOfCapturingGroups();
  for (const auto& [name, index] : regex_->NamedCapturingGroups()) groups_.names[name] = index;
}

AnchoredRegex::~AnchoredRegex() = default;
AnchoredRegex::AnchoredRegex(AnchoredRegex&&) noexcept = default;
AnchoredRegex& AnchoredRegex::operator=(AnchoredRegex&&) noexcept = default;

absl::StatusOr<AnchoredRegex> AnchoredRegex::Compile(std::string_view pattern) {
  // Put together as text, like Prometheus does it: `a)|(?:b` is a valid rule.
  const std::string anchored = absl::StrCat("^(?s:", WithPythonGroups(pattern), ")$");
  auto regex = std::make_unique<re2::RE2>(anchored, QuietOptions());
  if (!regex->ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("error parsing regexp ", GoQuote(pattern), ": ", regex->error()));
  }
  return AnchoredRegex(std::move(regex), pattern == kMatchAll);
}

bool AnchoredRegex::Matches(std::string_view text) const {
  if (match_all_) return true;
  return regex_->Match(ToPiece(text), 0, text.size(), re2::RE2::UNANCHORED, nullptr, 0);
}

bool AnchoredRegex::Match(std::string_view text, int highest_group,
                          std::vector<std::string_view>& captures) const {
  const size_t count = static_cast<size_t>(highest_group) + 1;
  if (match_all_) {
    captures.assign(count, text);
    return true;
  }
  std::vector<re2::StringPiece> pieces(count);
  if (!regex_->Match(ToPiece(text), 0, text.size(), re2::RE2::UNANCHORED, pieces.data(),
                     highest_group + 1)) {
    return false;
  }
  captures.clear();
  for (const re2::StringPiece& piece : pieces) captures.emplace_back(piece.data(), piece.size());
  return true;
}

bool RegexMatches(std::string_view pattern, std::string_view text) {
  return re2::RE2::PartialMatch(ToPiece(text), re2::RE2(ToPiece(pattern), QuietOptions()));
}

}  // namespace trawl

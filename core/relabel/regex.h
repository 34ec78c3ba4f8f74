#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/relabel/template.h"

namespace re2 {
class RE2;
}

namespace trawl {

// A rule's regex: RE2, matching the whole text, `.` matching newlines too (spec 6.1).
// Immutable. Thread-safe.
class AnchoredRegex {
 public:
  // kInvalidArgument with RE2's words.
  static absl::StatusOr<AnchoredRegex> Compile(std::string_view pattern);
  ~AnchoredRegex();
  AnchoredRegex(AnchoredRegex&&) noexcept;
  AnchoredRegex& operator=(AnchoredRegex&&) noexcept;

  bool Matches(std::string_view text) const;

  // Fills captures[0 .. highest_group], views into `text`, when it matches. Groups that the
  // caller does not ask for cost nothing.
  bool Match(std::string_view text, int highest_group,
             std::vector<std::string_view>& captures) const;

  const ReplacementTemplate::Groups& groups() const { return groups_; }

 private:
  AnchoredRegex(std::unique_ptr<re2::RE2> regex, bool match_all);

  std::unique_ptr<re2::RE2> regex_;
  bool match_all_;  // the pattern is `(.*)`, by far the most frequent one: no need to run it
  ReplacementTemplate::Groups groups_;
};

// Whether `pattern`, as it is, is found in `text`. `pattern` must be valid. For rare use.
bool RegexMatches(std::string_view pattern, std::string_view text);

}  // namespace trawl

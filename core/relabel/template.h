#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trawl {

// A replacement text with `$1`, `${1}`, `$name` and `$$`, as Go's regexp.Expand reads it
// (spec 6.3): a name is the longest run of letters, digits and `_`; an unknown group is empty; a
// `$` without a name after it stands for itself. Immutable. Thread-safe.
class ReplacementTemplate {
 public:
  // The regex's groups: their number without group 0, and the indices of the named ones.
  struct Groups {
    int count = 0;
    std::map<std::string, int, std::less<>> names;
  };

  ReplacementTemplate(std::string_view text, const Groups& groups);

  // `captures[i]` is group i's text; groups that took no part are empty.
  std::string Expand(std::span<const std::string_view> captures) const;

  // The highest group it names; 0 for a text without groups.
  int max_group() const { return max_group_; }

 private:
  struct Part {
    std::string literal;  // comes before the group's text
    int group = 0;
  };

  void AddGroup(int group);

  std::vector<Part> parts_;
  std::string tail_;
  int max_group_ = 0;
};

}  // namespace trawl

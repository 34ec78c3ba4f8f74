#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/relabel/regex.h"

namespace trawl {

// One condition on a label, as in a selector: name="value", !=, =~, !~; the quotes may be single
// ones, or be left out. A label that is not there has the empty value. Immutable; thread-safe.
class LabelMatcher {
 public:
  // kInvalidArgument says what is wrong.
  static absl::StatusOr<LabelMatcher> Parse(std::string_view text);

  const std::string& name() const { return name_; }
  bool Matches(std::string_view value) const;

 private:
  LabelMatcher() = default;

  std::string name_;
  std::string value_;
  std::optional<AnchoredRegex> regex_;
  bool negative_ = false;
};

}  // namespace trawl

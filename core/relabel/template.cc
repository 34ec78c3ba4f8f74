#include "core/relabel/template.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/relabel/unicode.h"

namespace trawl {
namespace {

// What follows a `$`: a group's name and how many bytes it takes, braces included.
struct GroupName {
  std::string_view name;
  size_t size = 0;
};

size_t NameLength(std::string_view text) {
  size_t length = 0;
  while (length < text.size()) {
    const DecodedRune rune = DecodeRune(text.substr(length));
    if (rune.code != '_' && !IsLetterOrDigit(rune.code)) break;
    length += rune.size;
  }
  return length;
}

std::optional<GroupName> ReadGroupName(std::string_view text) {
  const bool brace = !text.empty() && text[0] == '{';
  if (brace) text.remove_prefix(1);
  const size_t length = NameLength(text);
  if (length == 0) return std::nullopt;
  if (!brace) return GroupName{text.substr(0, length), length};
  if (length == text.size() || text[length] != '}') return std::nullopt;
  return GroupName{text.substr(0, length), length + 2};
}

// Group numbers are plain decimals: no leading zero, below 1e9.
std::optional<int> ReadNumber(std::string_view name) {
  if (name.size() > 1 && name[0] == '0') return std::nullopt;
  int number = 0;
  for (const char c : name) {
    if (c < '0' || c > '9' || number >= 100'000'000) return std::nullopt;
    number = number * 10 + (c - '0');
  }
  return number;
}

// -1: there is no such group, it expands to nothing.
int FindGroup(std::string_view name, const ReplacementTemplate::Groups& groups) {
  if (const std::optional<int> number = ReadNumber(name)) {
    return *number <= groups.count ? *number : -1;
  }
  const auto named = groups.names.find(name);
  return named == groups.names.end() ? -1 : named->second;
}

}  // namespace

ReplacementTemplate::ReplacementTemplate(std::string_view text, const Groups& groups) {
  size_t dollar;
  while ((dollar = text.find('$')) != std::string_view::npos) {
    tail_.append(text.substr(0, dollar));
    text.remove_prefix(dollar + 1);
    if (!text.empty() && text[0] == '$') {
      tail_.push_back('$');
      text.remove_prefix(1);
    } else if (const std::optional<GroupName> group = ReadGroupName(text)) {
      AddGroup(FindGroup(group->name, groups));
      text.remove_prefix(group->size);
    } else {
      tail_.push_back('$');
    }
  }
  tail_.append(text);
}

void ReplacementTemplate::AddGroup(int group) {
  if (group < 0) return;
  parts_.push_back({std::exchange(tail_, std::string()), group});
  max_group_ = std::max(max_group_, group);
}

std::string ReplacementTemplate::Expand(std::span<const std::string_view> captures) const {
  std::string out;
  for (const Part& part : parts_) {
    out.append(part.literal);
    out.append(captures[static_cast<size_t>(part.group)]);
  }
  out.append(tail_);
  return out;
}

}  // namespace trawl

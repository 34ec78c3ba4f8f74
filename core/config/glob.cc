#include "core/config/glob.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

// Matches one character class at the start of `pattern` (behind its `[`) and removes it; nullopt
// when it is malformed.
std::optional<bool> MatchClass(std::string_view& pattern, char c) {
  const bool negated = pattern.starts_with('^');
  if (negated) pattern.remove_prefix(1);
  bool matched = false;
  bool first = true;
  while (!pattern.empty() && (first || pattern[0] != ']')) {
    first = false;
    if (pattern[0] == '\\') pattern.remove_prefix(1);
    if (pattern.empty()) return std::nullopt;
    const char low = pattern[0];
    char high = low;
    pattern.remove_prefix(1);
    if (pattern.size() > 1 && pattern[0] == '-' && pattern[1] != ']') {
      high = pattern[1];
      pattern.remove_prefix(2);
    }
    matched |= low <= c && c <= high;
  }
  if (pattern.empty()) return std::nullopt;
  pattern.remove_prefix(1);
  return matched != negated;
}

// Matches one element of `pattern` that is not a `*` against `c`, and removes it.
bool MatchOne(std::string_view& pattern, char c) {
  const char first = pattern[0];
  pattern.remove_prefix(1);
  if (first == '?') return true;
  if (first == '[') return MatchClass(pattern, c).value_or(false);
  if (first != '\\') return first == c;
  if (pattern.empty()) return false;
  const char escaped = pattern[0];
  pattern.remove_prefix(1);
  return escaped == c;
}

bool HasWildcard(std::string_view name) {
  return name.find_first_of("*?[\\") != std::string_view::npos;
}

}  // namespace

bool IsLastElementGlob(std::string_view path) {
  const size_t star = path.find('*');
  if (star == std::string_view::npos) return true;
  const std::string_view rest = path.substr(star + 1);
  return rest.find('/') == std::string_view::npos;
}

bool MatchGlob(std::string_view pattern, std::string_view name) {
  // Where to go on after a mismatch: let the last `*` swallow one character more.
  std::optional<std::string_view> star_pattern;
  std::string_view star_name;
  while (!name.empty() || !pattern.empty()) {
    if (pattern.starts_with('*')) {
      pattern.remove_prefix(1);
      star_pattern = pattern;
      star_name = name;
      continue;
    }
    if (!name.empty() && !pattern.empty() && MatchOne(pattern, name[0])) {
      name.remove_prefix(1);
      continue;
    }
    if (!star_pattern || star_name.empty()) return false;
    star_name.remove_prefix(1);
    name = star_name;
    pattern = *star_pattern;
  }
  return true;
}

absl::StatusOr<std::vector<std::string>> ExpandGlob(FileSystem& files, const std::string& path) {
  std::vector<std::string> found;
  const std::string pattern = path.substr(path.rfind('/') + 1);  // all of it without a slash
  if (!HasWildcard(pattern)) {
    if (!absl::IsNotFound(files.OpenForRead(path).status())) found.push_back(path);
    return found;
  }
  const std::string directory = DirectoryOf(path);
  const absl::StatusOr<std::vector<std::string>> names = files.List(directory);
  if (absl::IsNotFound(names.status())) return found;
  RETURN_IF_ERROR(names.status());
  for (const std::string& name : *names) {
    if (MatchGlob(pattern, name)) found.push_back(JoinPath(directory, name));
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace trawl

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "core/config/load.h"
#include "core/config/section.h"

namespace trawl {
namespace {

// A variable's name as it stands behind a `$`, and how many bytes it takes. An empty name with a
// size is bad syntax, which vanishes; one without size leaves the `$` as it is.
struct VariableName {
  std::string_view name;
  size_t size = 0;
};

bool IsSpecial(char c) {
  return std::string_view("*#$@!?-0123456789").find(c) != std::string_view::npos;
}

VariableName ReadBraced(std::string_view text) {
  const size_t close = text.find('}');
  if (close == std::string_view::npos) return {{}, 1};
  return {text.substr(1, close - 1), close + 1};
}

VariableName ReadVariableName(std::string_view text) {
  if (text[0] == '{') return ReadBraced(text);
  if (IsSpecial(text[0])) return {text.substr(0, 1), 1};
  size_t size = 0;
  while (size < text.size() &&
         (absl::ascii_isalnum(static_cast<unsigned char>(text[size])) || text[size] == '_')) {
    ++size;
  }
  return {text.substr(0, size), size};
}

std::string Lookup(std::string_view name, const EnvLookup& env, std::vector<std::string>& missing) {
  if (name == "$") return "$";
  const std::optional<std::string> value = env ? env(name) : std::nullopt;
  if (value.has_value() && !value->empty()) return *value;
  missing.emplace_back(name);
  return "";
}

}  // namespace

std::string ExpandEnv(std::string_view text, const EnvLookup& env,
                      std::vector<std::string>& missing) {
  std::string out;
  while (true) {
    const size_t dollar = text.find('$');
    if (dollar == std::string_view::npos || dollar + 1 == text.size()) break;
    out.append(text.substr(0, dollar));
    text.remove_prefix(dollar + 1);
    const VariableName variable = ReadVariableName(text);
    if (!variable.name.empty()) {
      out.append(Lookup(variable.name, env, missing));
    } else if (variable.size == 0) {
      out.push_back('$');
    }
    text.remove_prefix(variable.size);
  }
  out.append(text);
  return out;
}

}  // namespace trawl

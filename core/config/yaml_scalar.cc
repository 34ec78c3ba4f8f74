#include "core/config/yaml_scalar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trawl {
namespace {

constexpr std::array<std::string_view, 11> kTrue = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                                    "True", "TRUE", "on",  "On",  "ON"};
constexpr std::array<std::string_view, 11> kFalse = {"n",     "N",     "no",  "No",  "NO", "false",
                                                     "False", "FALSE", "off", "Off", "OFF"};

template <typename T, typename... Base>
std::optional<T> ParseAll(std::string_view text, Base... base) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base...);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string WithoutUnderscores(std::string_view text) {
  std::string out(text);
  out.erase(std::remove(out.begin(), out.end(), '_'), out.end());
  return out;
}

std::optional<uint64_t> ParseUint(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  if (text.starts_with("0x") || text.starts_with("0X")) {
    return ParseAll<uint64_t>(text.substr(2), 16);
  }
  if (text.starts_with("0b")) return ParseAll<uint64_t>(text.substr(2), 2);
  if (text.starts_with("0o")) return ParseAll<uint64_t>(text.substr(2), 8);
  if (text.size() > 1 && text[0] == '0') return ParseAll<uint64_t>(text, 8);
  return ParseAll<uint64_t>(text, 10);
}

std::optional<double> ParseFloat(std::string_view text) {
  // from_chars also takes "inf" and "nan", which YAML writes with a dot.
  if (text.find_first_of("0123456789") == std::string_view::npos) return std::nullopt;
  if (text.starts_with('+')) text.remove_prefix(1);
  return ParseAll<double>(text);
}

bool IsPlain(const YamlNode& node) { return node.kind == YamlNode::Kind::kScalar && !node.quoted; }

}  // namespace

std::optional<bool> ScalarBool(const YamlNode& node) {
  if (!IsPlain(node)) return std::nullopt;
  if (std::find(kTrue.begin(), kTrue.end(), node.text) != kTrue.end()) return true;
  if (std::find(kFalse.begin(), kFalse.end(), node.text) != kFalse.end()) return false;
  return std::nullopt;
}

std::optional<uint64_t> ScalarUint(const YamlNode& node) {
  if (!IsPlain(node)) return std::nullopt;
  const std::string text = WithoutUnderscores(node.text);
  if (const std::optional<uint64_t> value = ParseUint(text)) return value;
  const std::optional<double> value = ParseFloat(text);
  if (!value || *value < 0 || *value >= 18446744073709551616.0 || std::trunc(*value) != *value) {
    return std::nullopt;
  }
  return static_cast<uint64_t>(*value);
}

std::string_view ScalarTag(const YamlNode& node) {
  if (!IsPlain(node)) return "!!str";
  if (ScalarBool(node)) return "!!bool";
  std::string text = WithoutUnderscores(node.text);
  if (text.starts_with('-')) text.erase(0, 1);
  if (ParseUint(text)) return "!!int";
  return ParseFloat(text) ? "!!float" : "!!str";
}

}  // namespace trawl

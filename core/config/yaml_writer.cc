#include "core/config/yaml_writer.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace trawl {
namespace {

bool IsPlainByte(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         std::string_view("_/.:+-*").find(c) != std::string_view::npos;
}

// What reads as a boolean or null, or might to another reader.
bool IsWord(std::string_view text) {
  constexpr std::array<std::string_view, 9> kWords = {"true", "false", "yes", "no", "on",
                                                      "off",  "null",  "y",   "n"};
  const std::string lower = absl::AsciiStrToLower(text);
  return std::find(kWords.begin(), kWords.end(), lower) != kWords.end();
}

bool IsPlain(std::string_view text) {
  if (text.empty() || text.back() == ':' || IsWord(text)) return false;
  const auto first = static_cast<unsigned char>(text.front());
  if (!absl::ascii_isalpha(first) && first != '_' && first != '/') return false;
  return std::all_of(text.begin(), text.end(), IsPlainByte);
}

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += text[i];
    } else if (byte == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppendFormat(&out, "\\x%02x", byte);
    } else if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {
      absl::StrAppendFormat(&out, "\\x%02x", next);  // a control character of two bytes
      ++i;
    } else {
      out += text[i];
    }
  }
  return out + '"';
}

}  // namespace

std::string YamlScalar(std::string_view text) {
  return IsPlain(text) ? std::string(text) : Quoted(text);
}

std::string YamlList(const std::vector<std::string>& items) {
  const std::string joined = absl::StrJoin(
      items, ", ", [](std::string* out, const std::string& item) { *out += YamlScalar(item); });
  return absl::StrCat("[", joined, "]");
}

void YamlWriter::Field(std::string_view name, std::string_view value) {
  Line(absl::StrCat(name, ": ", value));
}

void YamlWriter::Begin(std::string_view name) {
  Line(absl::StrCat(name, ":"));
  indent_ += 2;
}

void YamlWriter::BeginItem() {
  indent_ += 2;
  item_ = true;
}

void YamlWriter::End() { indent_ -= 2; }

void YamlWriter::Line(std::string_view text) {
  absl::StrAppend(&out_, std::string(indent_ - (item_ ? 2 : 0), ' '), item_ ? "- " : "", text,
                  "\n");
  item_ = false;
}

}  // namespace trawl

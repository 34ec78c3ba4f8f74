#include "client/store/sqlite/json_text.h"

#include <charconv>
#include <cmath>

#include "core/append/sample_bitmap.h"
#include "core/model/value.h"

namespace trawl {
namespace {

// Above it not every integer is a double; below it integer formatting is exact and much faster.
constexpr double kMaxPlainInteger = 9007199254740992.0;

void AppendSpecial(double value, std::string& out) {
  if (std::isinf(value)) {
    out += value > 0 ? "\"+Inf\"" : "\"-Inf\"";
  } else {
    out += IsStaleMarker(value) ? "\"stale\"" : "\"NaN\"";
  }
}

void AppendEscaped(unsigned char c, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  if (c == '"' || c == '\\') {
    out += '\\';
    out += static_cast<char>(c);
  } else {
    out += "\\u00";
    out += kHex[c >> 4];
    out += kHex[c & 15];
  }
}

int HexDigit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

bool TakeString(std::string_view& json, std::string& out) {
  if (json.empty() || json.front() != '"') return false;
  size_t at = 1;
  for (; at < json.size() && json[at] != '"'; ++at) {
    if (json[at] != '\\') {
      out += json[at];
    } else if (at + 1 < json.size() && json[at + 1] != 'u') {
      out += json[++at];
    } else if (at + 5 < json.size()) {
      out += static_cast<char>(HexDigit(json[at + 4]) * 16 + HexDigit(json[at + 5]));
      at += 5;
    }
  }
  if (at >= json.size()) return false;
  json.remove_prefix(at + 1);
  return true;
}

}  // namespace

void AppendJsonValue(double value, std::string& out) {
  if (!std::isfinite(value)) return AppendSpecial(value, out);
  char text[32];
  std::to_chars_result end;
  if (std::fabs(value) < kMaxPlainInteger && std::trunc(value) == value &&
      !(value == 0 && std::signbit(value))) {
    end = std::to_chars(text, text + sizeof(text), static_cast<int64_t>(value));
  } else {
    end = std::to_chars(text, text + sizeof(text), value);
  }
  out.append(text, static_cast<size_t>(end.ptr - text));
  // As an integer SQLite would read it as 0.
  if (value == 0 && std::signbit(value)) out += ".0";
}

void AppendJsonString(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || c == '"' || c == '\\') {
      AppendEscaped(byte, out);
    } else {
      out += c;
    }
  }
  out += '"';
}

std::string JsonLabels(const Labels& labels) {
  std::string out = "{";
  for (const Label& label : labels) {
    if (label.name == kMetricName) continue;
    if (out.size() > 1) out += ',';
    AppendJsonString(label.name, out);
    out += ':';
    AppendJsonString(label.value, out);
  }
  return out += '}';
}

bool ParseJsonLabels(std::string_view json, LabelsBuilder& labels) {
  if (json.empty() || json.front() != '{') return false;
  json.remove_prefix(1);
  while (!json.empty() && json.front() != '}') {
    std::string name;
    std::string value;
    if (json.front() == ',') json.remove_prefix(1);
    if (!TakeString(json, name) || json.empty() || json.front() != ':') return false;
    json.remove_prefix(1);
    if (!TakeString(json, value)) return false;
    labels.Set(name, value);
  }
  return json == "}";
}

uint64_t AppendJsonValues(const DecodedScrape& scrape, bool markers, std::string& out) {
  uint64_t samples = 0;
  size_t next_time = 0;
  const size_t positions = scrape.layout->size();
  out += '[';
  for (size_t p = 0; p < positions; ++p) {
    if (p > 0) out += ',';
    if (next_time < scrape.times.size() && scrape.times[next_time].position == p) {
      ++next_time;
      out += "null";
      continue;
    }
    const bool absent = BitIsSet(scrape.absent, p);
    const bool marker = absent ? BitIsSet(scrape.stale, p) : IsStaleMarker(scrape.values[p]);
    if (marker ? !markers : absent) {
      out += "null";
      continue;
    }
    ++samples;
    AppendJsonValue(marker ? StaleMarker() : scrape.values[p], out);
  }
  out += ']';
  return samples;
}

}  // namespace trawl

#include "client/trawlctl/output.h"

#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace trawl {
namespace {

// Width on a terminal, taking each code point as one column.
size_t Width(const std::string& text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
}

std::string FormatRow(const std::vector<std::string>& row, const std::vector<size_t>& widths) {
  std::string line;
  for (size_t i = 0; i < row.size(); ++i) {
    line += row[i];
    if (i + 1 < row.size()) line.append(widths[i] - Width(row[i]) + 2, ' ');
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

}  // namespace

std::string Printable(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppendFormat(&out, "\\x%02x", byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::string FormatTable(const std::vector<std::string>& header,
                        const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::vector<std::string>> cells{header};
  for (const auto& row : rows) {
    cells.emplace_back();
    for (const std::string& cell : row) cells.back().push_back(Printable(cell));
  }
  std::vector<size_t> widths(header.size(), 0);
  for (const auto& row : cells) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string out;
  for (const auto& row : cells) out += FormatRow(row, widths);
  return out;
}

absl::StatusOr<std::string> FormatJsonLine(const google::protobuf::Message& item) {
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(item, &json, {});
  if (!status.ok()) return absl::InternalError(status.ToString());
  return json + "\n";
}

bool Print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  return std::fflush(stdout) == 0;
}

absl::StatusOr<std::string> FormatJson(const std::vector<const google::protobuf::Message*>& items) {
  google::protobuf::util::JsonPrintOptions options;
  std::string out = "[";
  for (size_t i = 0; i < items.size(); ++i) {
    std::string json;
    auto status = google::protobuf::util::MessageToJsonString(*items[i], &json, options);
    if (!status.ok()) return absl::InternalError(status.ToString());
    absl::StrAppend(&out, i == 0 ? "\n" : ",\n", json);
  }
  return out + (items.empty() ? "]\n" : "\n]\n");
}

}  // namespace trawl

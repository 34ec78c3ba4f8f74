#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace google::protobuf {
class Message;
}

namespace trawl {

// Columns of text, aligned for a terminal: every column but the last is padded to its widest
// cell. Control characters in cells are shown as \xNN, so that a hostile label can't steer the
// terminal. Ends with a newline; a table without rows is its header alone.
std::string FormatTable(const std::vector<std::string>& header,
                        const std::vector<std::vector<std::string>>& rows);

// Messages as a JSON array of objects, with protobuf's JSON names, one message a line.
absl::StatusOr<std::string> FormatJson(const std::vector<const google::protobuf::Message*>& items);

// Control characters as \xNN: for what is printed outside of a table.
std::string Printable(const std::string& text);

// A message as JSON on one line.
absl::StatusOr<std::string> FormatJsonLine(const google::protobuf::Message& item);

template <typename Repeated>
absl::StatusOr<std::string> FormatJsonOf(const Repeated& repeated) {
  std::vector<const google::protobuf::Message*> items;
  items.reserve(static_cast<size_t>(repeated.size()));
  for (const auto& item : repeated) items.push_back(&item);
  return FormatJson(items);
}

// To standard output, at once. False: nobody reads it any more.
bool Print(const std::string& text);

template <typename Repeated>
absl::Status PrintJson(const Repeated& items) {
  absl::StatusOr<std::string> json = FormatJsonOf(items);
  if (json.ok()) Print(*json);
  return json.status();
}

}  // namespace trawl

#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace trawl {

// The few things kept of a response's head, from its lines as they come. Heads of interim
// responses (1xx) are forgotten; trailers are ignored.
class ResponseHead {
 public:
  void Clear();
  // Whether `lines` are kept, of the responses that follow.
  void KeepLines(bool keep) { keep_lines_ = keep; }
  // One line, with or without its line end.
  void AddLine(std::string_view line);

  bool complete() const { return complete_; }
  int status_code() const { return status_code_; }
  // "404 Not Found"; the standard phrase where the server sent none.
  const std::string& status_line() const { return status_line_; }
  const std::string& content_type() const { return content_type_; }
  const std::string& content_encoding() const { return content_encoding_; }
  const std::string& location() const { return location_; }
  const std::string& retry_after() const { return retry_after_; }
  // As they came, the status line first; only if they are kept, and at most kMaxKeptBytes of them.
  const std::vector<std::string>& lines() const { return lines_; }
  // 301, 302, 303, 307 or 308 with a Location.
  bool IsRedirect() const;

  static constexpr size_t kMaxKeptBytes = size_t{64} << 10;

 private:
  void KeepLine(std::string_view line);
  void StartResponse(std::string_view line);
  void AddHeader(std::string_view name, std::string_view value);

  bool keep_lines_ = false;
  bool complete_ = false;
  int status_code_ = 0;
  std::string status_line_;
  std::string content_type_;
  std::string content_encoding_;
  std::string location_;
  std::string retry_after_;
  std::vector<std::string> lines_;
  size_t kept_bytes_ = 0;
};

}  // namespace trawl

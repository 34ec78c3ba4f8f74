#pragma once

#include <string>
#include <string_view>

namespace trawl {

// The few things kept of a response's head, from its lines as they come. Heads of interim
// responses (1xx) are forgotten; trailers are ignored.
class ResponseHead {
 public:
  void Clear();
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
  // 301, 302, 303, 307 or 308 with a Location.
  bool IsRedirect() const;

 private:
  void StartResponse(std::string_view line);
  void AddHeader(std::string_view name, std::string_view value);

  bool complete_ = false;
  int status_code_ = 0;
  std::string status_line_;
  std::string content_type_;
  std::string content_encoding_;
  std::string location_;
  std::string retry_after_;
};

}  // namespace trawl

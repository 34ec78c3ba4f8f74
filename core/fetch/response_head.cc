#include "core/fetch/response_head.h"

#include <charconv>
#include <utility>

#include "absl/strings/match.h"
#include "core/base/concat.h"

namespace trawl {
namespace {

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string_view StandardPhrase(int status_code) {
  static constexpr std::pair<int, std::string_view> kPhrases[] = {
      {200, "OK"},
      {204, "No Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {408, "Request Timeout"},
      {413, "Request Entity Too Large"},
      {415, "Unsupported Media Type"},
      {418, "I'm a teapot"},
      {429, "Too Many Requests"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
  };
  for (const auto& [code, phrase] : kPhrases) {
    if (code == status_code) return phrase;
  }
  return {};
}

void SetOnce(std::string& field, std::string_view value) {
  if (field.empty()) field.assign(value);
}

}  // namespace

void ResponseHead::Clear() {
  complete_ = false;
  status_code_ = 0;
  for (std::string* field :
       {&status_line_, &content_type_, &content_encoding_, &location_, &retry_after_}) {
    field->clear();
  }
  lines_.clear();
  kept_bytes_ = 0;
}

void ResponseHead::AddLine(std::string_view line) {
  line = Trim(line);
  const bool interim = complete_ && status_code_ < 200;
  if (line.starts_with("HTTP/") && (status_code_ == 0 || interim)) {
    StartResponse(line);
    return KeepLine(line);
  }
  if (complete_) return;
  if (line.empty()) {
    complete_ = true;
    return;
  }
  KeepLine(line);
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  AddHeader(line.substr(0, colon), Trim(line.substr(colon + 1)));
}

void ResponseHead::KeepLine(std::string_view line) {
  if (!keep_lines_ || kept_bytes_ + line.size() > kMaxKeptBytes) return;
  kept_bytes_ += line.size();
  lines_.emplace_back(line);
}

bool ResponseHead::IsRedirect() const {
  switch (status_code_) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
      return !location_.empty();
    default:
      return false;
  }
}

void ResponseHead::StartResponse(std::string_view line) {
  Clear();
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) return;
  const std::string_view status = Trim(line.substr(space + 1));
  std::from_chars(status.data(), status.data() + status.size(), status_code_);
  status_line_.assign(status);
  if (status.find(' ') != std::string_view::npos) return;
  const std::string_view phrase = StandardPhrase(status_code_);
  if (!phrase.empty()) status_line_.append(" ").append(phrase);
}

void ResponseHead::AddHeader(std::string_view name, std::string_view value) {
  const auto is = [&](std::string_view known) {
    return name.size() == known.size() && absl::EqualsIgnoreCase(ToAbsl(name), ToAbsl(known));
  };
  if (is("content-type")) {
    SetOnce(content_type_, value);
  } else if (is("content-encoding")) {
    SetOnce(content_encoding_, value);
  } else if (is("location")) {
    SetOnce(location_, value);
  } else if (is("retry-after")) {
    SetOnce(retry_after_, value);
  }
}

}  // namespace trawl

#include "core/scrape/target.h"

#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/hash.h"

namespace trawl {
namespace {

constexpr std::string_view kParamPrefix = "__param_";

// Which bytes stand for themselves: Go's net/url, shouldEscape.
constexpr std::string_view kPathPlain = "-_.~$&+,/:;=@";
constexpr std::string_view kHostPlain = "-_.~!$&'()*+,;=:[]<>\"";
constexpr std::string_view kQueryPlain = "-_.~";

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

void AppendEscaped(std::string_view text, std::string_view plain, std::string& out) {
  for (char c : text) {
    if (IsAlphanumeric(c) || plain.find(c) != std::string_view::npos) {
      out.push_back(c);
    } else if (c == ' ' && plain == kQueryPlain) {
      out.push_back('+');
    } else {
      absl::StrAppendFormat(&out, "%%%02X", static_cast<unsigned char>(c));
    }
  }
}

QueryParams ParamsOf(const Labels& labels, const QueryParams& configured) {
  QueryParams params = configured;
  for (const Label& label : labels) {
    if (!absl::StartsWith(label.name, kParamPrefix)) continue;
    std::vector<std::string>& values = params[label.name.substr(kParamPrefix.size())];
    if (values.empty()) {
      values.push_back(label.value);
    } else {
      values[0] = label.value;
    }
  }
  return params;
}

void AppendQuery(const QueryParams& params, std::string& out) {
  char separator = '?';
  for (const auto& [key, values] : params) {
    for (const std::string& value : values) {
      out.push_back(separator);
      separator = '&';
      AppendEscaped(key, kQueryPlain, out);
      out.push_back('=');
      AppendEscaped(value, kQueryPlain, out);
    }
  }
}

void AppendPath(std::string_view path, bool has_host, std::string& out) {
  if (path.empty()) return;
  if (path[0] != '/' && has_host) out.push_back('/');
  if (path == "*") {
    out.push_back('*');
  } else {
    AppendEscaped(path, kPathPlain, out);
  }
}

}  // namespace

std::string TargetUrl(const Labels& all_labels, const QueryParams& params) {
  const std::string_view scheme = all_labels.Get("__scheme__");
  const std::string_view host = all_labels.Get("__address__");
  const std::string_view path = all_labels.Get("__metrics_path__");
  std::string url;
  if (!scheme.empty()) absl::StrAppend(&url, scheme, ":");
  if (!host.empty() || (!scheme.empty() && !path.empty())) url += "//";
  AppendEscaped(host, kHostPlain, url);
  AppendPath(path, !host.empty(), url);
  AppendQuery(ParamsOf(all_labels, params), url);
  return url;
}

uint64_t TargetHash(const Labels& all_labels, std::string_view url) {
  return Fnv1a64(url, Fnv1a64(absl::StrFormat("%016d", all_labels.Hash())));
}

uint32_t ShardOf(const Target& target, uint32_t shards) {
  return static_cast<uint32_t>(target.public_hash % shards);
}

}  // namespace trawl

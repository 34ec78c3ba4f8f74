#include "core/scrape/target.h"

#include <array>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/hash.h"

namespace trawl {
namespace {

constexpr std::string_view kParamPrefix = "__param_";

// Which bytes stand for themselves: letters, digits and these (Go's net/url, shouldEscape).
class PlainBytes {
 public:
  explicit constexpr PlainBytes(std::string_view plain) {
    for (const char c : plain) Add(c);
    for (char c = '0'; c <= '9'; ++c) Add(c);
    for (char c = 'a'; c <= 'z'; ++c) Add(c);
    for (char c = 'A'; c <= 'Z'; ++c) Add(c);
  }
  constexpr bool Has(char c) const { return is_plain_[static_cast<unsigned char>(c)]; }

 private:
  constexpr void Add(char c) { is_plain_[static_cast<unsigned char>(c)] = true; }

  std::array<bool, 256> is_plain_ = {};
};
constexpr PlainBytes kPathPlain("-_.~$&+,/:;=@");
constexpr PlainBytes kHostPlain("-_.~!$&'()*+,;=:[]<>\"");
constexpr PlainBytes kQueryPlain("-_.~");

void AppendEscaped(std::string_view text, const PlainBytes& plain, std::string& out) {
  for (char c : text) {
    if (plain.Has(c)) {
      out.push_back(c);
    } else if (c == ' ' && &plain == &kQueryPlain) {
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
  url.reserve(scheme.size() + 3 + host.size() + path.size());
  if (!scheme.empty()) absl::StrAppend(&url, scheme, ":");
  if (!host.empty() || (!scheme.empty() && !path.empty())) url += "//";
  AppendEscaped(host, kHostPlain, url);
  AppendPath(path, !host.empty(), url);
  AppendQuery(ParamsOf(all_labels, params), url);
  return url;
}

uint64_t TargetHash(const Labels& all_labels, std::string_view url) {
  return Fnv1a64(url, Fnv1a64(absl::StrCat(absl::Dec(all_labels.Hash(), absl::kZeroPad16))));
}

uint32_t ShardOf(const Target& target, uint32_t shards) {
  return static_cast<uint32_t>(target.public_hash % shards);
}

}  // namespace trawl

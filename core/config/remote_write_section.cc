#include <arpa/inet.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/config/config.h"
#include "core/config/config_text.h"
#include "core/config/known_sections.h"
#include "core/config/section.h"
#include "core/config/yaml.h"
#include "core/config/yaml_reader.h"

namespace trawl {
namespace {

constexpr std::string_view kSent = "leaving it out would change what is sent";

// What stands behind a URL's `://`, taken apart.
struct UrlParts {
  std::string_view user;  // with its password
  std::string_view host;  // with the brackets of an IPv6 address
  std::string_view port;  // with its colon; or what else comes behind the host
  std::string_view path;
  std::string_view fragment;
};

UrlParts TakeApart(std::string_view url) {
  UrlParts parts;
  const size_t fragment = std::min(url.find('#'), url.size());
  parts.fragment = url.substr(fragment);
  url = url.substr(0, fragment);
  url = url.substr(0, url.find('?'));
  const size_t path = std::min(url.find('/'), url.size());
  parts.path = url.substr(path);
  std::string_view authority = url.substr(0, path);
  const size_t at = authority.rfind('@');
  if (at != std::string_view::npos) {
    parts.user = authority.substr(0, at);
    authority.remove_prefix(at + 1);
  }
  const size_t bracket = authority.starts_with('[') ? authority.find(']') : 0;
  const size_t end =
      bracket == std::string_view::npos ? authority.size() : authority.find(':', bracket);
  parts.host = authority.substr(0, end);
  parts.port = authority.substr(parts.host.size());
  return parts;
}

bool IsIpv6(std::string_view host) {
  if (host.size() < 2 || !host.ends_with(']')) return false;
  host = host.substr(1, host.size() - 2);
  const std::string address(host.substr(0, host.find('%')));  // without a zone
  unsigned char buffer[sizeof(in6_addr)];
  return inet_pton(AF_INET6, address.c_str(), buffer) == 1;
}

bool IsHost(std::string_view host) {
  if (host.starts_with('[')) return IsIpv6(host);
  return host.find_first_of("!@{}[]\\$'\"^`*<>=;,&+()%:") == std::string_view::npos;
}

bool IsPort(std::string_view port) {
  if (port.empty() || port == ":") return true;
  if (port.find_first_not_of("0123456789", 1) != std::string_view::npos) return false;
  int number = 0;
  return absl::SimpleAtoi(port.substr(1), &number) && number <= UINT16_MAX;
}

bool HasBadEscape(std::string_view text) {
  for (size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 1)) {
    if (at + 2 >= text.size() || !absl::ascii_isxdigit(static_cast<unsigned char>(text[at + 1])) ||
        !absl::ascii_isxdigit(static_cast<unsigned char>(text[at + 2]))) {
      return true;
    }
  }
  return false;
}

bool HasBlank(std::string_view url) {
  return std::any_of(url.begin(), url.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f; });
}

// What is wrong with a URL; "" for nothing. No more passes than what sends to it would take.
std::string_view UrlProblem(std::string_view url) {
  constexpr std::string_view kNoHost = "must be http or https with a host";
  const size_t scheme_end = url.find("://");
  const std::string_view scheme = url.substr(0, scheme_end);
  const bool http =
      scheme_end != std::string_view::npos &&
      (absl::EqualsIgnoreCase(scheme, "http") || absl::EqualsIgnoreCase(scheme, "https"));
  if (!http) return kNoHost;
  const UrlParts parts = TakeApart(url.substr(scheme_end + 3));
  if (parts.host.empty()) return kNoHost;
  if (HasBlank(url)) return "must have no blank or control character";
  if (absl::StrContains(parts.user, '@')) return "must have %40 for an @ of user or password";
  if (!IsHost(parts.host)) return "must have a valid host";
  if (!IsPort(parts.port)) return "must have a valid port";
  if (HasBadEscape(parts.user) || HasBadEscape(parts.path) || HasBadEscape(parts.fragment)) {
    return "must have two hexadecimal digits behind each %";
  }
  return "";
}

void CheckUrl(const RemoteWriteConfig& config, StructReader& reader) {
  if (config.url.empty()) return reader.Error("url", "url for remote_write is empty");
  const std::string_view problem = UrlProblem(config.url);
  if (problem.empty()) return;
  reader.Error("url", absl::StrCat("url for remote_write ", problem, ", got ",
                                   GoQuote(MaskUrl(config.url))));
}

void CheckProtobufMessage(StructReader& reader) {
  std::string message;
  if (!reader.Read("protobuf_message", message)) return;
  if (message == "prometheus.WriteRequest") return;
  if (message == "io.prometheus.write.v2.Request") {
    return reader.Error("protobuf_message",
                        absl::StrCat("protobuf_message ", message, " is not supported: ", kSent));
  }
  reader.Error(
      "protobuf_message",
      absl::StrCat("invalid protobuf_message value: unknown type for remote write protobuf "
                   "message ",
                   message,
                   ", supported: prometheus.WriteRequest, io.prometheus.write.v2.Request"));
}

void IgnoreUnused(StructReader& reader) {
  IgnoreField(reader, "queue_config", "config.QueueConfig", "trawl sends from its own queue");
  IgnoreField(reader, "metadata_config", "config.MetadataConfig", "no metadata is sent");
  IgnoreIfTrue(reader, "send_exemplars", "none are scraped");
  IgnoreIfTrue(reader, "send_native_histograms", "none are scraped");
  IgnoreIfTrue(reader, "convert_nhcb_to_classic", "no native histograms are scraped");
  IgnoreIfTrue(reader, "round_robin_dns", "the first address that answers is used");
  IgnoreIfTrue(reader, "failed_request_logging", "the last error stands on the sink's status");
}

}  // namespace

RemoteWriteConfig ReadRemoteWrite(const YamlNode& node, const SectionContext& context) {
  RemoteWriteConfig config;
  StructReader reader(node, "config.RemoteWriteConfig", context.findings);
  reader.Read("url", config.url);
  CheckUrl(config, reader);
  reader.Read("name", config.name);
  // A sink's cursor is kept under its name: one by position would change hands when the list does.
  if (config.name.empty()) {
    config.name = absl::StrFormat("remote-%08x", static_cast<uint32_t>(XxHash64(config.url)));
  }
  reader.Read("remote_timeout", config.remote_timeout);
  if (config.remote_timeout == absl::ZeroDuration()) {
    config.remote_timeout = RemoteWriteConfig().remote_timeout;
  }
  config.http = ReadHttpClient(reader, context);
  CheckProtobufMessage(reader);
  for (const std::string_view field :
       {"write_relabel_configs", "headers", "sigv4", "azuread", "google_iam"}) {
    reader.Refuse(field, kSent);
  }
  // An empty section still asks for that way to sign requests.
  for (const std::string_view field : {"sigv4", "azuread", "google_iam"}) {
    const YamlNode* section = reader.Find(field);
    if (section == nullptr || section->is_null() || !section->says_nothing()) continue;
    reader.Error(field, absl::StrCat("field ", field, " is not supported: ", kSent));
  }
  IgnoreUnused(reader);
  reader.Finish();
  return config;
}

}  // namespace trawl

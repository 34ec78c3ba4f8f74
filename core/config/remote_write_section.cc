#include <string>
#include <string_view>

#include "absl/strings/match.h"
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

// Of what stands behind a URL's `://`: without user, password and port.
std::string_view HostOf(std::string_view url) {
  std::string_view authority = url.substr(0, url.find_first_of("/?#"));
  const size_t at = authority.rfind('@');
  if (at != std::string_view::npos) authority.remove_prefix(at + 1);
  if (authority.starts_with('[')) return authority;  // an IPv6 address
  return authority.substr(0, authority.find(':'));
}

void CheckUrl(const RemoteWriteConfig& config, StructReader& reader) {
  if (config.url.empty()) return reader.Error("url", "url for remote_write is empty");
  const size_t scheme_end = config.url.find("://");
  const std::string scheme = config.url.substr(0, scheme_end);
  const bool http = scheme_end != std::string::npos && (absl::EqualsIgnoreCase(scheme, "http") ||
                                                        absl::EqualsIgnoreCase(scheme, "https"));
  if (!http || HostOf(config.url.substr(scheme_end + 3)).empty()) {
    reader.Error("url", absl::StrCat("url for remote_write must be http or https with a host, got ",
                                     GoQuote(MaskUrl(config.url))));
  }
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

#include <initializer_list>
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
#include "core/config/section.h"
#include "core/config/yaml.h"
#include "core/config/yaml_reader.h"

namespace trawl {
namespace {

constexpr std::string_view kSent = "leaving it out would change what is sent";

void CheckUrl(const RemoteWriteConfig& config, StructReader& reader) {
  if (config.url.empty()) return reader.Error("url", "url for remote_write is empty");
  const size_t scheme_end = config.url.find("://");
  const std::string scheme = config.url.substr(0, scheme_end);
  const bool http = scheme_end != std::string::npos && (absl::EqualsIgnoreCase(scheme, "http") ||
                                                        absl::EqualsIgnoreCase(scheme, "https"));
  const bool has_host = http && config.url.size() > scheme_end + 3 &&
                        config.url[scheme_end + 3] != '/' && config.url[scheme_end + 3] != ':';
  if (!has_host) {
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

// These read as structs, so that a misspelt field is found although none has an effect.
void IgnoreSection(StructReader& reader, std::string_view field, std::string_view type,
                   std::initializer_list<std::string_view> fields, std::string_view reason) {
  reader.Ignore(field, reason);
  const YamlNode* node = reader.Find(field);
  if (node == nullptr) return;
  StructReader section(*node, type, reader.findings());
  for (const std::string_view known : fields) section.Find(known);
  section.Finish();
}

void IgnoreUnused(StructReader& reader) {
  IgnoreSection(
      reader, "queue_config", "config.QueueConfig",
      {"capacity", "max_shards", "min_shards", "max_samples_per_send", "batch_send_deadline",
       "min_backoff", "max_backoff", "retry_on_http_429", "sample_age_limit"},
      "trawl sends from its own queue");
  IgnoreSection(reader, "metadata_config", "config.MetadataConfig",
                {"send", "send_interval", "max_samples_per_send"}, "no metadata is sent");
  for (const std::string_view field : {"send_exemplars", "send_native_histograms"}) {
    bool wanted = false;
    if (reader.Read(field, wanted) && wanted) {
      reader.Warn(field, absl::StrCat("field ", field, " has no effect: none are scraped"));
    }
  }
  bool round_robin = false;
  if (reader.Read("round_robin_dns", round_robin) && round_robin) {
    reader.Warn("round_robin_dns",
                "field round_robin_dns has no effect: the first address that answers is used");
  }
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

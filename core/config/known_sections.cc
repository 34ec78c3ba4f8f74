#include "core/config/known_sections.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "core/config/yaml.h"
#include "core/config/yaml_scalar.h"

namespace trawl {
namespace {

// Fields as NAME, which is a string, or NAME:KIND; with +SECTION that section's fields as well.
struct Section {
  std::string_view name;
  std::string_view fields;
};

// clang-format off
constexpr auto kSections = std::to_array<Section>({
    // Sections of the file, and what several have in common.
    {"config.AlertingConfig",
     "alert_relabel_configs:[relabel.Config] alertmanagers:[config.AlertmanagerConfig]"},
    {"config.AlertmanagerConfig",
     "alert_relabel_configs:[relabel.Config] api_version path_prefix "
     "relabel_configs:[relabel.Config] scheme sigv4:sigv4.SigV4Config timeout:duration "
     "+discovery.Configs +config.HTTPClientConfig"},
    {"config.Authorization", "credentials credentials_file credentials_ref type"},
    {"config.BasicAuth", "password password_file password_ref username username_file username_ref"},
    {"config.ChunkEncodingConfig", "floats"},
    {"config.ExemplarsConfig", "max_exemplars:int"},
    {"config.HTTPClientConfig",
     "authorization:config.Authorization basic_auth:config.BasicAuth bearer_token "
     "bearer_token_file enable_http2:bool follow_redirects:bool http_headers:map "
     "oauth2:config.OAuth2 tls_config:config.TLSConfig +config.ProxyConfig"},
    {"config.MetadataConfig", "max_samples_per_send:int send:bool send_interval:duration"},
    {"config.OAuth2",
     "audience claims:map client_certificate_key client_certificate_key_file "
     "client_certificate_key_id client_certificate_key_ref client_id client_secret "
     "client_secret_file client_secret_ref endpoint_params:{string} grant_type iss "
     "scopes:[string] signature_algorithm tls_config:config.TLSConfig token_url "
     "+config.ProxyConfig"},
    {"config.OTLPConfig",
     "convert_histograms_to_nhcb:bool ignore_resource_attributes:[string] "
     "keep_identifying_resource_attributes:bool label_name_preserve_multiple_underscores:bool "
     "label_name_underscore_sanitization:bool promote_all_resource_attributes:bool "
     "promote_resource_attributes:[string] promote_scope_metadata:bool translation_strategy"},
    {"config.ProxyConfig",
     "no_proxy proxy_connect_header:map proxy_from_environment:bool proxy_url"},
    {"config.QueueConfig",
     "batch_send_deadline:duration capacity:int max_backoff:duration max_samples_per_send:int "
     "max_shards:int min_backoff:duration min_shards:int retry_on_http_429:bool "
     "sample_age_limit:duration"},
    {"config.RemoteReadConfig",
     "chunked_read_limit:uint filter_external_labels:bool headers:{string} name read_recent:bool "
     "remote_timeout:duration required_matchers:{string} url +config.HTTPClientConfig"},
    {"config.RuntimeConfig", "gogc:int log_level"},
    {"config.StorageConfig", "exemplars:config.ExemplarsConfig tsdb:config.TSDBConfig"},
    {"config.TLSConfig",
     "ca ca_file ca_ref cert cert_file cert_ref insecure_skip_verify:bool key key_file key_ref "
     "max_version min_version server_name"},
    {"config.TSDBConfig",
     "chunk_encoding:config.ChunkEncodingConfig out_of_order_time_window:duration "
     "retention:config.TSDBRetentionConfig stale_series_compaction_threshold:float"},
    {"config.TSDBRetentionConfig", "percentage:float size:size time:duration"},
    {"config.TracingConfig",
     "client_type compression endpoint headers:{string} insecure:bool sampling_fraction:float "
     "timeout:duration tls_config:config.TLSConfig"},
    {"relabel.Config",
     "action modulus:uint regex replacement separator source_labels:[string] target_label"},
    {"sigv4.SigV4Config",
     "access_key external_id profile region role_arn secret_key service_name session_name "
     "tags:{string} use_fips_sts_endpoint:bool"},
    {"targetgroup.Group", "labels:{string} targets:[string]"},
    // Discoveries: those of a job, and each one.
    {"discovery.PushedConfigs",
     "aws_sd_configs:[aws.SDConfig] azure_sd_configs:[azure.SDConfig] "
     "consul_sd_configs:[consul.SDConfig] digitalocean_sd_configs:[digitalocean.SDConfig] "
     "dns_sd_configs:[dns.SDConfig] docker_sd_configs:[moby.DockerSDConfig] "
     "dockerswarm_sd_configs:[moby.DockerSwarmSDConfig] ec2_sd_configs:[aws.EC2SDConfig] "
     "ecs_sd_configs:[aws.ECSSDConfig] elasticache_sd_configs:[aws.ElasticacheSDConfig] "
     "eureka_sd_configs:[eureka.SDConfig] gce_sd_configs:[gce.SDConfig] "
     "hetzner_sd_configs:[hetzner.SDConfig] http_sd_configs:[http.SDConfig] "
     "ionos_sd_configs:[ionos.SDConfig] kubernetes_sd_configs:[kubernetes.SDConfig] "
     "kuma_sd_configs:[xds.SDConfig] lightsail_sd_configs:[aws.LightsailSDConfig] "
     "linode_sd_configs:[linode.SDConfig] marathon_sd_configs:[marathon.SDConfig] "
     "msk_sd_configs:[aws.MSKSDConfig] nerve_sd_configs:[zookeeper.NerveSDConfig] "
     "nomad_sd_configs:[nomad.SDConfig] oci_sd_configs:[oci.SDConfig] "
     "openstack_sd_configs:[openstack.SDConfig] outscale_sd_configs:[outscale.SDConfig] "
     "ovhcloud_sd_configs:[ovhcloud.SDConfig] puppetdb_sd_configs:[puppetdb.SDConfig] "
     "rds_sd_configs:[aws.RDSSDConfig] scaleway_sd_configs:[scaleway.SDConfig] "
     "serverset_sd_configs:[zookeeper.ServersetSDConfig] stackit_sd_configs:[stackit.SDConfig] "
     "triton_sd_configs:[triton.SDConfig] uyuni_sd_configs:[uyuni.SDConfig] "
     "vultr_sd_configs:[vultr.SDConfig]"},
    {"discovery.Configs",
     "file_sd_configs:[file.SDConfig] static_configs:[targetgroup.Group] +discovery.PushedConfigs"},
    {"aws.EC2SDConfig",
     "access_key endpoint external_id filters:[aws.Filter] port:int profile "
     "refresh_interval:duration region role_arn secret_key +config.HTTPClientConfig"},
    {"aws.ECSSDConfig",
     "access_key clusters:[string] endpoint external_id port:int profile "
     "refresh_interval:duration region request_concurrency:int role_arn secret_key "
     "+config.HTTPClientConfig"},
    {"aws.ElasticacheSDConfig",
     "access_key clusters:[string] endpoint external_id port:int profile "
     "refresh_interval:duration region request_concurrency:int role_arn secret_key "
     "+config.HTTPClientConfig"},
    {"aws.Filter", "name values:[string]"},
    {"aws.LightsailSDConfig",
     "access_key endpoint external_id port:int profile refresh_interval:duration region role_arn "
     "secret_key +config.HTTPClientConfig"},
    {"aws.MSKSDConfig",
     "access_key clusters:[string] endpoint external_id port:int profile "
     "refresh_interval:duration region request_concurrency:int role_arn secret_key "
     "+config.HTTPClientConfig"},
    {"aws.RDSSDConfig",
     "access_key clusters:[string] endpoint external_id filters:[aws.Filter] port:int profile "
     "refresh_interval:duration region request_concurrency:int role_arn secret_key "
     "+config.HTTPClientConfig"},
    {"aws.SDConfig",
     "access_key clusters:[string] endpoint external_id filters:[aws.Filter] port:int profile "
     "refresh_interval:duration region role role_arn secret_key +config.HTTPClientConfig"},
    {"azure.SDConfig",
     "authentication_method client_id client_secret environment port:int "
     "refresh_interval:duration resource_group subscription_id tenant_id +config.HTTPClientConfig"},
    {"consul.SDConfig",
     "allow_stale:bool datacenter filter health_filter namespace node_meta:{string} partition "
     "password path_prefix refresh_interval:duration scheme server services:[string] "
     "tag_separator tags:[string] token username +config.HTTPClientConfig"},
    {"digitalocean.SDConfig", "port:int refresh_interval:duration role +config.HTTPClientConfig"},
    {"dns.SDConfig", "names:[string] port:int refresh_interval:duration type"},
    {"eureka.SDConfig", "refresh_interval:duration server +config.HTTPClientConfig"},
    {"file.SDConfig", "files:[string] refresh_interval:duration"},
    {"gce.SDConfig", "filter port:int project refresh_interval:duration tag_separator zone"},
    {"hetzner.SDConfig",
     "label_selector port:int refresh_interval:duration role +config.HTTPClientConfig"},
    {"http.SDConfig", "refresh_interval:duration url +config.HTTPClientConfig"},
    {"ionos.SDConfig", "datacenter_id port:int refresh_interval:duration +config.HTTPClientConfig"},
    {"kubernetes.AttachMetadataConfig", "namespace:bool node:bool +kubernetes.PodMetadataConfig"},
    {"kubernetes.NamespaceDiscovery", "names:[string] own_namespace:bool"},
    {"kubernetes.PodMetadataConfig", "cronjob:bool deployment:bool job:bool"},
    {"kubernetes.SDConfig",
     "api_server attach_metadata:kubernetes.AttachMetadataConfig kubeconfig_file "
     "namespaces:kubernetes.NamespaceDiscovery role selectors:[kubernetes.SelectorConfig] "
     "+config.HTTPClientConfig"},
    {"kubernetes.SelectorConfig", "field label role"},
    {"linode.SDConfig",
     "port:int refresh_interval:duration region tag_separator +config.HTTPClientConfig"},
    {"marathon.SDConfig",
     "auth_token auth_token_file refresh_interval:duration servers:[string] "
     "+config.HTTPClientConfig"},
    {"moby.DockerSDConfig",
     "filters:[moby.Filter] host host_networking_host match_first_network:bool port:int "
     "refresh_interval:duration +config.HTTPClientConfig"},
    {"moby.DockerSwarmSDConfig",
     "filters:[moby.Filter] host port:int refresh_interval:duration role +config.HTTPClientConfig"},
    {"moby.Filter", "name values:[string]"},
    {"nomad.SDConfig",
     "allow_stale:bool namespace refresh_interval:duration region server tag_separator "
     "+config.HTTPClientConfig"},
    {"oci.SDConfig",
     "auth compartments:[string] fingerprint key_file key_passphrase key_passphrase_file port:int "
     "refresh_interval:duration region tenancy user +config.HTTPClientConfig"},
    {"openstack.SDConfig",
     "all_tenants:bool application_credential_id application_credential_name "
     "application_credential_secret availability domain_id domain_name identity_endpoint password "
     "port:int project_id project_name refresh_interval:duration region role "
     "tls_config:config.TLSConfig userid username"},
    {"outscale.SDConfig",
     "access_key endpoint port:int refresh_interval:duration region secret_key secret_key_file "
     "+config.HTTPClientConfig"},
    {"ovhcloud.SDConfig",
     "application_key application_secret consumer_key endpoint refresh_interval:duration service"},
    {"puppetdb.SDConfig",
     "include_parameters:bool port:int query refresh_interval:duration url "
     "+config.HTTPClientConfig"},
    {"scaleway.SDConfig",
     "access_key api_url name_filter port:int project_id refresh_interval:duration role "
     "secret_key secret_key_file tags_filter:[string] zone +config.HTTPClientConfig"},
    {"stackit.SDConfig",
     "credentials_file_path endpoint port:int private_key private_key_path project "
     "refresh_interval:duration region service_account_key service_account_key_path "
     "+config.HTTPClientConfig"},
    {"triton.SDConfig",
     "account dns_suffix endpoint groups:[string] port:int refresh_interval:duration role "
     "tls_config:config.TLSConfig version:int"},
    {"uyuni.SDConfig",
     "entitlement password refresh_interval:duration separator server username "
     "+config.HTTPClientConfig"},
    {"vultr.SDConfig", "port:int refresh_interval:duration +config.HTTPClientConfig"},
    {"xds.SDConfig",
     "client_id fetch_timeout:duration refresh_interval:duration server +config.HTTPClientConfig"},
    {"zookeeper.NerveSDConfig", "paths:[string] servers:[string] timeout:duration"},
    {"zookeeper.ServersetSDConfig", "paths:[string] servers:[string] timeout:duration"},});
// clang-format on

void AddFields(std::string_view name, std::vector<KnownField>& fields) {
  const auto* const section =
      std::find_if(kSections.begin(), kSections.end(),
                   [name](const Section& candidate) { return candidate.name == name; });
  if (section == kSections.end()) abort();  // a mistake in the table
  for (const std::string_view field : absl::StrSplit(section->fields, ' ')) {
    if (field.starts_with('+')) {
      AddFields(field.substr(1), fields);
      continue;
    }
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(field, absl::MaxSplits(':', 1));
    fields.push_back({parts.first, parts.second.empty() ? "string" : parts.second});
  }
}

void CheckSection(const YamlNode& node, std::string_view section, Findings& findings) {
  StructReader reader(node, section, findings);
  for (const KnownField& field : FieldsOfSection(section)) {
    const YamlNode* value = reader.Find(field.name);
    if (value != nullptr) CheckKind(*value, field.name, field.kind, findings);
  }
  reader.Finish();
}

void CheckList(const YamlNode& node, std::string_view field, std::string_view kind,
               Findings& findings) {
  if (kind == "string") {
    std::vector<std::string> unused;
    return ReadValue(node, unused, findings);
  }
  const std::string null_message = absl::StrCat("empty or null section in ", field);
  for (const YamlNode::Ptr& item : ReadStructs(node, kind, null_message, findings)) {
    CheckSection(*item, kind, findings);
  }
}

// A map whose keys are data; read as a struct for the checks of a map.
void CheckMap(const YamlNode& node, bool strings, Findings& findings) {
  const StructReader reader(node, strings ? "map[string]string" : "map[string]any", findings);
  if (!strings) return;
  for (const YamlNode::Entry& entry : node.entries) {
    CheckKind(*entry.value, entry.key, "string", findings);
  }
}

template <typename T>
void CheckScalar(const YamlNode& node, Findings& findings) {
  T unused{};
  ReadValue(node, unused, findings);
}

// Go cuts the fraction off where an int is wanted.
void CheckNumber(const YamlNode& node, std::string_view type, Findings& findings) {
  const std::string_view tag = node.kind == YamlNode::Kind::kScalar ? ScalarTag(node) : "";
  if (tag == "!!int" || tag == "!!float" || node.is_null()) return;
  findings.Error(node.mark, absl::StrCat("cannot unmarshal ", node.Describe(), " into ", type));
}

}  // namespace

std::vector<KnownField> FieldsOfSection(std::string_view section) {
  std::vector<KnownField> fields;
  AddFields(section, fields);
  return fields;
}

std::vector<std::string_view> KnownSections() {
  std::vector<std::string_view> names;
  names.reserve(kSections.size());
  for (const Section& section : kSections) names.push_back(section.name);
  return names;
}

void CheckKind(const YamlNode& node, std::string_view field, std::string_view kind,
               Findings& findings) {
  if (kind == "string") return CheckScalar<std::string>(node, findings);
  if (kind == "bool") return CheckScalar<bool>(node, findings);
  if (kind == "uint") return CheckScalar<uint64_t>(node, findings);
  if (kind == "duration") return CheckScalar<absl::Duration>(node, findings);
  if (kind == "int") return CheckNumber(node, "int", findings);
  if (kind == "float") return CheckNumber(node, "float64", findings);
  if (kind == "map") return CheckMap(node, false, findings);
  if (kind == "{string}") return CheckMap(node, true, findings);
  if (kind.starts_with('[')) {
    return CheckList(node, field, kind.substr(1, kind.size() - 2), findings);
  }
  if (kind != "size") return CheckSection(node, kind, findings);
  uint64_t unused = 0;
  ReadByteSize(node, unused, findings);
}

void IgnoreField(StructReader& reader, std::string_view field, std::string_view kind,
                 std::string_view reason) {
  reader.Ignore(field, reason);
  const YamlNode* value = reader.Find(field);
  if (value != nullptr) CheckKind(*value, field, kind, reader.findings());
}

void IgnoreIfTrue(StructReader& reader, std::string_view field, std::string_view reason) {
  bool wanted = false;
  reader.Read(field, wanted);
  if (wanted) reader.Ignore(field, reason);
}

}  // namespace trawl

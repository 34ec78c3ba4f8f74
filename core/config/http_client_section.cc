#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/base/file_system.h"
#include "core/base/status_macros.h"
#include "core/config/known_sections.h"
#include "core/config/section.h"
#include "core/config/yaml.h"
#include "core/config/yaml_reader.h"
#include "core/model/http_client_config.h"

namespace trawl {
namespace {

constexpr std::string_view kTrust = "leaving it out would change what is trusted";
constexpr std::string_view kRequest = "leaving it out would change how requests are made";

// Whether the file can be read, as far as the options let us look.
absl::Status LookAt(const std::string& path, const SectionContext& context) {
  const LoadOptions& options = context.options;
  if (path.empty() || options.check_client == nullptr || options.file_system == nullptr) {
    return absl::OkStatus();
  }
  return options.file_system->OpenForRead(path).status();
}

// A file that a client reads when it is made.
void RequireFile(StructReader& reader, std::string_view field, const std::string& path,
                 const SectionContext& context) {
  const absl::Status status = LookAt(path, context);
  if (!status.ok()) reader.Error(field, absl::StrCat(field, ": ", status.message()));
}

// A file that each request reads anew: it may come yet.
void ExpectFile(StructReader& reader, std::string_view field, const std::string& path,
                const SectionContext& context) {
  const absl::Status status = LookAt(path, context);
  if (status.ok()) return;
  reader.Warn(field,
              absl::StrCat(field, ": ", status.message(), "; requests fail until it is there"));
}

// A secret's three forms in the file: NAME, NAME_file and NAME_ref.
struct SecretFields {
  SecretSource source;
  std::string file_field;
  int set = 0;  // how many of them say something
};

SecretFields ReadSecret(StructReader& reader, std::string_view name,
                        const SectionContext& context) {
  SecretFields fields;
  fields.file_field = absl::StrCat(name, "_file");
  const std::string ref_field = absl::StrCat(name, "_ref");
  std::string ref;
  reader.Read(name, fields.source.value);
  reader.Read(fields.file_field, fields.source.file);
  reader.Read(ref_field, ref);
  fields.set = !fields.source.value.empty() + !fields.source.file.empty() + !ref.empty();
  fields.source.file = JoinDir(context.base_dir, fields.source.file);
  if (!ref.empty()) reader.Error(ref_field, "cannot use secret ref without manager");
  return fields;
}

BasicAuth ReadBasicAuth(const YamlNode& node, const SectionContext& context) {
  StructReader reader(node, "config.BasicAuth", context.findings);
  const SecretFields username = ReadSecret(reader, "username", context);
  const SecretFields password = ReadSecret(reader, "password", context);
  reader.Finish();
  for (const SecretFields* secret : {&username, &password}) {
    ExpectFile(reader, secret->file_field, secret->source.file, context);
  }
  if (username.set > 1) {
    context.findings.Error(
        node.mark,
        "at most one of basic_auth username, username_file & username_ref must be configured");
  }
  if (password.set > 1) {
    context.findings.Error(
        node.mark,
        "at most one of basic_auth password, password_file & password_ref must be configured");
  }
  return {username.source, password.source};
}

Authorization ReadAuthorization(const YamlNode& node, const SectionContext& context) {
  StructReader reader(node, "config.Authorization", context.findings);
  Authorization authorization;
  reader.Read("type", authorization.type);
  const SecretFields credentials = ReadSecret(reader, "credentials", context);
  reader.Finish();
  ExpectFile(reader, credentials.file_field, credentials.source.file, context);
  authorization.credentials = credentials.source;
  authorization.type = std::string(absl::StripAsciiWhitespace(authorization.type));
  if (authorization.type.empty()) authorization.type = "Bearer";
  if (credentials.set > 1) {
    context.findings.Error(
        node.mark,
        "at most one of authorization credentials & credentials_file must be configured");
  }
  if (absl::AsciiStrToLower(authorization.type) == "basic") {
    reader.Error("type",
                 "authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
  }
  return authorization;
}

void CheckTls(const TlsConfig& tls, const std::array<int, 3>& set, YamlMark mark,
              Findings& findings) {
  const auto& [ca, cert, key] = set;
  if (ca > 1) findings.Error(mark, "at most one of ca, ca_file & ca_ref must be configured");
  if (cert > 1) {
    findings.Error(mark, "at most one of cert, cert_file & cert_ref must be configured");
  }
  if (key > 1) findings.Error(mark, "at most one of key and key_file must be configured");
  if (cert > 0 && key == 0) {
    findings.Error(mark,
                   "exactly one of key or key_file must be configured when a client certificate is "
                   "configured");
  }
  if (key > 0 && cert == 0) {
    findings.Error(mark,
                   "exactly one of cert or cert_file must be configured when a client key is "
                   "configured");
  }
  if (tls.max_version != TlsVersion::kDefault && tls.min_version != TlsVersion::kDefault &&
      tls.max_version < tls.min_version) {
    findings.Error(mark,
                   "tls_config.max_version must be greater than or equal to tls_config.min_version "
                   "if both are specified");
  }
}

TlsConfig ReadTls(const YamlNode& node, const SectionContext& context) {
  StructReader reader(node, "config.TLSConfig", context.findings);
  const SecretFields ca = ReadSecret(reader, "ca", context);
  const SecretFields cert = ReadSecret(reader, "cert", context);
  const SecretFields key = ReadSecret(reader, "key", context);
  TlsConfig tls{ca.source, cert.source, key.source};
  reader.Read("server_name", tls.server_name);
  reader.Read("insecure_skip_verify", tls.insecure_skip_verify);
  ReadTlsVersion(reader, "min_version", tls.min_version);
  ReadTlsVersion(reader, "max_version", tls.max_version);
  reader.Finish();
  CheckTls(tls, {ca.set, cert.set, key.set}, node.mark, context.findings);
  for (const SecretFields* secret : {&ca, &cert, &key}) {
    RequireFile(reader, secret->file_field, secret->source.file, context);
  }
  return tls;
}

const YamlNode* FindNonNull(StructReader& reader, std::string_view field) {
  const YamlNode* node = reader.Find(field);
  return node == nullptr || node->is_null() ? nullptr : node;
}

// With a look into its files, if all of them are there.
void ReadTlsOf(StructReader& reader, HttpClientConfig& http, const SectionContext& context) {
  const YamlNode* node = FindNonNull(reader, "tls_config");
  if (node == nullptr) return;
  const size_t errors = context.findings.error_count();
  http.tls_config = ReadTls(*node, context);
  if (context.findings.error_count() > errors || context.options.check_client == nullptr) return;
  const absl::Status status = context.options.check_client(http);
  if (!status.ok()) reader.Error("tls_config", std::string(status.message()));
}

// bearer_token and bearer_token_file, the old way to write an authorization.
void ReadBearerToken(StructReader& reader, HttpClientConfig& http, const SectionContext& context) {
  SecretSource token;
  reader.Read("bearer_token", token.value);
  reader.Read("bearer_token_file", token.file);
  if (!token.set()) return;
  const std::string_view field = token.value.empty() ? "bearer_token_file" : "bearer_token";
  if (!token.value.empty() && !token.file.empty()) {
    reader.Error(field, "at most one of bearer_token & bearer_token_file must be configured");
  }
  if (http.basic_auth || FindNonNull(reader, "oauth2") != nullptr) {
    reader.Error(field,
                 "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be "
                 "configured");
  }
  if (http.authorization) {
    reader.Error(field, "authorization is not compatible with bearer_token & bearer_token_file");
    return;
  }
  token.file = JoinDir(context.base_dir, token.file);
  ExpectFile(reader, "bearer_token_file", token.file, context);
  http.authorization = Authorization{"Bearer", token};
}

void CheckExclusive(StructReader& reader, const HttpClientConfig& http) {
  const bool oauth2 = FindNonNull(reader, "oauth2") != nullptr;
  const bool authorization = FindNonNull(reader, "authorization") != nullptr;
  if (http.basic_auth.has_value() + oauth2 + authorization <= 1) return;
  reader.Error(authorization ? "authorization" : "oauth2",
               "at most one of basic_auth, oauth2 & authorization must be configured");
}

}  // namespace

void ReadTlsVersion(StructReader& reader, std::string_view field, TlsVersion& version) {
  static constexpr std::array<std::pair<std::string_view, TlsVersion>, 4> kVersions = {
      {{"TLS10", TlsVersion::kTls10},
       {"TLS11", TlsVersion::kTls11},
       {"TLS12", TlsVersion::kTls12},
       {"TLS13", TlsVersion::kTls13}}};
  std::string text;
  if (!reader.Read(field, text)) return;
  for (const auto& [name, value] : kVersions) {
    if (name == text) {
      version = value;
      return;
    }
  }
  reader.Error(field, absl::StrCat("unknown TLS version: ", text));
}

HttpClientConfig ReadHttpClient(StructReader& reader, const SectionContext& context) {
  HttpClientConfig http;
  if (const YamlNode* node = FindNonNull(reader, "basic_auth")) {
    http.basic_auth = ReadBasicAuth(*node, context);
  }
  if (const YamlNode* node = FindNonNull(reader, "authorization")) {
    http.authorization = ReadAuthorization(*node, context);
  }
  ReadTlsOf(reader, http, context);
  CheckExclusive(reader, http);
  ReadBearerToken(reader, http, context);
  reader.Read("follow_redirects", http.follow_redirects);
  reader.Read("enable_http2", http.enable_http2);
  // Where it is left out nobody asked for it, although it is the default.
  IgnoreIfTrue(reader, "enable_http2", "requests are made with HTTP/1.1");
  reader.Refuse("oauth2", kTrust);
  for (const std::string_view field : {"proxy_url", "no_proxy", "proxy_from_environment",
                                       "proxy_connect_header", "http_headers"}) {
    reader.Refuse(field, kRequest);
  }
  return http;
}

}  // namespace trawl

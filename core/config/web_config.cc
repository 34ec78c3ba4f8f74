#include "core/config/web_config.h"

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/concat.h"
#include "core/base/status_macros.h"
#include "core/config/known_sections.h"
#include "core/config/section.h"
#include "core/config/yaml.h"
#include "core/config/yaml_reader.h"

namespace trawl {
namespace {

// With the values that Prometheus' toolkit takes; empty: any.
struct HeaderRule {
  std::string_view name;
  std::vector<std::string_view> values;
};

const std::vector<HeaderRule>& HeaderRules() {
  static const std::vector<HeaderRule>& rules =
      *new std::vector<HeaderRule>{{"Content-Security-Policy", {}},
                                   {"X-Frame-Options", {"deny", "sameorigin"}},
                                   {"X-Content-Type-Options", {"nosniff"}},
                                   {"X-XSS-Protection", {}},
                                   {"Strict-Transport-Security", {}}};
  return rules;
}

void ReadClientAuth(StructReader& reader, ClientAuth& out) {
  static constexpr std::array<std::pair<std::string_view, ClientAuth>, 7> kPolicies = {
      {{"", ClientAuth::kNone},
       {"NoClientCert", ClientAuth::kNone},
       {"RequestClientCert", ClientAuth::kRequest},
       {"RequireAnyClientCert", ClientAuth::kRequireAny},
       {"RequireClientCert", ClientAuth::kRequireAny},
       {"VerifyClientCertIfGiven", ClientAuth::kVerifyIfGiven},
       {"RequireAndVerifyClientCert", ClientAuth::kRequireVerified}}};
  std::string text;
  if (!reader.Read("client_auth_type", text)) return;
  for (const auto& [name, value] : kPolicies) {
    if (name == text) {
      out = value;
      return;
    }
  }
  reader.Error("client_auth_type", absl::StrCat("Invalid ClientAuth: ", text));
}

void ReadPath(StructReader& reader, std::string_view field, const std::string& base_dir,
              std::string& out) {
  reader.Read(field, out);
  out = JoinDir(base_dir, out);
}

void CheckTls(const StructReader& reader, const WebTlsConfig& tls, Findings& findings) {
  if (tls.cert_file.empty()) findings.Error(reader.mark(), "missing cert_file");
  if (tls.key_file.empty()) findings.Error(reader.mark(), "missing key_file");
  const bool verifies = tls.client_auth == ClientAuth::kVerifyIfGiven ||
                        tls.client_auth == ClientAuth::kRequireVerified;
  if (!tls.client_ca_file.empty() && tls.client_auth == ClientAuth::kNone) {
    findings.Error(reader.MarkOf("client_ca_file"),
                   "Client CA's have been configured without a Client Auth Policy");
  }
  if (verifies && tls.client_ca_file.empty()) {
    findings.Error(reader.MarkOf("client_auth_type"),
                   "client certificates are to be verified, but there is no client_ca_file");
  }
  if (!tls.client_allowed_sans.empty() && !verifies) {
    findings.Error(reader.MarkOf("client_allowed_sans"),
                   "client_allowed_sans needs a client_auth_type that verifies certificates");
  }
  if (tls.min_version > tls.max_version) {
    findings.Error(reader.MarkOf("min_version"), "min_version is above max_version");
  }
}

WebTlsConfig ReadTls(const YamlNode& node, const std::string& base_dir, Findings& findings) {
  constexpr std::string_view kInline = "write it into a file and name that";
  WebTlsConfig tls;
  StructReader reader(node, "web.TLSConfig", findings);
  ReadPath(reader, "cert_file", base_dir, tls.cert_file);
  ReadPath(reader, "key_file", base_dir, tls.key_file);
  ReadPath(reader, "client_ca_file", base_dir, tls.client_ca_file);
  for (const std::string_view field : {"cert", "key", "client_ca"}) reader.Refuse(field, kInline);
  ReadClientAuth(reader, tls.client_auth);
  reader.Read("client_allowed_sans", tls.client_allowed_sans);
  reader.Read("cipher_suites", tls.cipher_suites);
  reader.Read("curve_preferences", tls.curves);
  ReadTlsVersion(reader, "min_version", tls.min_version);
  ReadTlsVersion(reader, "max_version", tls.max_version);
  reader.Read("prefer_server_cipher_suites", tls.prefer_server_ciphers);
  reader.Finish();
  CheckTls(reader, tls, findings);
  return tls;
}

void ReadHeader(const HeaderRule& rule, StructReader& reader, WebConfig& config) {
  std::string value;
  if (!reader.Read(rule.name, value) || value.empty()) return;
  bool allowed = rule.values.empty();
  for (const std::string_view known : rule.values) allowed |= value == known;
  if (!allowed || value.find_first_of("\r\n") != std::string::npos) {
    reader.Error(rule.name, Concat("invalid value for ", rule.name));
    return;
  }
  config.headers[std::string(rule.name)] = value;
}

void ReadHttp(const YamlNode& node, WebConfig& config, Findings& findings) {
  StructReader reader(node, "web.HTTPConfig", findings);
  IgnoreIfTrue(reader, "http2", "trawl speaks HTTP/1.1 here");
  if (const YamlNode* headers = reader.Find("headers")) {
    StructReader names(*headers, "web.Headers", findings);
    for (const HeaderRule& rule : HeaderRules()) ReadHeader(rule, names, config);
    names.Finish();
  }
  reader.Finish();
}

void ReadUsers(const YamlNode& node, WebConfig& config, Findings& findings) {
  // The users' names are data; read as a struct for the checks of a map.
  StructReader names(node, "web.Users", findings);
  for (const YamlNode::Entry& entry : node.entries) {
    std::string hash;
    ReadValue(*entry.value, hash, findings);
    if (hash.size() != 60 || hash.substr(0, 2) != "$2") {
      findings.Error(entry.mark, absl::StrCat("the password of user ", entry.key,
                                              " is not a bcrypt hash, as htpasswd -nB makes it"));
      continue;
    }
    config.users[entry.key] = hash;
  }
}

WebConfig ReadWebConfig(const YamlNode& root, const std::string& base_dir, Findings& findings) {
  WebConfig config;
  StructReader reader(root, "web.Config", findings);
  const YamlNode* tls = reader.Find("tls_server_config");
  if (tls != nullptr && !tls->says_nothing()) config.tls = ReadTls(*tls, base_dir, findings);
  if (const YamlNode* http = reader.Find("http_server_config")) ReadHttp(*http, config, findings);
  if (const YamlNode* users = reader.Find("basic_auth_users")) ReadUsers(*users, config, findings);
  reader.Refuse("rate_limit", "leaving it out would change who is served");
  reader.Finish();
  return config;
}

}  // namespace

absl::StatusOr<WebConfig> LoadWebConfig(std::string_view text, const std::string& file,
                                        const std::string& base_dir,
                                        std::vector<ConfigWarning>* warnings) {
  Findings findings(file);
  WebConfig config;
  const YamlDocument document = ParseYaml(text, file);
  if (document.problem) {
    findings.Add(*document.problem);
  } else {
    config = ReadWebConfig(*document.root, base_dir, findings);
  }
  const std::vector<ConfigProblem> errors = findings.TakeErrors();
  if (!errors.empty()) return ProblemsToStatus(errors);
  if (warnings != nullptr) *warnings = findings.TakeWarnings();
  return config;
}

absl::StatusOr<WebConfig> LoadWebConfigFile(FileSystem& files, const std::string& path,
                                            std::vector<ConfigWarning>* warnings) {
  ASSIGN_OR_RETURN(const std::string text, files.ReadFile(path));
  const size_t slash = path.find_last_of('/');
  return LoadWebConfig(text, path, slash == std::string::npos ? "" : path.substr(0, slash + 1),
                       warnings);
}

}  // namespace trawl

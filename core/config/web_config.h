#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "core/config/config_problem.h"
#include "core/model/http_client_config.h"

namespace trawl {

enum class ClientAuth {
  kNone,            // NoClientCert
  kRequest,         // RequestClientCert
  kRequireAny,      // RequireAnyClientCert: whoever signed it
  kVerifyIfGiven,   // VerifyClientCertIfGiven
  kRequireVerified  // RequireAndVerifyClientCert
};

// How the HTTP port speaks TLS. Paths are resolved against the file's directory.
struct WebTlsConfig {
  std::string cert_file;
  std::string key_file;
  ClientAuth client_auth = ClientAuth::kNone;
  std::string client_ca_file;
  std::vector<std::string> client_allowed_sans;  // one of a verified client's names must be here
  std::vector<std::string> cipher_suites;        // Go's names, of TLS 1.2 and before; {}: default
  std::vector<std::string> curves;               // Go's names; {}: default
  TlsVersion min_version = TlsVersion::kTls12;
  TlsVersion max_version = TlsVersion::kTls13;
  bool prefer_server_ciphers = true;
  friend bool operator==(const WebTlsConfig&, const WebTlsConfig&) = default;
};

// `--web.config.file`: the file that Prometheus and its exporters take for their HTTP port. Read
// strictly: a field that it doesn't have is an error, as is one that trawl does not honour and that
// guards something (rate_limit).
struct WebConfig {
  std::optional<WebTlsConfig> tls;
  std::map<std::string, std::string> users;    // name → bcrypt hash
  std::map<std::string, std::string> headers;  // sent with every answer
  friend bool operator==(const WebConfig&, const WebConfig&) = default;
};

// An empty text is a config without TLS and users. kInvalidArgument with every problem.
absl::StatusOr<WebConfig> LoadWebConfig(std::string_view text, const std::string& file,
                                        const std::string& base_dir,
                                        std::vector<ConfigWarning>* warnings = nullptr);
absl::StatusOr<WebConfig> LoadWebConfigFile(FileSystem& files, const std::string& path,
                                            std::vector<ConfigWarning>* warnings = nullptr);

}  // namespace trawl

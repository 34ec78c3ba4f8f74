#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace trawl {

// The HTTP client's options of a scrape or remote-write config (spec 7.5). Plain values;
// validated by core/config. A path is absolute or relative to the working directory: config has
// resolved it against the config file's directory.

// A secret given in the file, or the path of a file that is read for each request.
struct SecretSource {
  std::string value;
  std::string file;
  bool set() const { return !value.empty() || !file.empty(); }
  friend bool operator==(const SecretSource&, const SecretSource&) = default;
};

struct BasicAuth {
  SecretSource username;
  SecretSource password;
  friend bool operator==(const BasicAuth&, const BasicAuth&) = default;
};

struct Authorization {
  std::string type = "Bearer";
  SecretSource credentials;
  friend bool operator==(const Authorization&, const Authorization&) = default;
};

enum class TlsVersion { kDefault, kTls10, kTls11, kTls12, kTls13 };

struct TlsConfig {
  SecretSource ca;    // PEM text or file; unset: the system's roots
  SecretSource cert;  // client certificate
  SecretSource key;
  std::string server_name;
  bool insecure_skip_verify = false;
  TlsVersion min_version = TlsVersion::kDefault;
  TlsVersion max_version = TlsVersion::kDefault;
  friend bool operator==(const TlsConfig&, const TlsConfig&) = default;
};

struct HttpClientConfig {
  std::optional<BasicAuth> basic_auth;
  std::optional<Authorization> authorization;
  TlsConfig tls_config;
  bool follow_redirects = true;
  bool enable_http2 = true;  // accepted; requests are made with HTTP/1.1
  friend bool operator==(const HttpClientConfig&, const HttpClientConfig&) = default;
};

}  // namespace trawl

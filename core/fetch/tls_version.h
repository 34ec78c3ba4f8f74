#pragma once

#include <openssl/ssl.h>

#include "core/model/http_client_config.h"

namespace trawl {

// OpenSSL's number of a version; `fallback` where the configuration leaves it open.
inline int OpensslVersion(TlsVersion version, int fallback) {
  switch (version) {
    case TlsVersion::kDefault:
      return fallback;
    case TlsVersion::kTls10:
      return TLS1_VERSION;
    case TlsVersion::kTls11:
      return TLS1_1_VERSION;
    case TlsVersion::kTls12:
      return TLS1_2_VERSION;
    case TlsVersion::kTls13:
      return TLS1_3_VERSION;
  }
  return fallback;
}

}  // namespace trawl

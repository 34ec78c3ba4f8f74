#pragma once

#include <openssl/ssl.h>

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "core/config/web_config.h"

namespace trawl {

// The HTTP port's TLS: sets an SSL_CTX up as a WebTlsConfig says. Certificates, keys and the CA are
// read again for each connection once their files changed; a file that is wrong then fails the
// connection, not the server.
//
// Outlives the context. Thread-safe after SetUp.
class WebTls {
 public:
  using Current = std::function<std::shared_ptr<const WebConfig>()>;  // thread-safe
  explicit WebTls(Current current) : current_(std::move(current)) {}

  // Errors name the file or the field.
  absl::Status SetUp(SSL_CTX& context);

 private:
  static int OnHandshake(SSL* connection, void* self);
  static int OnVerified(int ok, X509_STORE_CTX* store);

  const Current current_;
};

}  // namespace trawl

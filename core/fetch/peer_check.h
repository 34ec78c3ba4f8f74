#pragma once

#include <openssl/ssl.h>

#include <string>

namespace trawl {

// The question of a handshake, whether the server is who we mean: its certificate must have the
// name or address among its subjectAltNames. As in Go, the subject's common name is none, and a
// wildcard stands for a whole label.
//
// One thread at a time. Must outlive the handshakes of the contexts that it was installed in.
class PeerCheck {
 public:
  // Has OpenSSL verify `name` in the handshakes of `context`, and allows no later ones on the
  // same connection. False if it can't.
  bool Install(SSL_CTX* context, const std::string& name);
  void Clear() { mismatch_.clear(); }

  // Why the last certificate was not the one of `name`, in Go's words; "" if it was.
  const std::string& mismatch() const { return mismatch_; }

 private:
  static int OnVerify(X509_STORE_CTX* context, void* self);

  std::string name_;
  std::string mismatch_;
};

}  // namespace trawl

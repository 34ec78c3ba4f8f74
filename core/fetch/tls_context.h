#pragma once

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/mutex.h"
#include "core/fetch/peer_check.h"
#include "core/model/http_client_config.h"

namespace trawl {

struct OpensslDeleter {
  void operator()(X509_STORE* store) const { X509_STORE_free(store); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using X509StorePtr = std::unique_ptr<X509_STORE, OpensslDeleter>;
using X509Ptr = std::unique_ptr<X509, OpensslDeleter>;
using KeyPtr = std::unique_ptr<EVP_PKEY, OpensslDeleter>;

// The system's trusted roots, read on first use and shared by all contexts: parsing them anew
// for each connection costs 25 ms and 900 KB. Thread-safe.
class RootStore {
 public:
  explicit RootStore(std::string path) : path_(std::move(path)) {}
  // Never null; empty when there is no such file, so that every verification fails.
  X509_STORE* Get();

 private:
  const std::string path_;
  Mutex mutex_;
  X509StorePtr store_ TRAWL_GUARDED_BY(mutex_);
};

// Trust and identity of connections, loaded once: the libcurl side of a TlsConfig.
//
// libcurl does not compare what its SSL_CTX callback set up when it looks for a connection to
// use again, so connections of different contexts must live in different multi handles.
//
// Immutable and thread-safe. Must outlive the connections made with it.
class TlsContext {
 public:
  // Reads the files. `roots` is used when the config names no CA, and must outlive the context.
  static absl::StatusOr<std::shared_ptr<const TlsContext>> Load(const TlsConfig& config,
                                                                RootStore& roots);

  // Sets the easy handle's TLS options, but for SSL_CTX_FUNCTION, which is to call Configure with
  // the host that is connected to.
  void Apply(CURL* easy) const;
  bool Configure(SSL_CTX* context, const std::string& host, PeerCheck& peer) const;

 private:
  friend class TlsContextLoader;
  TlsContext() = default;

  static void OnSslEvent(const SSL* ssl, int where, int result);
  bool UseClientCertificate(SSL_CTX* context) const;

  std::string server_name_;
  bool server_name_is_address_ = false;
  bool verify_ = true;
  int min_version_ = 0;
  int max_version_ = 0;
  X509StorePtr own_store_;
  X509_STORE* store_ = nullptr;  // own_store_ or the shared roots
  std::vector<X509Ptr> chain_;   // the client's certificate, then its chain
  KeyPtr key_;
};

// A TlsConfig whose files may change: gives the context made of the files as they are now.
// Thread-safe.
class TlsSource {
 public:
  TlsSource(TlsConfig config, std::shared_ptr<RootStore> roots);

  const TlsConfig& config() const { return config_; }
  // The same object until a file's time, size or inode changes. Looks at the files each time.
  absl::StatusOr<std::shared_ptr<const TlsContext>> Current();

 private:
  std::vector<std::string> Stamps() const;

  const TlsConfig config_;
  const std::shared_ptr<RootStore> roots_;
  Mutex mutex_;
  std::shared_ptr<const TlsContext> current_ TRAWL_GUARDED_BY(mutex_);
  std::vector<std::string> stamps_ TRAWL_GUARDED_BY(mutex_);
};

}  // namespace trawl

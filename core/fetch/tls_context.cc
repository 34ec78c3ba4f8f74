#include "core/fetch/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "core/fetch/fetch_url.h"
#include "core/fetch/secret.h"
#include "core/fetch/tls_version.h"

namespace trawl {
namespace {

struct BioDeleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using BioPtr = std::unique_ptr<BIO, BioDeleter>;

BioPtr MakeBio(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::vector<X509Ptr> ParseCertificates(const std::string& pem) {
  std::vector<X509Ptr> certificates;
  const BioPtr bio = MakeBio(pem);
  while (X509* certificate = PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(certificate);
  }
  ERR_clear_error();  // the end of the text is an error in OpenSSL's queue
  return certificates;
}

// An encrypted key must fail, not ask the terminal for its password.
int NoPassword(char*, int, int, void*) { return -1; }

KeyPtr ParseKey(const std::string& pem) {
  KeyPtr key(PEM_read_bio_PrivateKey(MakeBio(pem).get(), nullptr, NoPassword, nullptr));
  ERR_clear_error();
  return key;
}

// As Go: any certificate in the pool is an anchor, whether it signed itself or not.
X509StorePtr MakeStore(const std::vector<X509Ptr>& certificates) {
  X509StorePtr store(X509_STORE_new());
  X509_STORE_set_flags(store.get(), X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
  for (const X509Ptr& certificate : certificates)
    X509_STORE_add_cert(store.get(), certificate.get());
  ERR_clear_error();  // duplicates
  return store;
}

std::string Describe(const SecretSource& source) {
  return source.file.empty() ? "inline" : absl::StrCat("file ", source.file);
}

absl::StatusOr<std::string> ReadPem(const SecretSource& source, const char* what) {
  auto pem =
      source.file.empty() ? absl::StatusOr<std::string>(source.value) : ReadSmallFile(source.file);
  if (pem.ok()) return pem;
  return absl::Status(pem.status().code(),
                      absl::StrCat("unable to read ", what, ": ", pem.status().message()));
}

}  // namespace

class TlsContextLoader {
 public:
  TlsContextLoader(const TlsConfig& config, RootStore& roots) : config_(config), roots_(roots) {}

  absl::StatusOr<std::shared_ptr<const TlsContext>> Load() {
    result_->server_name_ = config_.server_name;
    result_->server_name_is_address_ = IsAddress(config_.server_name);
    result_->verify_ = !config_.insecure_skip_verify;
    result_->min_version_ = OpensslVersion(config_.min_version, TLS1_2_VERSION);
    result_->max_version_ = OpensslVersion(config_.max_version, 0);
    RETURN_IF_ERROR(LoadTrust());
    RETURN_IF_ERROR(LoadIdentity());
    return std::shared_ptr<const TlsContext>(std::move(result_));
  }

 private:
  absl::Status LoadTrust() {
    if (!config_.ca.set()) {
      if (result_->verify_) result_->store_ = roots_.Get();
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(const std::string pem, ReadPem(config_.ca, "CA cert"));
    const std::vector<X509Ptr> certificates = ParseCertificates(pem);
    if (certificates.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("unable to use specified CA cert ", Describe(config_.ca)));
    }
    result_->own_store_ = MakeStore(certificates);
    result_->store_ = result_->own_store_.get();
    return absl::OkStatus();
  }

  absl::Status LoadIdentity() {
    if (!config_.cert.set()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::string cert, ReadPem(config_.cert, "specified client cert"));
    ASSIGN_OR_RETURN(const std::string key, ReadPem(config_.key, "specified client key"));
    result_->chain_ = ParseCertificates(cert);
    result_->key_ = ParseKey(key);
    if (result_->chain_.empty()) return IdentityError("no certificate in it");
    if (result_->key_ == nullptr) return IdentityError("no usable private key in it");
    if (X509_check_private_key(result_->chain_[0].get(), result_->key_.get()) != 1) {
      ERR_clear_error();
      return IdentityError("private key does not match public key");
    }
    return absl::OkStatus();
  }

  absl::Status IdentityError(const char* why) const {
    return absl::InvalidArgumentError(absl::StrCat("unable to use specified client cert (",
                                                   Describe(config_.cert), ") & key (",
                                                   Describe(config_.key), "): ", why));
  }

  const TlsConfig& config_;
  RootStore& roots_;
  std::unique_ptr<TlsContext> result_{new TlsContext};
};

X509_STORE* RootStore::Get() {
  MutexLock lock(mutex_);
  if (store_ == nullptr) {
    const auto pem = ReadSmallFile(path_);
    store_ = MakeStore(pem.ok() ? ParseCertificates(*pem) : std::vector<X509Ptr>());
  }
  return store_.get();
}

absl::StatusOr<std::shared_ptr<const TlsContext>> TlsContext::Load(const TlsConfig& config,
                                                                   RootStore& roots) {
  return TlsContextLoader(config, roots).Load();
}

void TlsContext::Apply(CURL* easy) const {
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify_ ? 1L : 0L);
  // libcurl would take a common name for a host's. The SSL_CTX's own parameters check the name.
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
}

bool TlsContext::Configure(SSL_CTX* context, const std::string& host, PeerCheck& peer) const {
  if (store_ != nullptr) SSL_CTX_set1_cert_store(context, store_);
  // The distribution's security level forbids the old versions even when they are asked for.
  if (min_version_ < TLS1_2_VERSION) SSL_CTX_set_security_level(context, 0);
  if (SSL_CTX_set_min_proto_version(context, min_version_) != 1) return false;
  if (SSL_CTX_set_max_proto_version(context, max_version_) != 1) return false;
  if (verify_ && !peer.Install(context, server_name_.empty() ? host : server_name_)) return false;
  if (!server_name_.empty()) {
    SSL_CTX_set_app_data(context, const_cast<TlsContext*>(this));
    SSL_CTX_set_info_callback(context, &TlsContext::OnSslEvent);
  }
  return chain_.empty() || UseClientCertificate(context);
}

// libcurl has just named the URL's host in the handshake to come; this names the configured one.
void TlsContext::OnSslEvent(const SSL* ssl, int where, int) {
  if ((where & SSL_CB_HANDSHAKE_START) == 0 || SSL_in_before(ssl) == 0) return;
  const auto* self = static_cast<const TlsContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  const char* name = self->server_name_is_address_ ? nullptr : self->server_name_.c_str();
  SSL_set_tlsext_host_name(const_cast<SSL*>(ssl), const_cast<char*>(name));
}

bool TlsContext::UseClientCertificate(SSL_CTX* context) const {
  if (SSL_CTX_use_certificate(context, chain_[0].get()) != 1) return false;
  for (size_t i = 1; i < chain_.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, chain_[i].get()) != 1) return false;
  }
  return SSL_CTX_use_PrivateKey(context, key_.get()) == 1;
}

TlsSource::TlsSource(TlsConfig config, std::shared_ptr<RootStore> roots)
    : config_(std::move(config)), roots_(std::move(roots)) {}

std::vector<std::string> TlsSource::Stamps() const {
  std::vector<std::string> stamps;
  for (const SecretSource* source : {&config_.ca, &config_.cert, &config_.key}) {
    if (source->file.empty()) continue;
    struct stat info {};
    const int error = stat(source->file.c_str(), &info);
    stamps.push_back(absl::StrCat(error, " ", info.st_mtim.tv_sec, " ", info.st_mtim.tv_nsec, " ",
                                  info.st_size, " ", info.st_ino));
  }
  return stamps;
}

absl::StatusOr<std::shared_ptr<const TlsContext>> TlsSource::Current() {
  MutexLock lock(mutex_);
  std::vector<std::string> stamps = Stamps();
  if (current_ == nullptr || stamps != stamps_) {
    ASSIGN_OR_RETURN(current_, TlsContext::Load(config_, *roots_));
    stamps_ = std::move(stamps);
  }
  return current_;
}

}  // namespace trawl

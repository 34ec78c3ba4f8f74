#include "server/access/rpc_certificates.h"

#include <grpc/grpc_security_constants.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <string_view>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

struct OpensslFree {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <typename T>
using Owned = std::unique_ptr<T, OpensslFree>;

// In place of a passphrase, for which OpenSSL would ask on the terminal.
void* NoPassphrase() { return const_cast<char*>(""); }

absl::Status OpensslError(const std::string& file) {
  char text[256] = "no certificate in it";
  if (const unsigned long code = ERR_get_error(); code != 0) {
    ERR_error_string_n(code, text, sizeof text);
  }
  ERR_clear_error();
  return absl::FailedPreconditionError(absl::StrCat(file, ": ", text));
}

// A PEM file's certificates, one after the other.
class CertificateReader {
 public:
  explicit CertificateReader(const std::string& pem)
      : bio_(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))) {
    ERR_clear_error();
  }

  // Null at the end, and where the text is wrong.
  Owned<X509> Next() {
    return Owned<X509>(PEM_read_bio_X509_AUX(bio_.get(), nullptr, nullptr, NoPassphrase()));
  }
  // After null: whether it was the end.
  bool AtEnd() const {
    const unsigned long code = ERR_peek_last_error();
    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
  }

 private:
  const Owned<BIO> bio_;
};

// What gRPC will do with it, so that it can't fail there.
absl::Status UseCertificate(SSL_CTX& context, const std::string& pem, const std::string& file) {
  CertificateReader reader(pem);
  const Owned<X509> own = reader.Next();
  if (own == nullptr || SSL_CTX_use_certificate(&context, own.get()) != 1) {
    return OpensslError(file);
  }
  while (const Owned<X509> next = reader.Next()) {
    if (SSL_CTX_add1_chain_cert(&context, next.get()) != 1) return OpensslError(file);
  }
  return reader.AtEnd() ? absl::OkStatus() : OpensslError(file);
}

// Fails also where the key is not the certificate's.
absl::Status UseKey(SSL_CTX& context, const std::string& pem, const std::string& file) {
  const Owned<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, NoPassphrase()));
  if (key == nullptr || SSL_CTX_use_PrivateKey(&context, key.get()) != 1) {
    return OpensslError(file);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<RpcCertificates>> RpcCertificates::Open(FileSystem& files,
                                                                       const RpcTls& tls) {
  auto certificates = absl::WrapUnique(new RpcCertificates(files, tls));
  RETURN_IF_ERROR(certificates->Refresh());
  return certificates;
}

absl::Status RpcCertificates::Refresh() {
  const std::shared_ptr<const ServerCertificates> before = current_.Get();
  ServerCertificates now = *before;
  const absl::Status pair = ReadKeyPair(now);
  const absl::Status authorities = ReadAuthorities(now);
  if (now != *before) current_.Set(std::make_shared<const ServerCertificates>(std::move(now)));
  return pair.ok() ? authorities : pair;
}

absl::Status RpcCertificates::ReadKeyPair(ServerCertificates& out) {
  ASSIGN_OR_RETURN(std::string certificate, files_.ReadFile(tls_.cert_file));
  ASSIGN_OR_RETURN(std::string key, files_.ReadFile(tls_.key_file));
  if (certificate == out.certificate && key == out.key) return absl::OkStatus();
  const Owned<SSL_CTX> context(SSL_CTX_new(TLS_server_method()));
  RETURN_IF_ERROR(UseCertificate(*context, certificate, tls_.cert_file));
  RETURN_IF_ERROR(UseKey(*context, key, tls_.key_file));
  out.certificate = std::move(certificate);
  out.key = std::move(key);
  return absl::OkStatus();
}

absl::Status RpcCertificates::ReadAuthorities(ServerCertificates& out) {
  if (tls_.client_ca_file.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::string authorities, files_.ReadFile(tls_.client_ca_file));
  if (authorities == out.client_authorities) return absl::OkStatus();
  CertificateReader reader(authorities);
  if (reader.Next() == nullptr) return OpensslError(tls_.client_ca_file);
  while (reader.Next() != nullptr) continue;
  if (!reader.AtEnd()) return OpensslError(tls_.client_ca_file);
  out.client_authorities = std::move(authorities);
  return absl::OkStatus();
}

std::shared_ptr<grpc::ServerCredentials> RpcCertificates::MakeCredentials() const {
  auto request = GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
  if (!tls_.client_ca_file.empty()) {
    request = tls_.client_certificate_optional
                  ? GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY
                  : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
  }
  return MakeTlsServerCredentials(request, [this] { return Current(); });
}

}  // namespace trawl

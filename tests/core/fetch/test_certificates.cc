#include "tests/core/fetch/test_certificates.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdint>

#include "core/base/concat.h"

namespace trawl {
namespace {

constexpr long kDay = 24 * 60 * 60;

std::string Drain(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

TestCertificate ToPem(X509* certificate, EVP_PKEY* key) {
  BIO* certificate_bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(certificate_bio, certificate);
  BIO* key_bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(key_bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  return {Drain(certificate_bio), Drain(key_bio)};
}

void AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

X509* MakeCertificate(const char* name, EVP_PKEY* key, long serial, int days) {
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -10 * kDay);
  X509_gmtime_adj(X509_getm_notAfter(certificate), days * kDay);
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  return certificate;
}

}  // namespace

struct TestAuthority::State {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  // Issuers are found by name: each authority needs its own.
  X509* certificate =
      MakeCertificate(Concat("authority ", reinterpret_cast<uintptr_t>(key)).c_str(), key, 1, 10);

  ~State() {
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
};

TestAuthority::TestAuthority() : state_(std::make_unique<State>()) {
  X509* own = state_->certificate;
  X509_set_issuer_name(own, X509_get_subject_name(own));
  AddExtension(own, own, NID_basic_constraints, "critical,CA:TRUE");
  X509_sign(own, state_->key, EVP_sha256());
  own_ = ToPem(own, state_->key);
}

TestAuthority::~TestAuthority() = default;

TestCertificate TestAuthority::Issue(const std::string& names, int days,
                                     const char* common_name) const {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = MakeCertificate(common_name, key, 2, days);
  X509_set_issuer_name(certificate, X509_get_subject_name(state_->certificate));
  if (!names.empty()) {
    AddExtension(certificate, state_->certificate, NID_subject_alt_name, names);
  }
  X509_sign(certificate, state_->key, EVP_sha256());
  TestCertificate pem = ToPem(certificate, key);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return pem;
}

}  // namespace trawl

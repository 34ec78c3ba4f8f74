#include "server/access/web_tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "core/fetch/tls_version.h"

namespace trawl {
namespace {

struct OpensslFree {
  void operator()(X509_STORE* store) const { X509_STORE_free(store); }
  void operator()(STACK_OF(X509_NAME) * names) const {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
  }
};

absl::Status Problem(const std::string& where) {
  char text[256] = "not usable";
  if (const unsigned long code = ERR_get_error(); code != 0) {
    ERR_error_string_n(code, text, sizeof text);
  }
  ERR_clear_error();
  return absl::FailedPreconditionError(absl::StrCat(where, ": ", text));
}

// Go names suites as the standards do; OpenSSL knows those names too. Go leaves the hash out of
// its two ChaCha20 names.
std::string OpensslCipher(const std::string& name) {
  for (const std::string& candidate : {name, name + "_SHA256"}) {
    const char* found = OPENSSL_cipher_name(candidate.c_str());
    if (found != nullptr && std::string(found) != "(NONE)") return found;
  }
  return "";
}

absl::Status SetCiphers(SSL_CTX& context, const std::vector<std::string>& suites) {
  std::vector<std::string> names;
  names.reserve(suites.size());
  for (const std::string& suite : suites) {
    names.push_back(OpensslCipher(suite));
    if (names.back().empty()) {
      return absl::InvalidArgumentError(absl::StrCat("unknown cipher: ", suite));
    }
  }
  if (names.empty()) return absl::OkStatus();
  return SSL_CTX_set_cipher_list(&context, absl::StrJoin(names, ":").c_str()) == 1
             ? absl::OkStatus()
             : Problem("cipher_suites");
}

absl::Status SetCurves(SSL_CTX& context, const std::vector<std::string>& curves) {
  std::vector<std::string> names;
  names.reserve(curves.size());
  for (const std::string& curve : curves) {
    names.push_back(curve.rfind("CurveP", 0) == 0 ? absl::StrCat("P-", curve.substr(6)) : curve);
  }
  if (names.empty()) return absl::OkStatus();
  return SSL_CTX_set1_groups_list(&context, absl::StrJoin(names, ":").c_str()) == 1
             ? absl::OkStatus()
             : Problem("curve_preferences");
}

int VerifyMode(ClientAuth auth) {
  switch (auth) {
    case ClientAuth::kNone:
      return SSL_VERIFY_NONE;
    case ClientAuth::kRequest:
    case ClientAuth::kVerifyIfGiven:
      return SSL_VERIFY_PEER;
    case ClientAuth::kRequireAny:
    case ClientAuth::kRequireVerified:
      return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  }
  return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
}

bool Verifies(ClientAuth auth) {
  return auth == ClientAuth::kVerifyIfGiven || auth == ClientAuth::kRequireVerified;
}

absl::Status UseFiles(SSL* connection, const WebTlsConfig& tls) {
  if (SSL_use_certificate_chain_file(connection, tls.cert_file.c_str()) != 1) {
    return Problem(tls.cert_file);
  }
  if (SSL_use_PrivateKey_file(connection, tls.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return Problem(tls.key_file);
  }
  if (tls.client_ca_file.empty()) return absl::OkStatus();
  std::unique_ptr<X509_STORE, OpensslFree> store(X509_STORE_new());
  if (X509_STORE_load_locations(store.get(), tls.client_ca_file.c_str(), nullptr) != 1) {
    return Problem(tls.client_ca_file);
  }
  SSL_set1_verify_cert_store(connection, store.get());
  SSL_set_client_CA_list(connection, SSL_load_client_CA_file(tls.client_ca_file.c_str()));
  return absl::OkStatus();
}

// With client_allowed_sans: one of the certificate's names is in the list.
bool HasAllowedName(X509* certificate, const std::vector<std::string>& allowed) {
  for (const std::string& name : allowed) {
    if (X509_check_host(certificate, name.data(), name.size(),
                        X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_WILDCARDS,
                        nullptr) == 1 ||
        X509_check_email(certificate, name.data(), name.size(), 0) == 1 ||
        X509_check_ip_asc(certificate, name.c_str(), 0) == 1) {
      return true;
    }
  }
  return false;
}

// What OnVerified needs to know of its connection.
int ConfigIndex() {
  static const int index = SSL_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* config, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<std::shared_ptr<const WebConfig>*>(config);
      });
  return index;
}

}  // namespace

absl::Status WebTls::SetUp(SSL_CTX& context) {
  const std::shared_ptr<const WebConfig> config = current_();
  const WebTlsConfig& tls = *config->tls;
  SSL_CTX_set_min_proto_version(&context, OpensslVersion(tls.min_version, TLS1_3_VERSION));
  SSL_CTX_set_max_proto_version(&context, OpensslVersion(tls.max_version, TLS1_3_VERSION));
  if (tls.prefer_server_ciphers) SSL_CTX_set_options(&context, SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_options(&context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  RETURN_IF_ERROR(SetCiphers(context, tls.cipher_suites));
  RETURN_IF_ERROR(SetCurves(context, tls.curves));
  // A session that is taken up again is verified no more.
  SSL_CTX_set_session_cache_mode(&context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(&context, SSL_OP_NO_TICKET);
  SSL_CTX_set_cert_cb(&context, &WebTls::OnHandshake, this);
  // The files as they are now, so that a wrong one is told at the start.
  const std::unique_ptr<SSL, decltype(&SSL_free)> probe(SSL_new(&context), &SSL_free);
  return UseFiles(probe.get(), tls);
}

int WebTls::OnHandshake(SSL* connection, void* self) {
  std::shared_ptr<const WebConfig> config = static_cast<WebTls*>(self)->current_();
  if (!config->tls) return 0;
  const absl::Status status = UseFiles(connection, *config->tls);
  if (!status.ok()) {
    LogError("TLS of the web port", {{"err", status}});
    return 0;
  }
  SSL_set_verify(connection, VerifyMode(config->tls->client_auth), &WebTls::OnVerified);
  SSL_set_ex_data(connection, ConfigIndex(),
                  new std::shared_ptr<const WebConfig>(std::move(config)));
  return 1;
}

int WebTls::OnVerified(int ok, X509_STORE_CTX* store) {
  const auto* connection =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  const auto* config =
      static_cast<std::shared_ptr<const WebConfig>*>(SSL_get_ex_data(connection, ConfigIndex()));
  const WebTlsConfig& tls = *(*config)->tls;
  if (!Verifies(tls.client_auth)) return 1;
  if (ok != 1 || X509_STORE_CTX_get_error_depth(store) != 0 || tls.client_allowed_sans.empty()) {
    return ok;
  }
  if (HasAllowedName(X509_STORE_CTX_get_current_cert(store), tls.client_allowed_sans)) return 1;
  X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

}  // namespace trawl

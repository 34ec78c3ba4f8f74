#include "core/fetch/peer_check.h"

#include <arpa/inet.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/fetch/fetch_url.h"

namespace trawl {
namespace {

constexpr size_t kMaxNamesTold = 99;
constexpr size_t kMaxTextTold = 4096;

struct NamesDeleter {
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};

std::string_view Bytes(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<size_t>(ASN1_STRING_length(text))};
}

std::string AddressText(std::string_view bytes) {
  char text[INET6_ADDRSTRLEN] = {};
  if (bytes.size() == sizeof(in_addr)) inet_ntop(AF_INET, bytes.data(), text, sizeof(text));
  if (bytes.size() == sizeof(in6_addr)) inet_ntop(AF_INET6, bytes.data(), text, sizeof(text));
  return text;
}

// The certificate's addresses, or its names: a stranger's text.
std::vector<std::string> AltNames(X509* certificate, bool addresses) {
  std::vector<std::string> result;
  const std::unique_ptr<GENERAL_NAMES, NamesDeleter> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (addresses && name->type == GEN_IPADD) {
      result.push_back(AddressText(Bytes(name->d.iPAddress)));
    } else if (!addresses && name->type == GEN_DNS) {
      result.push_back(absl::CHexEscape(Bytes(name->d.dNSName)));
    }
  }
  return result;
}

// The dot of an absolute name is none of its name.
std::string_view WithoutDot(std::string_view name) {
  return name.size() > 1 && name.ends_with('.') ? name.substr(0, name.size() - 1) : name;
}

bool HasOnlyCommonName(X509* certificate, std::string_view name) {
  return X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1) < 0 &&
         X509_check_host(certificate, name.data(), name.size(), 0, nullptr) == 1;
}

std::string Mismatch(X509* certificate, const std::string& name) {
  if (HasOnlyCommonName(certificate, WithoutDot(name))) {
    return "x509: certificate relies on legacy Common Name field, use SANs instead";
  }
  const bool address = IsAddress(name);
  const std::vector<std::string> names = AltNames(certificate, address);
  if (names.empty()) {
    return address
               ? absl::StrCat("x509: cannot validate certificate for ", name,
                              " because it doesn't contain any IP SANs")
               : absl::StrCat("x509: certificate is not valid for any names, but wanted to match ",
                              name);
  }
  const std::string text = absl::StrJoin(names, ", ");
  if (names.size() > kMaxNamesTold || text.size() > kMaxTextTold) {
    return absl::StrCat("x509: certificate is valid for ", names.size(),
                        address ? " IP SANs" : " names", ", but none matched ", name);
  }
  return absl::StrCat("x509: certificate is valid for ", text, ", not ", name);
}

}  // namespace

bool PeerCheck::Install(SSL_CTX* context, const std::string& name) {
  name_ = name;
  X509_VERIFY_PARAM* param = SSL_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_hostflags(
      param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const std::string_view host = WithoutDot(name_);
  const int set = IsAddress(name_) ? X509_VERIFY_PARAM_set1_ip_asc(param, name_.c_str())
                                   : X509_VERIFY_PARAM_set1_host(param, host.data(), host.size());
  // OnVerify is to be called while we are there. Go's client doesn't negotiate anew either.
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_cert_verify_callback(context, &PeerCheck::OnVerify, this);
  return set == 1;
}

// Verifies as without it; only the reason is more.
int PeerCheck::OnVerify(X509_STORE_CTX* context, void* self) {
  const int result = X509_verify_cert(context);
  const int error = X509_STORE_CTX_get_error(context);
  if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    auto& check = *static_cast<PeerCheck*>(self);
    check.mismatch_ = Mismatch(X509_STORE_CTX_get0_cert(context), check.name_);
  }
  return result;
}

}  // namespace trawl

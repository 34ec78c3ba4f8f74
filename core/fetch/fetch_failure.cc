#include "core/fetch/fetch_failure.h"

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "core/base/concat.h"
#include "core/base/text.h"

namespace trawl {
namespace {

FetchFailure Unavailable(FailureReason reason, const std::string& message) {
  return {absl::UnavailableError(message), reason};
}

// Go's words for an errno are the system's in lower case.
std::string ErrnoText(long error) {
  return absl::AsciiStrToLower(strerror(static_cast<int>(error)));
}

std::string CurlText(const CurlEasy& easy, CURLcode code) {
  const char* text = easy.error_text();
  return *text != '\0' ? text : curl_easy_strerror(code);
}

FetchFailure ConnectFailure(const CurlEasy& easy, CURLcode code) {
  if (easy.no_descriptor()) {
    return {absl::ResourceExhaustedError("dial tcp: socket: too many open files"),
            FailureReason::kDescriptors};
  }
  const long error = easy.Number(CURLINFO_OS_ERRNO);
  const FailureReason reason =
      error == ECONNREFUSED ? FailureReason::kConnectionRefused : FailureReason::kConnectionFailed;
  const std::string why = error != 0 ? ErrnoText(error) : CurlText(easy, code);
  const std::string address = easy.LastAddress();  // "" where libcurl opens its sockets itself
  return Unavailable(reason,
                     Concat("dial tcp", address.empty() ? "" : " ", address, ": connect: ", why));
}

std::string VerifyText(long result, const CurlEasy& easy, CURLcode code) {
  switch (result) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return "x509: certificate signed by unknown authority";
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "x509: certificate has expired or is not yet valid";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return easy.peer_mismatch();
    case X509_V_ERR_INVALID_PURPOSE:
      return "x509: certificate specifies an incompatible key usage";
    case X509_V_OK:
      return Concat("x509: ", CurlText(easy, code));  // it got no certificate
    default:
      return Concat("x509: ", X509_verify_cert_error_string(result));
  }
}

FetchFailure VerifyFailure(const CurlEasy& easy, CURLcode code) {
  const long result = easy.Number(CURLINFO_SSL_VERIFYRESULT);
  return Unavailable(FailureReason::kTls,
                     Concat("tls: failed to verify certificate: ", VerifyText(result, easy, code)));
}

FetchFailure ProtocolFailure(const CurlEasy& easy, CURLcode code) {
  return Unavailable(FailureReason::kHttpProtocol,
                     Concat("malformed HTTP response: ", CurlText(easy, code)));
}

// The system's error that ended this transfer, or 0: libcurl keeps it until another one comes, also
// from transfer to transfer.
long TransferErrno(const CurlEasy& easy) {
  const std::string_view text = easy.error_text();
  const bool of_socket =
      absl::StartsWith(text, "Recv failure") || absl::StartsWith(text, "Send failure");
  return of_socket ? easy.Number(CURLINFO_OS_ERRNO) : 0;
}

FetchFailure BrokenConnection(const CurlEasy& easy, CURLcode code, const FetchUrl& url) {
  // With TLS 1.3 a server's verdict on our certificate comes after the handshake.
  const bool tls_alert = absl::StrContains(easy.error_text(), "SSL routines");
  if (url.https() && (tls_alert || !easy.connected())) {
    return Unavailable(FailureReason::kTls,
                       Concat("tls: ", CurlText(easy, CURLE_SSL_CONNECT_ERROR)));
  }
  const long error = TransferErrno(easy);
  if (easy.head().complete()) {
    return Unavailable(FailureReason::kConnectionFailed,
                       error == ECONNRESET ? "read: connection reset by peer" : "unexpected EOF");
  }
  // What libcurl itself refused to receive, such as a head without end.
  if (error == 0 && code == CURLE_RECV_ERROR && !url.https()) return ProtocolFailure(easy, code);
  return Unavailable(FailureReason::kConnectionFailed,
                     error != 0 ? Concat("read: ", ErrnoText(error)) : "EOF");
}

FetchFailure WriteFailure(const CurlEasy& easy, CURLcode code) {
  if (!easy.too_large()) return ProtocolFailure(easy, code);
  return {absl::ResourceExhaustedError("body size limit exceeded"), FailureReason::kBodySizeLimit};
}

FailureReason PhaseOfTimeout(const CurlEasy& easy) {
  if (easy.head().complete()) return FailureReason::kTimeoutBody;
  if (easy.connected()) return FailureReason::kTimeoutResponse;
  return easy.handshaking() ? FailureReason::kTimeoutTls : FailureReason::kTimeoutConnect;
}

FetchFailure Cause(const CurlEasy& easy, CURLcode code, const FetchUrl& url) {
  switch (code) {
    case CURLE_COULDNT_CONNECT:
      return ConnectFailure(easy, code);
    case CURLE_COULDNT_RESOLVE_HOST:
      return Unavailable(FailureReason::kDns,
                         Concat("dial tcp: lookup ", url.host, ": no such host"));
    case CURLE_PEER_FAILED_VERIFICATION:
      return VerifyFailure(easy, code);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_INVALIDCERTSTATUS:
      return Unavailable(FailureReason::kTls, Concat("tls: ", CurlText(easy, code)));
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
      return BrokenConnection(easy, code, url);
    case CURLE_WRITE_ERROR:
      return WriteFailure(easy, code);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
      return ProtocolFailure(easy, code);
    default:
      return Unavailable(FailureReason::kOther, absl::AsciiStrToLower(CurlText(easy, code)));
  }
}

}  // namespace

FetchFailure RequestFailure(const char* method, const FetchUrl& url, FetchFailure cause) {
  cause.status = absl::Status(cause.status.code(), Concat(method, " ", GoQuote(RedactUrl(url.text)),
                                                          ": ", FromAbsl(cause.status.message())));
  return cause;
}

FetchFailure TransferFailure(const char* method, const CurlEasy& easy, CURLcode code,
                             const FetchUrl& url) {
  if (code == CURLE_OPERATION_TIMEDOUT) return TimeoutFailure(method, easy, url);
  FetchFailure cause = Cause(easy, code, url);
  return easy.head().complete() ? cause : RequestFailure(method, url, std::move(cause));
}

FetchFailure TimeoutFailure(const char* method, const CurlEasy& easy, const FetchUrl& url) {
  FetchFailure cause{absl::DeadlineExceededError("context deadline exceeded"),
                     PhaseOfTimeout(easy)};
  return easy.head().complete() ? cause : RequestFailure(method, url, std::move(cause));
}

}  // namespace trawl

#include "core/fetch/fetch_url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <locale.h>

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"

namespace trawl {
namespace {

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using UrlHandle = std::unique_ptr<CURLU, UrlDeleter>;
struct CurlDeleter {
  void operator()(char* text) const { curl_free(text); }
};

absl::Status UrlError(CURLUcode code) {
  return absl::InvalidArgumentError(
      absl::StrCat("invalid url: ", absl::AsciiStrToLower(curl_url_strerror(code))));
}

absl::StatusOr<std::string> Part(CURLU* url, CURLUPart part, unsigned flags) {
  char* text = nullptr;
  const CURLUcode code = curl_url_get(url, part, &text, flags);
  const std::unique_ptr<char, CurlDeleter> owned(text);  // there is one after some errors, too
  if (code != CURLUE_OK) return UrlError(code);
  return std::string(text);
}

// libcurl takes a name to be in the locale's charset, and this process has no locale: URLs are
// UTF-8.
class Utf8Scope {
 public:
  Utf8Scope() : before_(uselocale(Utf8())) {}
  ~Utf8Scope() { uselocale(before_); }
  Utf8Scope(const Utf8Scope&) = delete;
  Utf8Scope& operator=(const Utf8Scope&) = delete;

 private:
  static locale_t Utf8() {
    static const locale_t kUtf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return kUtf8;  // null leaves the thread's as it is
  }

  const locale_t before_;
};

// The host as DNS knows it. `url` has it too then, so that libcurl need not convert it again.
absl::StatusOr<std::string> TakeHost(CURLU* url) {
  const Utf8Scope utf8;
  ASSIGN_OR_RETURN(const std::string written, Part(url, CURLUPART_HOST, 0));
  auto host = Part(url, CURLUPART_HOST, CURLU_PUNYCODE);
  if (!host.ok()) return absl::InvalidArgumentError("invalid url: no valid host name");
  // Setting it forgets an IPv6 zone.
  if (*host != written) curl_url_set(url, CURLUPART_HOST, host->c_str(), 0);
  return host;
}

std::string StripBrackets(std::string host) {
  if (host.size() > 2 && host.front() == '[') return host.substr(1, host.size() - 2);
  return host;
}

absl::StatusOr<FetchUrl> TakeApart(CURLU* url) {
  FetchUrl result;
  ASSIGN_OR_RETURN(result.scheme, Part(url, CURLUPART_SCHEME, 0));
  if (result.scheme != "http" && result.scheme != "https") {
    return absl::InvalidArgumentError(
        absl::StrCat("unsupported protocol scheme ", GoQuote(result.scheme)));
  }
  ASSIGN_OR_RETURN(std::string host, TakeHost(url));
  result.host = StripBrackets(absl::AsciiStrToLower(host));
  ASSIGN_OR_RETURN(const std::string port, Part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT));
  int number = 0;
  if (!absl::SimpleAtoi(port, &number)) return absl::InvalidArgumentError("invalid port");
  result.port = static_cast<uint16_t>(number);
  result.literal = IsAddress(result.host);
  curl_url_set(url, CURLUPART_FRAGMENT, nullptr, 0);
  ASSIGN_OR_RETURN(result.text, Part(url, CURLUPART_URL, 0));
  return result;
}

// As Go's dialer has it.
std::string WithHost(std::string url) {
  const size_t scheme = url.find("://");
  if (scheme != std::string::npos && url.compare(scheme, 4, "://:") == 0) {
    url.insert(scheme + 3, "localhost");
  }
  return url;
}

}  // namespace

bool IsAddress(const std::string& host) {
  unsigned char buffer[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), buffer) == 1 ||
         inet_pton(AF_INET6, host.c_str(), buffer) == 1;
}

std::string FetchUrl::Endpoint() const { return absl::StrCat(scheme, "://", host, ":", port); }

absl::StatusOr<FetchUrl> ParseFetchUrl(const std::string& url) {
  const UrlHandle handle(curl_url());
  const CURLUcode code = curl_url_set(handle.get(), CURLUPART_URL, WithHost(url).c_str(),
                                      CURLU_NON_SUPPORT_SCHEME | CURLU_PATH_AS_IS);
  if (code == CURLUE_BAD_SCHEME) {
    return absl::InvalidArgumentError("unsupported protocol scheme \"\"");
  }
  if (code != CURLUE_OK) return UrlError(code);
  return TakeApart(handle.get());
}

absl::StatusOr<FetchUrl> ResolveRedirect(const FetchUrl& from, const std::string& location) {
  const UrlHandle handle(curl_url());
  CURLUcode code = curl_url_set(handle.get(), CURLUPART_URL, from.text.c_str(), 0);
  if (code == CURLUE_OK) {
    code = curl_url_set(handle.get(), CURLUPART_URL, location.c_str(),
                        CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE);
  }
  if (code != CURLUE_OK) return UrlError(code);
  return TakeApart(handle.get());
}

bool MayForwardCredentials(const FetchUrl& from, const FetchUrl& to) {
  return from.host == to.host && (to.https() || !from.https());
}

std::string RedactUrl(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::string(url);
  const size_t begin = scheme + 3;
  const std::string_view authority = url.substr(begin, url.find_first_of("/?#", begin) - begin);
  const size_t at = authority.rfind('@');
  if (at == std::string_view::npos) return std::string(url);
  const size_t colon = authority.find(':');
  if (colon == std::string_view::npos || colon > at) return std::string(url);
  return std::string(url.substr(0, begin + colon)) + ":***" + std::string(url.substr(begin + at));
}

}  // namespace trawl

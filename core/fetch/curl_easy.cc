#include "core/fetch/curl_easy.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/fetch/tls_context.h"

namespace trawl {
namespace {

// A body's buffer is kept for the next transfer up to this size.
constexpr size_t kKeptBodyBytes = 128 << 10;

std::string AddressText(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
    return absl::StrCat(text, ":", ntohs(v4.sin_port));
  }
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
    return absl::StrCat("[", text, "]:", ntohs(v6.sin6_port));
  }
  return "";
}

}  // namespace

CurlEasy::CurlEasy(const std::string& user_agent, CurlEasyObserver* observer, BodyBudget* bodies)
    : easy_(curl_easy_init()), observer_(observer) {
  if (bodies != nullptr) share_.emplace(*bodies);
  SetPermanentOptions(user_agent);
}

CurlEasy::~CurlEasy() {
  curl_easy_cleanup(easy_);
  curl_slist_free_all(header_list_);
  curl_slist_free_all(resolve_list_);
}

void CurlEasy::SetPermanentOptions(const std::string& user_agent) {
  const auto set = [this](CURLoption option, auto value) {
    curl_easy_setopt(easy_, option, value);
  };
  set(CURLOPT_PRIVATE, this);
  set(CURLOPT_ERRORBUFFER, error_);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_QUICK_EXIT, 1L);
  set(CURLOPT_USERAGENT, user_agent.c_str());
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);  // the new host's name must be resolved outside libcurl too
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_PROXY, "");
  set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(CURLOPT_CAINFO, static_cast<char*>(nullptr));
  set(CURLOPT_CAPATH, static_cast<char*>(nullptr));
  // A session must not carry one context's verdict over to another one's connection.
  set(CURLOPT_SSL_SESSIONID_CACHE, 0L);
  set(CURLOPT_SSL_CTX_FUNCTION, &CurlEasy::OnSslContext);
  set(CURLOPT_SSL_CTX_DATA, this);
  set(CURLOPT_HEADERFUNCTION, &CurlEasy::OnHeader);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, &CurlEasy::OnBody);
  set(CURLOPT_WRITEDATA, this);
  set(CURLOPT_PREREQFUNCTION, &CurlEasy::OnReady);
  set(CURLOPT_PREREQDATA, this);
  if (observer_ != nullptr) {
    set(CURLOPT_OPENSOCKETFUNCTION, &CurlEasy::OnOpenSocket);
    set(CURLOPT_OPENSOCKETDATA, this);
  }
}

void CurlEasy::Prepare(const CurlRequest& request) {
  head_.Clear();
  head_.KeepLines(request.keep_head);
  DropBody();
  connected_ = handshaking_ = too_large_ = no_descriptor_ = false;
  last_address_.ss_family = AF_UNSPEC;
  error_[0] = '\0';
  curl_easy_setopt(easy_, CURLOPT_URL, request.url->text.c_str());
  curl_easy_setopt(easy_, CURLOPT_FORBID_REUSE, 0L);
  SetMethod(request);
  SetHeaders(request.headers);
  SetAddresses(request);
  SetLimits(request);
  tls_ = request.tls;
  host_ = request.url->host;
  peer_.Clear();
  if (tls_ != nullptr) tls_->Apply(easy_);
}

void CurlEasy::DropBody() {
  body_.clear();
  if (body_.capacity() > kKeptBodyBytes) body_.shrink_to_fit();
  if (share_.has_value()) share_->Reset();
}

// Grows the body as a string grows by itself, at twice its size, and pays for that beforehand.
bool CurlEasy::MakeRoom(size_t bytes) {
  const size_t wanted = body_.size() + bytes;
  if (!share_.has_value() || wanted <= share_->bytes()) return true;
  const size_t room = std::max<size_t>(wanted, 2 * share_->bytes());
  if (!share_->TryGrow(room)) return false;
  body_.reserve(room);
  return true;
}

void CurlEasy::SetMethod(const CurlRequest& request) {
  if (request.post_body == nullptr) {
    curl_easy_setopt(easy_, CURLOPT_HTTPGET, 1L);
    return;
  }
  curl_easy_setopt(easy_, CURLOPT_POST, 1L);
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request.post_body->data());
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE,
                   static_cast<curl_off_t>(request.post_body->size()));
}

void CurlEasy::SetHeaders(const std::vector<std::string>& headers) {
  curl_slist_free_all(header_list_);
  header_list_ = nullptr;
  for (const std::string& header : headers) {
    header_list_ = curl_slist_append(header_list_, header.c_str());
  }
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, header_list_);
}

// Entries have a time ("+"), so that a cell can prune those of hosts that are gone. libcurl
// takes them as fresh on each transfer.
void CurlEasy::SetAddresses(const CurlRequest& request) {
  curl_slist_free_all(resolve_list_);
  resolve_list_ = nullptr;
  if (!request.addresses.empty()) {
    const std::string entry = absl::StrCat("+", request.url->host, ":", request.url->port, ":",
                                           absl::StrJoin(request.addresses, ","));
    resolve_list_ = curl_slist_append(nullptr, entry.c_str());
  }
  curl_easy_setopt(easy_, CURLOPT_RESOLVE, resolve_list_);
}

void CurlEasy::SetLimits(const CurlRequest& request) {
  const int64_t timeout_ms = std::max<int64_t>(
      1, absl::ToInt64Milliseconds(absl::Ceil(request.timeout, absl::Milliseconds(1))));
  const int64_t age = absl::ToInt64Seconds(request.max_connection_age);
  curl_easy_setopt(easy_, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_ms));
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(timeout_ms));
  curl_easy_setopt(easy_, CURLOPT_MAXAGE_CONN, static_cast<long>(age));
  max_body_bytes_ = request.max_body_bytes;
  truncate_body_ = request.truncate_body;
}

std::string CurlEasy::LastAddress() const { return AddressText(last_address_); }

absl::Duration CurlEasy::Elapsed(CURLINFO which) const {
  curl_off_t microseconds = 0;
  curl_easy_getinfo(easy_, which, &microseconds);
  return absl::Microseconds(microseconds);
}

long CurlEasy::Number(CURLINFO which) const {
  long value = 0;
  curl_easy_getinfo(easy_, which, &value);
  return value;
}

size_t CurlEasy::OnHeader(char* data, size_t size, size_t count, void* self) {
  auto& easy = *static_cast<CurlEasy*>(self);
  const bool was_complete = easy.head_.complete();
  easy.head_.AddLine({data, size * count});
  if (!was_complete && easy.head_.complete() && easy.observer_ != nullptr &&
      !easy.observer_->MayKeepConnection()) {
    curl_easy_setopt(easy.easy_, CURLOPT_FORBID_REUSE, 1L);
  }
  return size * count;
}

size_t CurlEasy::OnBody(char* data, size_t size, size_t count, void* self) {
  auto& easy = *static_cast<CurlEasy*>(self);
  size_t bytes = size * count;
  if (easy.max_body_bytes_ != 0 && easy.body_.size() + bytes > easy.max_body_bytes_) {
    easy.too_large_ = true;
    if (!easy.truncate_body_) return 0;
    bytes = easy.max_body_bytes_ - easy.body_.size();
  }
  if (!easy.MakeRoom(bytes)) {
    easy.observer_->OnBodyWaits(easy);
    return CURL_WRITEFUNC_PAUSE;
  }
  easy.body_.append(data, bytes);
  return size * count;
}

curl_socket_t CurlEasy::OnOpenSocket(void* self, curlsocktype, curl_sockaddr* address) {
  auto& easy = *static_cast<CurlEasy*>(self);
  // curl_sockaddr declares the address as the small kind, and holds the whole of it.
  const char* raw = reinterpret_cast<const char*>(address) + offsetof(curl_sockaddr, addr);
  std::memcpy(&easy.last_address_, raw, std::min<size_t>(address->addrlen, sizeof(last_address_)));
  return easy.observer_->OnOpenSocket(easy, *address);
}

CURLcode CurlEasy::OnSslContext(CURL*, void* ssl_context, void* self) {
  auto& easy = *static_cast<CurlEasy*>(self);
  easy.handshaking_ = true;
  const bool ok = easy.tls_ != nullptr &&
                  easy.tls_->Configure(static_cast<SSL_CTX*>(ssl_context), easy.host_, easy.peer_);
  return ok ? CURLE_OK : CURLE_ABORTED_BY_CALLBACK;
}

int CurlEasy::OnReady(void* self, char*, char*, int, int) {
  auto& easy = *static_cast<CurlEasy*>(self);
  easy.connected_ = true;
  if (easy.observer_ != nullptr) easy.observer_->OnConnected(easy);
  return CURL_PREREQFUNC_OK;
}

}  // namespace trawl

#pragma once

#include <curl/curl.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/fetch/body_budget.h"
#include "core/fetch/fetch_url.h"
#include "core/fetch/fetcher.h"
#include "core/fetch/peer_check.h"
#include "core/fetch/response_head.h"

namespace trawl {

class CurlEasy;
class TlsContext;

// One request as CurlEasy is told to make it. Everything is copied or used during the transfer
// only; what pointers and views show must outlive the transfer.
struct CurlRequest {
  const FetchUrl* url = nullptr;
  std::vector<std::string> headers;
  // Empty: the host is an address, or libcurl is to resolve it (blocking client only).
  std::vector<std::string> addresses;
  absl::Duration timeout;
  absl::Duration max_connection_age = absl::Minutes(5);
  uint64_t max_body_bytes = 0;  // 0: no limit
  bool truncate_body = false;   // at the limit drop the rest instead of failing
  bool keep_head = false;       // the head's lines, besides what is always kept
  const TlsContext* tls = nullptr;
  const std::string* post_body = nullptr;  // GET without
};

// Hears of a transfer's sockets. Called from inside libcurl: must not call it back.
class CurlEasyObserver {
 public:
  virtual ~CurlEasyObserver() = default;
  // A new socket, or -1.
  virtual int OnOpenSocket(CurlEasy& easy, const curl_sockaddr& address) = 0;
  // A connection, new or kept, is ready and the request goes out.
  virtual void OnConnected(CurlEasy& easy) = 0;
  // The head is complete: whether the connection may be kept afterwards.
  virtual bool MayKeepConnection() = 0;
  // There is no memory for more of the body now: Resume is called for when there may be.
  virtual void OnBodyWaits(CurlEasy& easy) = 0;
};

// A libcurl easy handle with the project's options, used for one transfer after another: what
// libcurl would take from the environment is off, bodies are kept as sent.
// One thread at a time.
class CurlEasy {
 public:
  // Both may be null (then bodies are not counted), and outlive the handle.
  CurlEasy(const std::string& user_agent, CurlEasyObserver* observer, BodyBudget* bodies);
  ~CurlEasy();
  CurlEasy(const CurlEasy&) = delete;
  CurlEasy& operator=(const CurlEasy&) = delete;

  void Prepare(const CurlRequest& request);
  // After OnBodyWaits. It may have to wait again.
  CURLcode Resume() { return curl_easy_pause(easy_, CURLPAUSE_CONT); }
  // Gives the body's memory back, but for a small buffer.
  void DropBody();

  CURL* handle() { return easy_; }
  const ResponseHead& head() const { return head_; }
  const std::string& body() const { return body_; }
  bool connected() const { return connected_; }
  // TCP is connected, TLS begins.
  bool handshaking() const { return handshaking_; }
  bool too_large() const { return too_large_; }
  // OpenSocket was refused.
  bool no_descriptor() const { return no_descriptor_; }
  void set_no_descriptor() { no_descriptor_ = true; }
  // The address last tried, "127.0.0.1:9100" or "[::1]:9100"; "" if none was.
  std::string LastAddress() const;
  // Of the server's certificate with the host; "" if that wasn't what failed.
  const std::string& peer_mismatch() const { return peer_.mismatch(); }
  const char* error_text() const { return error_; }

  absl::Duration Elapsed(CURLINFO which) const;
  long Number(CURLINFO which) const;

 private:
  void SetPermanentOptions(const std::string& user_agent);
  void SetHeaders(const std::vector<std::string>& headers);
  void SetAddresses(const CurlRequest& request);
  void SetLimits(const CurlRequest& request);
  void SetMethod(const CurlRequest& request);
  bool MakeRoom(size_t bytes);

  static size_t OnHeader(char* data, size_t size, size_t count, void* self);
  static size_t OnBody(char* data, size_t size, size_t count, void* self);
  static curl_socket_t OnOpenSocket(void* self, curlsocktype type, curl_sockaddr* address);
  static CURLcode OnSslContext(CURL* handle, void* ssl_context, void* self);
  static int OnReady(void* self, char*, char*, int, int);

  CURL* easy_;
  CurlEasyObserver* const observer_;
  curl_slist* header_list_ = nullptr;
  curl_slist* resolve_list_ = nullptr;
  char error_[CURL_ERROR_SIZE] = {};

  // Of the current transfer.
  ResponseHead head_;
  std::string body_;
  std::optional<BodyBudget::Share> share_;  // of body_
  uint64_t max_body_bytes_ = 0;
  bool truncate_body_ = false;
  const TlsContext* tls_ = nullptr;
  std::string host_;  // who is connected to, as there are no proxies
  PeerCheck peer_;
  bool connected_ = false;
  bool handshaking_ = false;
  bool too_large_ = false;
  bool no_descriptor_ = false;
  sockaddr_storage last_address_{};
};

}  // namespace trawl

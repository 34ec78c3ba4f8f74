#include "core/fetch/blocking_http_client.h"

#include <curl/curl.h>

#include <atomic>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/status_macros.h"
#include "core/fetch/curl_easy.h"
#include "core/fetch/curl_http_client.h"
#include "core/fetch/fetch_failure.h"
#include "core/fetch/fetch_url.h"
#include "core/fetch/tls_context.h"

namespace trawl {
namespace {

constexpr int kMaxRedirects = 10;
constexpr int kPollMilliseconds = 1000;

}  // namespace

// The multi handle is there for its poll, which another thread can wake.
class BlockingHttpClient::Connection {
 public:
  Connection(Options options, std::shared_ptr<const HttpClient> client)
      : options_(std::move(options)) {
    SetClient(std::move(client));
    curl_global_init(CURL_GLOBAL_DEFAULT);  // thread-safe and counted since 7.84
    easy_.emplace(options_.user_agent, nullptr, nullptr);
    curl_easy_setopt(easy_->handle(), CURLOPT_DNS_CACHE_TIMEOUT, 60L);
    multi_ = MakeMulti();
  }

  ~Connection() { curl_multi_cleanup(multi_); }

  absl::StatusOr<BlockingHttpResponse> Post(const BlockingHttpRequest& request) {
    ASSIGN_OR_RETURN(FetchUrl url, ParseFetchUrl(request.url));
    const absl::Duration end = clock_.Steady() + request.timeout;
    bool send_credentials = true;
    for (int hops = 0; hops < kMaxRedirects; ++hops) {
      absl::Status sent = Send(request, url, send_credentials, end - clock_.Steady());
      if (!sent.ok()) return sent;
      if (!MustFollow()) return Answer();
      ASSIGN_OR_RETURN(FetchUrl next, ResolveRedirect(url, easy_->head().location()));
      send_credentials = send_credentials && MayForwardCredentials(url, next);
      url = std::move(next);
    }
    return Named(
        url, absl::UnavailableError(absl::StrCat("stopped after ", kMaxRedirects, " redirects")));
  }

  void SetClient(std::shared_ptr<const HttpClient> client) {
    client_ = std::move(client);
    curl_client_ = dynamic_cast<const CurlHttpClient*>(client_.get());
  }

  void Cancel() {
    MutexLock lock(mutex_);
    cancelled_ = true;
    curl_multi_wakeup(multi_);
  }

 private:
  static CURLM* MakeMulti() {
    CURLM* multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 2L);
    return multi;
  }

  static absl::Status Named(const FetchUrl& url, absl::Status status) {
    return RequestFailure("Post", url, {std::move(status)}).status;
  }

  bool MustFollow() const {
    if (curl_client_ != nullptr && !curl_client_->config().follow_redirects) return false;
    const int code = easy_->head().status_code();
    return (code == 307 || code == 308) && easy_->head().IsRedirect();
  }

  absl::Status Send(const BlockingHttpRequest& request, const FetchUrl& url, bool send_credentials,
                    absl::Duration timeout) {
    CurlRequest prepared;
    prepared.url = &url;
    prepared.headers = request.headers;
    prepared.headers.emplace_back("Expect:");  // no pause for a 100 Continue
    prepared.timeout = timeout;
    prepared.max_body_bytes = options_.max_response_bytes;
    prepared.truncate_body = true;
    prepared.post_body = &request.body;
    absl::Status ready = send_credentials ? AddCredentials(prepared) : absl::OkStatus();
    if (ready.ok() && url.https()) ready = AddTls(prepared);
    if (!ready.ok()) return Named(url, ready);
    easy_->Prepare(prepared);
    return Transfer(url);
  }

  absl::Status AddCredentials(CurlRequest& request) const {
    if (curl_client_ == nullptr) return absl::OkStatus();
    ASSIGN_OR_RETURN(const auto value, curl_client_->AuthorizationValue());
    if (value) request.headers.push_back(absl::StrCat("Authorization: ", *value));
    return absl::OkStatus();
  }

  absl::Status AddTls(CurlRequest& request) {
    if (curl_client_ == nullptr) return absl::FailedPreconditionError("no http client for https");
    ASSIGN_OR_RETURN(auto tls, curl_client_->Tls());
    if (tls_ != nullptr && tls != tls_) CloseConnections();
    tls_ = std::move(tls);
    request.tls = tls_.get();
    return absl::OkStatus();
  }

  // New trust needs new connections; those made with the old one must end before it does.
  void CloseConnections() {
    CURLM* fresh = MakeMulti();
    {
      MutexLock lock(mutex_);
      std::swap(multi_, fresh);
    }
    curl_multi_cleanup(fresh);
  }

  absl::Status Transfer(const FetchUrl& url) {
    curl_multi_add_handle(multi_, easy_->handle());
    std::optional<CURLcode> code;
    while (!cancelled_ && !code) {
      int running = 0;
      curl_multi_perform(multi_, &running);
      code = Finished();
      if (!code) curl_multi_poll(multi_, nullptr, 0, kPollMilliseconds, nullptr);
    }
    absl::Status status = StatusOf(url, code);
    curl_multi_remove_handle(multi_, easy_->handle());
    return status;
  }

  std::optional<CURLcode> Finished() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg == CURLMSG_DONE) return message->data.result;
    }
    return std::nullopt;
  }

  absl::Status StatusOf(const FetchUrl& url, std::optional<CURLcode> code) const {
    if (!code) return Named(url, absl::CancelledError("context canceled"));
    if (*code == CURLE_OK) return absl::OkStatus();
    return TransferFailure("Post", *easy_, *code, url).status;
  }

  BlockingHttpResponse Answer() const {
    return {easy_->head().status_code(), easy_->head().status_line(), easy_->body(),
            easy_->head().retry_after()};
  }

  // Constant after construction.
  const Options options_;
  const SystemClock clock_;

  std::atomic<bool> cancelled_{false};
  Mutex mutex_;  // between Cancel and the exchange of multi_

  // Owned by the calling thread.
  std::shared_ptr<const HttpClient> client_;
  const CurlHttpClient* curl_client_ = nullptr;  // client_
  // Connections (multi_) end before their trust (tls_).
  std::shared_ptr<const TlsContext> tls_;
  std::optional<CurlEasy> easy_;
  CURLM* multi_ = nullptr;
};

BlockingHttpClient::BlockingHttpClient(Options options, std::shared_ptr<const HttpClient> client)
    : connection_(std::make_unique<Connection>(std::move(options), std::move(client))) {}

BlockingHttpClient::~BlockingHttpClient() = default;

absl::StatusOr<BlockingHttpResponse> BlockingHttpClient::Post(const BlockingHttpRequest& request) {
  return connection_->Post(request);
}

void BlockingHttpClient::SetClient(std::shared_ptr<const HttpClient> client) {
  connection_->SetClient(std::move(client));
}

void BlockingHttpClient::Cancel() { connection_->Cancel(); }

}  // namespace trawl

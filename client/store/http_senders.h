#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/event_loop.h"
#include "core/base/mutex.h"
#include "core/base/published.h"
#include "core/fetch/blocking_http_client.h"
#include "core/model/http_client_config.h"

namespace trawl {

// Where an endpoint is, and how it is spoken to: credentials, trust and patience.
struct HttpAccess {
  std::string url;
  std::shared_ptr<const HttpClient> client;    // of CurlHttpClientFactory
  absl::Duration timeout = absl::Seconds(30);  // of one request
};

// Whether requests can be sent to it; kInvalidArgument says why not.
absl::Status CheckRemoteWriteUrl(const std::string& url);

// Errors: kInvalidArgument (url); TLS files that can't be read or don't fit. Nothing is connected
// yet.
absl::StatusOr<std::shared_ptr<const HttpAccess>> MakeHttpAccess(std::string url,
                                                                 const HttpClientConfig& config,
                                                                 absl::Duration timeout);

// A few threads that send requests to one endpoint, each over a connection of its own; answers come
// back on a loop. Requests start in order and end in any. Each is sent with the access that is
// published when it starts; another one has connections of its own.
//
// Send is for the loop's thread. Destroying it cancels what is under way; its callbacks don't run.
class HttpSenders {
 public:
  struct Options {
    std::vector<std::string> headers;  // "Name: value"
    size_t threads = 4;
    std::string user_agent;
  };
  using Done = std::function<void(absl::StatusOr<BlockingHttpResponse>)>;

  HttpSenders(const Options& options, std::shared_ptr<const Published<HttpAccess>> access,
              EventLoop& loop);
  ~HttpSenders();

  void Send(std::string body, Done done);
  // Where the next request goes.
  std::string url() const { return access_->Get()->url; }

 private:
  struct Job {
    std::string body;
    Done done;
  };

  void Run(BlockingHttpClient& client);

  const Options options_;
  const std::shared_ptr<const Published<HttpAccess>> access_;
  EventLoop& loop_;
  std::vector<std::unique_ptr<BlockingHttpClient>> clients_;
  std::vector<std::thread> threads_;

  Mutex mutex_;
  CondVar wake_;
  std::deque<Job> jobs_ TRAWL_GUARDED_BY(mutex_);
  bool stop_ TRAWL_GUARDED_BY(mutex_) = false;
};

}  // namespace trawl

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/fetch/fetcher.h"

namespace trawl {

struct BlockingHttpRequest {
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  std::string body;
  absl::Duration timeout = absl::Seconds(30);  // covers everything
};

struct BlockingHttpResponse {
  int status_code = 0;
  std::string status_line;  // "429 Too Many Requests"
  std::string body;         // the first 64 KiB
  std::string retry_after;  // the header as sent; "" if none
};

// Sends requests one after another over a kept connection, for threads that may wait: what
// writes to a remote endpoint. Credentials and trust are those of its client, as for scrapes.
//
// 307 and 308 are followed with the same body (credentials don't go to another host); any other
// status is an answer. Names are resolved by libcurl, on a thread of its own.
// One thread at a time; Cancel is for any thread.
class BlockingHttpClient {
 public:
  struct Options {
    std::string user_agent = "trawl";
    uint64_t max_response_bytes = 64 << 10;
  };
  // `client` is one of CurlHttpClientFactory's.
  BlockingHttpClient(Options options, std::shared_ptr<const HttpClient> client);
  ~BlockingHttpClient();
  BlockingHttpClient(const BlockingHttpClient&) = delete;
  BlockingHttpClient& operator=(const BlockingHttpClient&) = delete;

  // Errors are those of FetchError::status, with `Post "URL": ` before them: kDeadlineExceeded,
  // kUnavailable, kFailedPrecondition (a secret's file), kInvalidArgument (the URL), kCancelled.
  absl::StatusOr<BlockingHttpResponse> Post(const BlockingHttpRequest& request);

  // Credentials and trust of the next Post; those of other trust get new connections.
  void SetClient(std::shared_ptr<const HttpClient> client);

  // Ends the Post under way and all later ones with kCancelled, at once.
  void Cancel();

 private:
  class Connection;
  const std::unique_ptr<Connection> connection_;
};

}  // namespace trawl

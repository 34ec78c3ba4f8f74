#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/failure_reason.h"
#include "core/model/http_client_config.h"

namespace trawl {

// The credentials, trust and connection options of one job, made once and shared by its targets.
// Opaque outside core/fetch. Thread-safe: made on the manager's thread, used on the shards'.
class HttpClient {
 public:
  virtual ~HttpClient() = default;
};

struct FetchRequest {
  std::shared_ptr<const HttpClient> client;
  std::string url;
  // Beyond those of the client; sent as they are ("Name: value").
  std::vector<std::string> headers;
  // Covers everything: name, connection, headers and body.
  absl::Duration timeout = absl::Seconds(10);
  // Bytes of the body as sent (compressed); more ends the fetch with kResourceExhausted. 0: none.
  // (body_size_limit is about the inflated body and enforced by who inflates.)
  uint64_t max_wire_bytes = 0;
  // A hint for connection lifetime: how often this URL is fetched.
  absl::Duration interval = absl::Minutes(1);
  // Whether the response is to have its head, line by line.
  bool keep_head = false;
};

// Seconds since the start of the fetch at which each phase ended; 0 where there was none, or it
// was not reached. Of redirects the last hop counts; what was before is in its first phase.
struct FetchTimings {
  absl::Duration dns;
  absl::Duration connect;
  absl::Duration tls;
  absl::Duration request;  // a connection, new or kept, was ready and the request went out
  absl::Duration first_byte;
  absl::Duration total;
  bool connection_reused = false;
};

struct FetchResponse {
  int status_code = 0;
  std::string status_line;       // "404 Not Found"
  std::string content_type;      // as sent; "" if none
  std::string content_encoding;  // as sent; "" if none
  std::string_view body;         // as sent (still compressed); valid during the callback only
  // The lines of the last response's head as sent, "HTTP/1.1 200 OK" first; only if asked for, and
  // the first 64 KiB of them.
  std::vector<std::string> head;
  FetchTimings timings;
};

// What went wrong before there was a response, or while it was read.
// `status`: kDeadlineExceeded on timeout, kUnavailable (dns, refused, reset, tls),
// kResourceExhausted (max_wire_bytes, no descriptor), kCancelled. The message is as Prometheus
// shows it where that is possible: `Get "http://…": context deadline exceeded`.
struct FetchError {
  absl::Status status;
  FailureReason reason = FailureReason::kOther;
  FetchTimings timings;
};

struct FetchOutcome {
  bool ok() const { return error.status.ok(); }
  // If ok: any status code counts as a response. On an error what had come of it, if its head was
  // complete; for those who look into it only.
  FetchResponse response;
  FetchError error;
};

// Fetches URLs over HTTP and HTTPS on an event loop, without blocking it.
//
// Guarantees: the callback runs exactly once for each Fetch, on the loop's thread, never from
// inside Fetch itself, and not later than the timeout plus a turn of the loop; after Cancel it
// doesn't run at all. Any number of fetches may be under way; where descriptors run short a
// fetch waits its turn inside its timeout.
// One thread: the loop's.
class Fetcher {
 public:
  using FetchId = uint64_t;
  using Callback = absl::AnyInvocable<void(const FetchOutcome&)>;

  virtual ~Fetcher() = default;
  virtual FetchId Fetch(FetchRequest request, Callback callback) = 0;
  virtual void Cancel(FetchId id) = 0;
};

// Makes clients. Reads the CA and certificate files; errors are Prometheus'
// (`unable to use specified CA cert …`). Thread-safe.
class HttpClientFactory {
 public:
  virtual ~HttpClientFactory() = default;
  virtual absl::StatusOr<std::shared_ptr<const HttpClient>> MakeClient(
      const HttpClientConfig& config) = 0;
};

// Whether that factory, which must outlive it, makes a client of the options. As config/load.h's
// ClientCheck.
inline std::function<absl::Status(const HttpClientConfig& http)> CheckBy(
    HttpClientFactory& clients) {
  return [&clients](const HttpClientConfig& http) { return clients.MakeClient(http).status(); };
}

}  // namespace trawl

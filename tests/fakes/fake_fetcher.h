#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/event_loop.h"
#include "core/base/failure_reason.h"
#include "core/fetch/fetcher.h"

namespace trawl {

// A Fetcher that answers from a script, one entry a URL. Timeouts and max_wire_bytes are real
// (on the loop's time); nothing goes over a network.
//
//   FakeFetcher fetcher(loop);
//   fetcher.Serve("http://a/metrics", {.body = "up 1\n", .content_type = "text/plain"});
//   fetcher.Hold("http://b/metrics");        // no answer until Release
//   fetcher.Fail("http://c/metrics", FailureReason::kConnectionRefused, "connect: …");
//
// A URL without an entry refuses the connection. Test's thread, which is the loop's.
class FakeFetcher final : public Fetcher {
 public:
  struct Reply {
    int status_code = 200;
    std::string status_line = "200 OK";
    std::string content_type;
    std::string content_encoding;
    std::string body;
    std::vector<std::string> headers;  // beyond those above: "Name: value"
    absl::Duration delay;              // until the answer; the next turn if 0
    FetchTimings timings;              // but for the total, which is the loop's time
  };

  explicit FakeFetcher(EventLoop& loop) : loop_(loop) {}
  ~FakeFetcher() override;

  // Replaces the URL's entry, for fetches begun afterwards and those held.
  void Serve(const std::string& url, Reply reply);
  // The error's message is `Get "URL": MESSAGE`.
  void Fail(const std::string& url, FailureReason reason, const std::string& message);
  // Fetches of the URL get no answer until Release.
  void Hold(const std::string& url);
  // Answers all that are held by the URL's entry; later ones are not held.
  void Release(const std::string& url);

  // Every request, in order, cancelled ones too.
  const std::vector<FetchRequest>& requests() const { return requests_; }
  size_t RequestCount(const std::string& url) const;
  size_t in_flight() const { return flights_.size(); }

  FetchId Fetch(FetchRequest request, Callback callback) override;
  void Cancel(FetchId id) override;

 private:
  struct Script {
    Reply reply;
    FailureReason failure = FailureReason::kNone;
    std::string message;
    bool held = false;
  };
  struct Flight {
    FetchRequest request;
    Callback callback;
    absl::Duration started;
    TimerId answer = 0;
    TimerId deadline = 0;
  };

  static std::vector<std::string> HeadOf(const Reply& reply);
  Script ScriptFor(const std::string& url) const;
  void ScheduleAnswer(FetchId id);
  void Answer(FetchId id);
  void OnDeadline(FetchId id);
  void End(FetchId id, FetchOutcome outcome);

  EventLoop& loop_;
  FetchId next_id_ = 1;
  std::map<std::string, Script> scripts_;
  std::map<FetchId, Flight> flights_;
  std::vector<FetchRequest> requests_;
};

// Makes clients that hold nothing but show their config.
class FakeHttpClient final : public HttpClient {
 public:
  explicit FakeHttpClient(HttpClientConfig config) : config_(std::move(config)) {}
  const HttpClientConfig& config() const { return config_; }

 private:
  const HttpClientConfig config_;
};

class FakeHttpClientFactory final : public HttpClientFactory {
 public:
  // The next MakeClient returns this.
  void FailNext(absl::Status status) { next_error_ = std::move(status); }

  absl::StatusOr<std::shared_ptr<const HttpClient>> MakeClient(
      const HttpClientConfig& config) override;

 private:
  absl::Status next_error_;
};

}  // namespace trawl

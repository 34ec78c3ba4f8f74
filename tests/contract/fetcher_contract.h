#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/base/event_loop.h"
#include "core/base/failure_reason.h"
#include "core/fetch/fetcher.h"

namespace trawl {

// What a Fetcher is tested against: something that answers by URL, whatever is behind it.
class FetcherWorld {
 public:
  virtual ~FetcherWorld() = default;
  virtual Fetcher& fetcher() = 0;
  virtual EventLoop& loop() = 0;
  virtual std::shared_ptr<const HttpClient> client() = 0;
  // URLs of this world: one that answers 200 with `body`, one that answers 404, one that never
  // answers, one that refuses the connection.
  virtual std::string GoodUrl(const std::string& body) = 0;
  virtual std::string MissingUrl() = 0;
  virtual std::string HangingUrl() = 0;
  virtual std::string RefusingUrl() = 0;
  // Runs the loop until `done` says so.
  virtual void RunUntil(std::function<bool()> done) = 0;
};

// An outcome that outlives its callback.
struct KeptOutcome {
  explicit KeptOutcome(const FetchOutcome& outcome)
      : ok(outcome.ok()),
        status_code(outcome.response.status_code),
        status_line(outcome.response.status_line),
        content_type(outcome.response.content_type),
        content_encoding(outcome.response.content_encoding),
        body(outcome.response.body),
        head(outcome.response.head),
        timings(outcome.ok() ? outcome.response.timings : outcome.error.timings),
        status(outcome.error.status),
        reason(outcome.error.reason) {}

  bool ok;
  int status_code;
  std::string status_line;
  std::string content_type;
  std::string content_encoding;
  std::string body;
  std::vector<std::string> head;
  FetchTimings timings;
  absl::Status status;
  FailureReason reason;
};

using FetcherWorldFactory = std::unique_ptr<FetcherWorld> (*)();

// The Fetcher's guarantees. Link fetcher_contract.cc and instantiate over each implementation:
//   INSTANTIATE_TEST_SUITE_P(Curl, FetcherContractTest, testing::Values(&MakeCurlWorld));
class FetcherContractTest : public ::testing::TestWithParam<FetcherWorldFactory> {
 protected:
  FetchRequest Request(const std::string& url) {
    FetchRequest request;
    request.client = world_->client();
    request.url = url;
    return request;
  }

  KeptOutcome FetchAndWait(FetchRequest request) {
    std::optional<KeptOutcome> kept;
    world_->fetcher().Fetch(std::move(request),
                            [&](const FetchOutcome& outcome) { kept.emplace(outcome); });
    world_->RunUntil([&] { return kept.has_value(); });
    return *kept;
  }

  const std::unique_ptr<FetcherWorld> world_ = GetParam()();
};

}  // namespace trawl

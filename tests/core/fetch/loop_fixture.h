#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "core/base/clock.h"
#include "core/base/epoll_loop.h"
#include "core/fetch/curl_fetcher.h"
#include "core/fetch/curl_http_client.h"
#include "core/fetch/descriptor_budget.h"
#include "tests/contract/fetcher_contract.h"
#include "tests/fakes/fake_resolver.h"

namespace trawl {

// A real event loop, run on the test's thread until something is true.
class LoopRunner {
 public:
  EpollLoop& loop() { return loop_; }

  void RunUntil(const std::function<bool()>& done) {
    // Only a broken test gets this far; no result depends on the number.
    const TimerId limit = loop_.RunAfter(absl::Seconds(60), [&] {
      ADD_FAILURE() << "still waiting after a minute";
      loop_.Stop();
    });
    Check(done);
    loop_.Run();
    loop_.Cancel(limit);
  }

 private:
  void Check(const std::function<bool()>& done) {
    if (done()) return loop_.Stop();
    loop_.RunAfter(absl::Milliseconds(1), [this, &done] { Check(done); });
  }

  SystemClock clock_;
  EpollLoop loop_{clock_};
};

// A CurlFetcher with a fake resolver.
class CurlFixture {
 public:
  explicit CurlFixture(CurlFetcher::Options options = {}, int64_t descriptors = 1000,
                       uint64_t body_bytes = 1 << 30, int64_t cell_descriptors = 1000)
      : budget_(descriptors, cell_descriptors),
        bodies_(body_bytes),
        fetcher_(std::in_place, std::move(options),
                 CurlFetcher::Deps{runner_.loop(), runner_.loop(), resolver_, budget_, bodies_}) {}

  CurlFetcher& fetcher() { return *fetcher_; }
  FakeResolver& resolver() { return resolver_; }
  DescriptorBudget& budget() { return budget_; }
  BodyBudget& bodies() { return bodies_; }
  EpollLoop& loop() { return runner_.loop(); }
  void RunUntil(const std::function<bool()>& done) { runner_.RunUntil(done); }
  void DestroyFetcher() { fetcher_.reset(); }

  std::shared_ptr<const HttpClient> Client(const HttpClientConfig& config = {}) {
    auto client = factory_.MakeClient(config);
    EXPECT_TRUE(client.ok()) << client.status();
    return client.ok() ? *client : nullptr;
  }

  FetchRequest Request(const std::string& url, const HttpClientConfig& config = {}) {
    FetchRequest request;
    request.client = Client(config);
    request.url = url;
    return request;
  }

  KeptOutcome Fetch(FetchRequest request) {
    std::optional<KeptOutcome> kept;
    fetcher_->Fetch(std::move(request), [&](const FetchOutcome& o) { kept.emplace(o); });
    RunUntil([&] { return kept.has_value(); });
    return *kept;
  }
  KeptOutcome Fetch(const std::string& url, const HttpClientConfig& config = {}) {
    return Fetch(Request(url, config));
  }

 private:
  LoopRunner runner_;
  FakeResolver resolver_;
  DescriptorBudget budget_;
  BodyBudget bodies_;
  CurlHttpClientFactory factory_;
  std::optional<CurlFetcher> fetcher_;
};

// A port of 127.0.0.1 where nobody listens.
uint16_t UnusedPort();

}  // namespace trawl

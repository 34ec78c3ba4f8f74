#include "tests/contract/fetcher_contract.h"

namespace trawl {

TEST_P(FetcherContractTest, GivesTheBodyOfAGoodUrl) {
  const KeptOutcome outcome = FetchAndWait(Request(world_->GoodUrl("up 1\n")));

  ASSERT_TRUE(outcome.ok) << outcome.status;
  EXPECT_EQ(outcome.status_code, 200);
  EXPECT_EQ(outcome.status_line, "200 OK");
  EXPECT_EQ(outcome.body, "up 1\n");
}

TEST_P(FetcherContractTest, AnyStatusCodeIsAResponse) {
  const KeptOutcome outcome = FetchAndWait(Request(world_->MissingUrl()));

  ASSERT_TRUE(outcome.ok) << outcome.status;
  EXPECT_EQ(outcome.status_line, "404 Not Found");
}

TEST_P(FetcherContractTest, TheHeadComesToThoseWhoAsk) {
  FetchRequest request = Request(world_->GoodUrl("up 1\n"));
  EXPECT_TRUE(FetchAndWait(request).head.empty());
  request.keep_head = true;

  const KeptOutcome outcome = FetchAndWait(request);

  ASSERT_FALSE(outcome.head.empty());
  EXPECT_EQ(outcome.head[0], "HTTP/1.1 200 OK");
  EXPECT_TRUE(FetchAndWait(Request(world_->GoodUrl("up 1\n"))).head.empty());
}

TEST_P(FetcherContractTest, ARefusedConnectionIsUnavailableWithItsReason) {
  const KeptOutcome outcome = FetchAndWait(Request(world_->RefusingUrl()));

  EXPECT_EQ(outcome.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(outcome.reason, FailureReason::kConnectionRefused);
}

TEST_P(FetcherContractTest, AHangingServerEndsAtTheTimeout) {
  FetchRequest request = Request(world_->HangingUrl());
  request.timeout = absl::Milliseconds(200);

  const KeptOutcome outcome = FetchAndWait(request);

  EXPECT_EQ(outcome.status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(outcome.reason, FailureReason::kTimeoutResponse);
  EXPECT_EQ(outcome.status.message(), "Get \"" + request.url + "\": context deadline exceeded");
  EXPECT_GE(outcome.timings.total, absl::Milliseconds(199));
}

TEST_P(FetcherContractTest, MoreThanMaxWireBytesIsResourceExhausted) {
  FetchRequest request = Request(world_->GoodUrl(std::string(1001, 'x')));
  request.max_wire_bytes = 1000;

  const KeptOutcome outcome = FetchAndWait(request);

  EXPECT_EQ(outcome.status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(outcome.reason, FailureReason::kBodySizeLimit);
}

TEST_P(FetcherContractTest, ABodyOfExactlyMaxWireBytesIsTaken) {
  FetchRequest request = Request(world_->GoodUrl(std::string(1000, 'x')));
  request.max_wire_bytes = 1000;

  EXPECT_TRUE(FetchAndWait(request).ok);
}

TEST_P(FetcherContractTest, TheCallbackNeverRunsFromInsideFetch) {
  for (const std::string& url : {world_->GoodUrl("a 1\n"), world_->RefusingUrl()}) {
    bool inside = true;
    bool called_inside = false;
    bool called = false;
    world_->fetcher().Fetch(Request(url), [&](const FetchOutcome&) {
      called = true;
      called_inside = inside;
    });
    inside = false;
    world_->RunUntil([&] { return called; });

    EXPECT_FALSE(called_inside) << url;
  }
}

TEST_P(FetcherContractTest, ACancelledFetchDoesNotCallBack) {
  bool called = false;
  const auto id = world_->fetcher().Fetch(Request(world_->GoodUrl("a 1\n")),
                                          [&](const FetchOutcome&) { called = true; });

  world_->fetcher().Cancel(id);
  FetchAndWait(Request(world_->GoodUrl("b 1\n")));

  EXPECT_FALSE(called);
}

TEST_P(FetcherContractTest, ACallbackMayFetchAndCancel) {
  const std::string url = world_->GoodUrl("a 1\n");
  bool second_done = false;
  bool other_called = false;
  const auto other = world_->fetcher().Fetch(Request(world_->HangingUrl()),
                                             [&](const FetchOutcome&) { other_called = true; });
  world_->fetcher().Fetch(Request(url), [&](const FetchOutcome&) {
    world_->fetcher().Cancel(other);
    world_->fetcher().Fetch(Request(url), [&](const FetchOutcome&) { second_done = true; });
  });

  world_->RunUntil([&] { return second_done; });

  EXPECT_FALSE(other_called);
}

TEST_P(FetcherContractTest, ManyFetchesAtOnceEachCallBackOnce) {
  const std::string url = world_->GoodUrl("a 1\n");
  std::vector<int> calls(50, 0);
  size_t done = 0;
  for (int& count : calls) {
    world_->fetcher().Fetch(Request(url), [&count, &done](const FetchOutcome& outcome) {
      EXPECT_TRUE(outcome.ok()) << outcome.error.status;
      ++count;
      ++done;
    });
  }

  world_->RunUntil([&] { return done == calls.size(); });

  EXPECT_EQ(calls, std::vector<int>(50, 1));
}

}  // namespace trawl

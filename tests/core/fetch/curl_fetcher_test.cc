#include "core/fetch/curl_fetcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/concat.h"
#include "tests/core/fetch/loop_fixture.h"
#include "tests/core/fetch/test_http_server.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Then = TestReply::Then;

TestReply Ok(const TestRequest&) { return TestReply::Text("up 1\n"); }

TestHttpServer::Handler Always(TestReply reply) {
  return [reply](const TestRequest&) { return reply; };
}

HttpClientConfig WithBearer(const std::string& token) {
  HttpClientConfig config;
  config.authorization = Authorization{.credentials = {.value = token}};
  return config;
}

TEST(CurlFetcherTest, KeepsTheConnectionFromFetchToFetch) {
  TestHttpServer server(Ok);
  CurlFixture curl;

  for (int i = 0; i < 5; ++i) ASSERT_TRUE(curl.Fetch(server.Url("/metrics")).ok);

  EXPECT_EQ(server.connections(), 1);
  EXPECT_EQ(curl.fetcher().stats().sockets, 1u);
}

TEST(CurlFetcherTest, ConnectionsAreFoundAgainAcrossManyHostsAndCells) {
  TestHttpServer server(Ok);
  CurlFixture curl;
  const auto fetch_all = [&] {
    constexpr size_t kHosts = 300;
    size_t done = 0;
    for (size_t i = 0; i < kHosts; ++i) {
      const std::string host = absl::StrCat("127.0.", 1 + i / 100, ".", 1 + i % 100);
      curl.fetcher().Fetch(curl.Request(server.Url("/", host)), [&](const FetchOutcome& outcome) {
        EXPECT_TRUE(outcome.ok()) << outcome.error.status;
        ++done;
      });
    }
    curl.RunUntil([&] { return done == kHosts; });
  };

  fetch_all();
  fetch_all();
  fetch_all();

  EXPECT_EQ(server.connections(), 300);
  EXPECT_EQ(curl.fetcher().stats().cells, 3u);
}

TEST(CurlFetcherTest, SendsTheCallersHeadersAndItsOwnName) {
  TestHttpServer server(Ok);
  CurlFixture curl({.user_agent = "trawl/9.9"});
  FetchRequest request = curl.Request(server.Url("/metrics?a=b"));
  request.headers = {"Accept: text/plain;version=0.0.4", "Accept-Encoding: gzip"};

  ASSERT_TRUE(curl.Fetch(request).ok);

  const TestRequest seen = server.requests().at(0);
  EXPECT_EQ(seen.path, "/metrics?a=b");
  EXPECT_EQ(seen.Header("accept"), "text/plain;version=0.0.4");
  EXPECT_EQ(seen.Header("accept-encoding"), "gzip");
  EXPECT_EQ(seen.Header("user-agent"), "trawl/9.9");
  EXPECT_EQ(seen.Header("authorization"), "");
}

TEST(CurlFetcherTest, AsksForThePathAsItIsWritten) {
  TestHttpServer server(Ok);
  CurlFixture curl;

  ASSERT_TRUE(curl.Fetch(server.Url("/a/../metrics")).ok);

  EXPECT_EQ(server.requests().at(0).path, "/a/../metrics");
}

TEST(CurlFetcherTest, GivesTheBodyAsSentWithItsTypeAndEncoding) {
  const std::string bytes("\x1f\x8b\x00not really gzip", 18);
  TestHttpServer server(Always(TestReply::Text(bytes, "Content-Encoding: gzip\r\n")));
  CurlFixture curl;

  const KeptOutcome outcome = curl.Fetch(server.Url("/"));

  EXPECT_EQ(outcome.body, bytes);
  EXPECT_EQ(outcome.content_encoding, "gzip");
  EXPECT_EQ(outcome.content_type, "text/plain; version=0.0.4");
}

TEST(CurlFetcherTest, ReadsChunkedBodies) {
  TestHttpServer server(Always(
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nup \r\n2\r\n1\n\r\n0\r\n\r\n"}));
  CurlFixture curl;

  EXPECT_EQ(curl.Fetch(server.Url("/")).body, "up 1\n");
}

TEST(CurlFetcherTest, TimingsAreInOrderAndConnectOnlyOnANewConnection) {
  TestHttpServer server(Ok);
  CurlFixture curl;

  const FetchTimings first = curl.Fetch(server.Url("/")).timings;
  const FetchTimings second = curl.Fetch(server.Url("/")).timings;

  EXPECT_GT(first.connect, absl::ZeroDuration());
  EXPECT_GE(first.first_byte, first.connect);
  EXPECT_GE(first.total, first.first_byte);
  EXPECT_EQ(second.connect, absl::ZeroDuration());
  EXPECT_GT(second.first_byte, absl::ZeroDuration());
  EXPECT_GE(first.request, first.connect);
  EXPECT_LE(first.request, first.first_byte);
  EXPECT_FALSE(first.connection_reused);
  EXPECT_TRUE(second.connection_reused);
}

// Names.

TEST(CurlFetcherTest, NamesAreResolvedByTheResolver) {
  TestHttpServer server(Ok);
  CurlFixture curl;
  curl.resolver().Answer("node.example", {"127.0.0.1"});

  const KeptOutcome outcome = curl.Fetch(server.Url("/", "Node.example"));

  ASSERT_TRUE(outcome.ok) << outcome.status;
  EXPECT_THAT(curl.resolver().asked(), ElementsAre("node.example"));
  EXPECT_EQ(server.requests().at(0).Header("host"), absl::StrCat("Node.example:", server.port()));
}

TEST(CurlFetcherTest, AKeptConnectionSurvivesAnotherAddressOfItsName) {
  TestHttpServer server(Ok);
  CurlFixture curl;
  curl.resolver().Answer("node.example", {"127.0.0.1"});
  ASSERT_TRUE(curl.Fetch(server.Url("/", "node.example")).ok);

  curl.resolver().Answer("node.example", {"127.0.0.2"});
  ASSERT_TRUE(curl.Fetch(server.Url("/", "node.example")).ok);

  EXPECT_EQ(server.connections(), 1);
}

TEST(CurlFetcherTest, ANewConnectionGoesToTheNewAddress) {
  TestHttpServer server(Always({TestReply::Text("").bytes, Then::kClose}));
  CurlFixture curl;
  curl.resolver().Answer("node.example", {"127.0.0.1"});
  ASSERT_TRUE(curl.Fetch(server.Url("/", "node.example")).ok);

  curl.resolver().Answer("node.example", {"127.255.255.255"});  // broadcast: cannot be connected to
  const KeptOutcome outcome = curl.Fetch(server.Url("/", "node.example"));

  EXPECT_FALSE(outcome.ok);
  EXPECT_THAT(std::string(outcome.status.message()), HasSubstr("127.255.255.255"));
}

TEST(CurlFetcherTest, TheNextAddressIsTriedWhenOneRefuses) {
  TestHttpServer server(Ok);
  CurlFixture curl;
  curl.resolver().Answer("node.example", {"::1", "127.0.0.1"});

  const KeptOutcome outcome = curl.Fetch(server.Url("/", "node.example"));

  EXPECT_TRUE(outcome.ok) << outcome.status;
}

TEST(CurlFetcherTest, AnUnknownNameIsADnsFailure) {
  CurlFixture curl;

  const KeptOutcome outcome = curl.Fetch("http://nowhere.example/metrics");

  EXPECT_EQ(outcome.reason, FailureReason::kDns);
  EXPECT_THAT(outcome.status,
              StatusIs(absl::StatusCode::kUnavailable,
                       "Get \"http://nowhere.example/metrics\": dial tcp: lookup nowhere.example: "
                       "no such host"));
}

TEST(CurlFetcherTest, AHungNameDelaysNobodyElseAndTimesOutAsDns) {
  TestHttpServer server(Ok);
  CurlFixture curl;
  curl.resolver().Hang("hung.example");
  FetchRequest hung = curl.Request("http://hung.example/metrics");
  hung.timeout = absl::Milliseconds(300);
  std::optional<KeptOutcome> late;
  curl.fetcher().Fetch(hung, [&](const FetchOutcome& outcome) { late.emplace(outcome); });

  EXPECT_TRUE(curl.Fetch(server.Url("/")).ok);
  EXPECT_FALSE(late.has_value());

  curl.RunUntil([&] { return late.has_value(); });
  EXPECT_EQ(late->reason, FailureReason::kTimeoutDns);
  EXPECT_EQ(curl.resolver().waiting(), 0u);
}

// Failures.

TEST(CurlFetcherTest, ARefusedConnectionIsToldAsGoTellsIt) {
  CurlFixture curl;
  const uint16_t port = UnusedPort();

  const KeptOutcome outcome = curl.Fetch(absl::StrCat("http://127.0.0.1:", port, "/metrics"));

  EXPECT_EQ(outcome.status.message(),
            absl::StrCat("Get \"http://127.0.0.1:", port, "/metrics\": dial tcp 127.0.0.1:", port,
                         ": connect: connection refused"));
}

TEST(CurlFetcherTest, OtherSchemesThanHttpAreRefused) {
  CurlFixture curl;

  for (const char* url : {"file:///etc/passwd", "ftp://127.0.0.1/x"}) {
    const KeptOutcome outcome = curl.Fetch(url);
    EXPECT_EQ(outcome.reason, FailureReason::kInvalidTarget) << url;
    EXPECT_THAT(std::string(outcome.status.message()), HasSubstr("unsupported protocol scheme"));
  }
}

TEST(CurlFetcherTest, AConnectionClosedBeforeTheHeadIsEof) {
  TestHttpServer server(Always({"", Then::kClose}));
  CurlFixture curl;

  const KeptOutcome outcome = curl.Fetch(server.Url("/"));

  EXPECT_EQ(outcome.reason, FailureReason::kConnectionFailed);
  EXPECT_EQ(outcome.status.message(), Concat("Get \"", server.Url("/"), "\": EOF"));
}

TEST(CurlFetcherTest, AConnectionClosedInTheBodyIsUnexpectedEof) {
  TestHttpServer server(
      Always({"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", Then::kClose}));
  CurlFixture curl;

  const KeptOutcome outcome = curl.Fetch(server.Url("/"));

  EXPECT_EQ(outcome.reason, FailureReason::kConnectionFailed);
  EXPECT_EQ(outcome.status.message(), "unexpected EOF");
}

// A transfer's handle may have been another's, which ended with a system error.
TEST(CurlFetcherTest, TheErrorOfAnotherTransferIsNotToldAgain) {
  std::string headers;
  for (int i = 0; i < 400; ++i)
    absl::StrAppend(&headers, "X-", i, ": ", std::string(1000, 'x'), "\r\n");
  TestHttpServer server(
      Always({Concat("HTTP/1.1 200 OK\r\n", headers, "Content-Length: 0\r\n\r\n")}));
  CurlFixture curl;
  curl.Fetch("http://127.0.0.1:1/");

  const KeptOutcome outcome = curl.Fetch(server.Url("/"));

  EXPECT_EQ(outcome.reason, FailureReason::kHttpProtocol);
  EXPECT_THAT(std::string(outcome.status.message()), HasSubstr("malformed HTTP response: "));
}

TEST(CurlFetcherTest, AResetIsAConnectionFailure) {
  TestHttpServer server(Always({"", Then::kReset}));
  CurlFixture curl;

  const KeptOutcome outcome = curl.Fetch(server.Url("/"));

  EXPECT_EQ(outcome.reason, FailureReason::kConnectionFailed);
  EXPECT_THAT(std::string(outcome.status.message()), HasSubstr("connection reset by peer"));
}

TEST(CurlFetcherTest, GarbageIsNoHttp) {
  TestHttpServer server(Always({"SSH-2.0-OpenSSH_9.2\r\n\r\n", Then::kClose}));
  CurlFixture curl;

  EXPECT_EQ(curl.Fetch(server.Url("/")).reason, FailureReason::kHttpProtocol);
}

TEST(CurlFetcherTest, ATimeoutInTheBodyIsToldFromOneBeforeTheHead) {
  TestHttpServer server(Always({"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", Then::kHang}));
  CurlFixture curl;
  FetchRequest request = curl.Request(server.Url("/"));
  request.timeout = absl::Milliseconds(200);

  const KeptOutcome outcome = curl.Fetch(request);

  EXPECT_EQ(outcome.reason, FailureReason::kTimeoutBody);
  EXPECT_THAT(outcome.status,
              StatusIs(absl::StatusCode::kDeadlineExceeded, "context deadline exceeded"));
}

TEST(CurlFetcherTest, ATimeoutWhileConnectingHasItsReason) {
  // A listener whose queue is full drops what comes.
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), length), 0);
  listen(listener, 0);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  std::vector<int> fillers;
  for (int i = 0; i < 4; ++i) {
    fillers.push_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    (void)connect(fillers.back(), reinterpret_cast<sockaddr*>(&address), length);
  }
  CurlFixture curl;
  FetchRequest request =
      curl.Request(absl::StrCat("http://127.0.0.1:", ntohs(address.sin_port), "/"));
  request.timeout = absl::Milliseconds(200);

  EXPECT_EQ(curl.Fetch(request).reason, FailureReason::kTimeoutConnect);

  for (const int fd : fillers) close(fd);
  close(listener);
}

TEST(CurlFetcherTest, ATimeoutInTheHandshakeIsTls) {
  // Speaks no TLS: waits for a request that never ends.
  TestHttpServer server(Ok);
  CurlFixture curl;
  HttpClientConfig config;
  config.tls_config.insecure_skip_verify = true;  // reading the system's roots takes a while
  FetchRequest request =
      curl.Request(absl::StrCat("https://127.0.0.1:", server.port(), "/"), config);
  request.timeout = absl::Milliseconds(300);

  EXPECT_EQ(curl.Fetch(request).reason, FailureReason::kTimeoutTls);
}

TEST(CurlFetcherTest, AnEndlessBodyEndsAtTheLimit) {
  TestHttpServer server(
      Always({absl::StrCat("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n",
                           std::string(0x100000, 'x')),
              Then::kHang}));
  CurlFixture curl;
  FetchRequest request = curl.Request(server.Url("/"));
  request.max_wire_bytes = 10'000;

  const KeptOutcome outcome = curl.Fetch(request);

  EXPECT_EQ(outcome.reason, FailureReason::kBodySizeLimit);
  EXPECT_THAT(outcome.status,
              StatusIs(absl::StatusCode::kResourceExhausted, "body size limit exceeded"));
}

TEST(CurlFetcherTest, AFailedTargetIsGoodAgainAtTheNextFetch) {
  int calls = 0;
  TestHttpServer server([&](const TestRequest&) {
    return ++calls == 1 ? TestReply{"", Then::kReset} : TestReply::Text("up 1\n");
  });
  CurlFixture curl;

  EXPECT_FALSE(curl.Fetch(server.Url("/")).ok);
  EXPECT_TRUE(curl.Fetch(server.Url("/")).ok);
}

// Redirects and credentials.

TestHttpServer::Handler Redirect(const std::string& to) {
  return Always(TestReply::Status("302 Found", Concat("Location: ", to, "\r\n")));
}

TEST(CurlFetcherTest, FollowsRedirectsAlsoRelativeOnes) {
  TestHttpServer server([](const TestRequest& request) {
    if (request.path != "/a/old") return TestReply::Text(request.path);
    return TestReply::Status("301 Moved Permanently", "Location: new\r\n");
  });
  CurlFixture curl;

  EXPECT_EQ(curl.Fetch(server.Url("/a/old")).body, "/a/new");
}

TEST(CurlFetcherTest, ARedirectIsTheResponseWhenNotToBeFollowed) {
  TestHttpServer server(Redirect("/new"));
  CurlFixture curl;

  const KeptOutcome outcome = curl.Fetch(server.Url("/"), {.follow_redirects = false});

  EXPECT_EQ(outcome.status_line, "302 Found");
}

TEST(CurlFetcherTest, TenRedirectsAreTooMany) {
  TestHttpServer server(Redirect("/again"));
  CurlFixture curl;

  const KeptOutcome outcome = curl.Fetch(server.Url("/"));

  EXPECT_EQ(outcome.reason, FailureReason::kTooManyRedirects);
  EXPECT_EQ(outcome.status.message(),
            Concat("Get \"", server.Url("/again"), "\": stopped after 10 redirects"));
  EXPECT_EQ(server.requests().size(), 10u);
}

TEST(CurlFetcherTest, ARedirectToAFileIsRefused) {
  TestHttpServer server(Redirect("file:///etc/passwd"));
  CurlFixture curl;

  const KeptOutcome outcome = curl.Fetch(server.Url("/"));

  EXPECT_FALSE(outcome.ok);
  EXPECT_THAT(std::string(outcome.status.message()),
              HasSubstr("unsupported protocol scheme \"file\""));
}

TEST(CurlFetcherTest, CredentialsDontFollowARedirectToAnotherHostNorComeBack) {
  std::string back;
  TestHttpServer other([&](const TestRequest&) {
    return TestReply::Status("302 Found", Concat("Location: ", back, "\r\n"));
  });
  TestHttpServer first([&](const TestRequest& request) {
    if (request.path == "/back") return TestReply::Text("up 1\n");
    return TestReply::Status("302 Found",
                             Concat("Location: ", other.Url("/", "127.0.0.2"), "\r\n"));
  });
  back = first.Url("/back");
  CurlFixture curl;
  FetchRequest request = curl.Request(first.Url("/"), WithBearer("t0ken"));
  request.headers = {"Cookie: a=b", "X-Custom: 1"};

  ASSERT_TRUE(curl.Fetch(request).ok);

  EXPECT_EQ(first.requests().at(0).Header("authorization"), "Bearer t0ken");
  EXPECT_EQ(other.requests().at(0).Header("authorization"), "");
  EXPECT_EQ(other.requests().at(0).Header("cookie"), "");
  EXPECT_EQ(other.requests().at(0).Header("x-custom"), "1");
  EXPECT_EQ(first.requests().at(1).Header("authorization"), "");
}

TEST(CurlFetcherTest, CredentialsFollowARedirectOnTheSameHost) {
  TestHttpServer server([](const TestRequest& request) {
    return request.path == "/new"
               ? TestReply::Text("")
               : TestReply::Status("308 Permanent Redirect", "Location: /new\r\n");
  });
  CurlFixture curl;

  ASSERT_TRUE(curl.Fetch(server.Url("/"), WithBearer("t0ken")).ok);

  EXPECT_EQ(server.requests().at(1).Header("authorization"), "Bearer t0ken");
}

TEST(CurlFetcherTest, BasicAuthIsSentAndItsPasswordFileReadEachTime) {
  const std::string path = Concat(testing::TempDir(), "/password");
  std::ofstream(path) << "one\n";
  HttpClientConfig config;
  config.basic_auth = BasicAuth{.username = {.value = "user"}, .password = {.file = path}};
  TestHttpServer server(Ok);
  CurlFixture curl;

  ASSERT_TRUE(curl.Fetch(server.Url("/"), config).ok);
  std::ofstream(path) << "two\n";
  ASSERT_TRUE(curl.Fetch(server.Url("/"), config).ok);
  unlink(path.c_str());
  const KeptOutcome gone = curl.Fetch(server.Url("/"), config);

  EXPECT_EQ(server.requests().at(0).Header("authorization"), "Basic dXNlcjpvbmU=");
  EXPECT_EQ(server.requests().at(1).Header("authorization"), "Basic dXNlcjp0d28=");
  EXPECT_EQ(gone.reason, FailureReason::kCredentials);
  EXPECT_EQ(gone.status.message(),
            Concat("Get \"", server.Url("/"), "\": unable to read basic auth password: unable to ",
                   "read file ", path, ": open ", path, ": no such file or directory"));
}

TEST(CurlFetcherTest, ASecretCannotWriteHeadersOfItsOwn) {
  TestHttpServer server(Ok);
  CurlFixture curl;

  const KeptOutcome outcome = curl.Fetch(server.Url("/"), WithBearer("a\r\nX-Evil: 1"));

  EXPECT_EQ(outcome.reason, FailureReason::kCredentials);
  EXPECT_THAT(std::string(outcome.status.message()), testing::Not(HasSubstr("Evil")));
}

TEST(CurlFetcherTest, CredentialsInTheUrlAreSentAndNotShown) {
  TestHttpServer server(Always({"", Then::kClose}));
  CurlFixture curl;

  const KeptOutcome outcome = curl.Fetch(server.Url("/", "user:hidden@127.0.0.1"));

  EXPECT_EQ(server.requests().at(0).Header("authorization"), "Basic dXNlcjpoaWRkZW4=");
  EXPECT_THAT(std::string(outcome.status.message()), testing::Not(HasSubstr("hidden")));
}

// Descriptors.

TEST(CurlFetcherTest, AFetchWaitsForADescriptorAndThenGoesOn) {
  TestHttpServer server(Ok);
  CurlFixture curl({}, 1);
  ASSERT_TRUE(curl.budget().TryAcquire());
  std::optional<KeptOutcome> kept;
  curl.fetcher().Fetch(curl.Request(server.Url("/")),
                       [&](const FetchOutcome& outcome) { kept.emplace(outcome); });
  curl.RunUntil([&] { return curl.budget().UnderPressure(); });
  EXPECT_EQ(curl.fetcher().stats().waiting_for_descriptor, 1u);

  curl.budget().Release();
  curl.RunUntil([&] { return kept.has_value(); });

  EXPECT_TRUE(kept->ok) << kept->status;
  EXPECT_EQ(curl.fetcher().totals().descriptor_waits, 1u);
}

TEST(CurlFetcherTest, CountsTheConnectionsThatItOpens) {
  TestHttpServer server(Ok);
  CurlFixture curl;

  for (const char* host : {"127.0.0.1", "127.0.0.1", "127.0.0.2"}) {
    ASSERT_TRUE(curl.Fetch(server.Url("/", host)).ok);
  }

  EXPECT_EQ(curl.fetcher().totals().connections_opened, 2u);
  EXPECT_EQ(curl.fetcher().totals().descriptor_waits, 0u);
}

TEST(CurlFetcherTest, WithoutDescriptorsForAnotherCellTheOnesThereTakeMore) {
  TestHttpServer server(Ok);
  CurlFixture curl({.max_cell_endpoints = 2}, 1000, 1 << 30, 4);  // two cells

  for (int i = 1; i <= 9; ++i) {
    ASSERT_TRUE(curl.Fetch(server.Url("/", absl::StrCat("127.0.0.", i))).ok);
  }

  EXPECT_EQ(curl.fetcher().stats().cells, 2u);
  EXPECT_EQ(curl.fetcher().stats().endpoints, 9u);
}

TEST(CurlFetcherTest, WithoutADescriptorTheTimeoutSaysSo) {
  TestHttpServer server(Ok);
  CurlFixture curl({}, 0);
  FetchRequest request = curl.Request(server.Url("/"));
  request.timeout = absl::Milliseconds(50);

  const KeptOutcome outcome = curl.Fetch(request);

  EXPECT_EQ(outcome.reason, FailureReason::kDescriptors);
  EXPECT_EQ(outcome.status.code(), absl::StatusCode::kResourceExhausted);
}

TEST(CurlFetcherTest, ManyHostsGetThroughWithFewDescriptors) {
  TestHttpServer server(Ok);
  CurlFixture curl({.max_cell_endpoints = 8}, 3);
  size_t good = 0;
  for (int round = 0; round < 2; ++round) {
    size_t done = 0;
    for (int i = 1; i <= 40; ++i) {
      curl.fetcher().Fetch(curl.Request(server.Url("/", absl::StrCat("127.0.0.", i))),
                           [&](const FetchOutcome& outcome) {
                             good += outcome.ok() ? 1 : 0;
                             ++done;
                           });
    }
    curl.RunUntil([&] { return done == 40; });
  }

  EXPECT_EQ(good, 80u);
  EXPECT_LE(curl.budget().used(), 3);
}

TEST(CurlFetcherTest, GivesBackItsDescriptorsWhenItEnds) {
  TestHttpServer server(Ok);
  CurlFixture curl;
  ASSERT_TRUE(curl.Fetch(server.Url("/")).ok);
  bool called = false;
  curl.fetcher().Fetch(curl.Request(server.Url("/", "127.0.0.9")),
                       [&](const FetchOutcome&) { called = true; });

  curl.DestroyFetcher();

  EXPECT_EQ(curl.budget().used(), 0);
  EXPECT_FALSE(called);
}

// Sends half of a body and then nothing.
TestReply HalfABody() {
  return {"HTTP/1.1 200 OK\r\nContent-Length: 600000\r\n\r\n" + std::string(300'000, 'x'),
          Then::kHang};
}

TEST(CurlFetcherTest, BodiesBeyondTheBudgetWaitAndAllArrive) {
  TestHttpServer hanging(Always(HalfABody()));
  const std::string page(300'000, 'y');
  TestHttpServer server(Always(TestReply::Text(page)));
  CurlFixture curl({}, /*descriptors=*/1000, /*body_bytes=*/1000);
  const Fetcher::FetchId first =
      curl.fetcher().Fetch(curl.Request(hanging.Url("/")), [](const FetchOutcome&) {});
  curl.RunUntil([&] { return curl.bodies().used_bytes() > 250'000; });
  constexpr size_t kFetches = 20;
  size_t done = 0;
  uint64_t most = 0;
  for (size_t i = 0; i < kFetches; ++i) {
    curl.fetcher().Fetch(curl.Request(server.Url("/")), [&](const FetchOutcome& outcome) {
      EXPECT_TRUE(outcome.ok()) << outcome.error.status;
      EXPECT_EQ(outcome.response.body, page);
      most = std::max(most, curl.bodies().used_bytes());
      ++done;
    });
  }
  curl.RunUntil([&] { return curl.bodies().waits() == kFetches; });
  EXPECT_EQ(done, 0u);

  curl.fetcher().Cancel(first);
  curl.RunUntil([&] { return done == kFetches; });

  // One body at a time, whose buffer has grown to less than twice its size.
  EXPECT_LE(most, 1000 + 2 * page.size());
  EXPECT_EQ(curl.bodies().used_bytes(), 0u);
}

TEST(CurlFetcherTest, AFetchThatWaitsForMemoryEndsWithItsTimeout) {
  TestHttpServer hanging(Always(HalfABody()));
  TestHttpServer server(Always(TestReply::Text(std::string(300'000, 'y'))));
  CurlFixture curl({}, /*descriptors=*/1000, /*body_bytes=*/1000);
  const Fetcher::FetchId first =
      curl.fetcher().Fetch(curl.Request(hanging.Url("/")), [](const FetchOutcome&) {});
  curl.RunUntil([&] { return curl.bodies().used_bytes() > 250'000; });
  FetchRequest request = curl.Request(server.Url("/"));
  request.timeout = absl::Milliseconds(200);

  EXPECT_THAT(curl.Fetch(request).status,
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("waiting for memory")));

  curl.fetcher().Cancel(first);
  EXPECT_EQ(curl.Fetch(server.Url("/")).body.size(), 300'000u);
}

}  // namespace
}  // namespace trawl

#include "core/fetch/blocking_http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "core/base/concat.h"
#include "core/fetch/curl_http_client.h"
#include "tests/core/fetch/loop_fixture.h"
#include "tests/core/fetch/test_certificates.h"
#include "tests/core/fetch/test_http_server.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::HasSubstr;
using Then = TestReply::Then;

std::unique_ptr<BlockingHttpClient> Make(const HttpClientConfig& config = {}) {
  CurlHttpClientFactory factory;
  auto client = factory.MakeClient(config);
  EXPECT_OK(client);
  return std::make_unique<BlockingHttpClient>(BlockingHttpClient::Options(), *client);
}

BlockingHttpRequest Request(const std::string& url, const std::string& body = "payload") {
  return {.url = url, .headers = {"Content-Type: application/x-protobuf"}, .body = body};
}

TEST(BlockingHttpClientTest, PostsTheBodyOverAKeptConnection) {
  TestHttpServer server([](const TestRequest&) { return TestReply::Status("204 No Content"); });
  const auto client = Make();
  const std::string body(100'000, '\0');

  for (int i = 0; i < 3; ++i) {
    ASSERT_OK_AND_ASSIGN(const auto response, client->Post(Request(server.Url("/write"), body)));
    EXPECT_EQ(response.status_code, 204);
  }

  EXPECT_EQ(server.connections(), 1);
  EXPECT_EQ(server.requests().at(2).body, body);
  EXPECT_EQ(server.requests().at(2).Header("content-type"), "application/x-protobuf");
  EXPECT_EQ(server.requests().at(2).Header("expect"), "");
}

TEST(BlockingHttpClientTest, GivesStatusBodyAndRetryAfterOfARefusal) {
  TestHttpServer server([](const TestRequest&) {
    return TestReply{
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 9\r\n\r\nslow down"};
  });
  const auto client = Make();

  ASSERT_OK_AND_ASSIGN(const auto response, client->Post(Request(server.Url("/"))));

  EXPECT_EQ(response.status_line, "429 Too Many Requests");
  EXPECT_EQ(response.retry_after, "7");
  EXPECT_EQ(response.body, "slow down");
}

TEST(BlockingHttpClientTest, KeepsOnlyTheBeginningOfALongAnswer) {
  TestHttpServer server(
      [](const TestRequest&) { return TestReply::Text(std::string(200'000, 'x')); });
  const auto client = Make();

  ASSERT_OK_AND_ASSIGN(const auto response, client->Post(Request(server.Url("/"))));

  EXPECT_EQ(response.body.size(), 65'536u);
}

TEST(BlockingHttpClientTest, FailuresAreStatuses) {
  const std::string refused = Concat("http://127.0.0.1:", UnusedPort(), "/");
  TestHttpServer hanging([](const TestRequest&) { return TestReply{"", Then::kHang}; });
  const auto client = Make();
  BlockingHttpRequest late = Request(hanging.Url("/"));
  late.timeout = absl::Milliseconds(100);

  EXPECT_THAT(client->Post(Request(refused)),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("connect: connection refused")));
  EXPECT_THAT(client->Post(late),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       Concat("Post \"", hanging.Url("/"), "\": context deadline exceeded")));
  EXPECT_THAT(client->Post(Request("file:///etc/passwd")),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(BlockingHttpClientTest, CancelEndsAPostFromAnotherThreadAndAllLaterOnes) {
  const auto client = Make();
  TestHttpServer server([&](const TestRequest&) {
    client->Cancel();  // on the server's thread, while Post waits for the answer
    return TestReply{"", Then::kHang};
  });

  EXPECT_THAT(client->Post(Request(server.Url("/"))), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(client->Post(Request(server.Url("/"))), StatusIs(absl::StatusCode::kCancelled));
}

TEST(BlockingHttpClientTest, APermanentRedirectGetsTheSameBodyButNoCredentialsElsewhere) {
  TestHttpServer other([](const TestRequest&) { return TestReply::Status("204 No Content"); });
  TestHttpServer server([&](const TestRequest&) {
    return TestReply::Status("308 Permanent Redirect",
                             Concat("Location: ", other.Url("/w", "127.0.0.2"), "\r\n"));
  });
  HttpClientConfig config;
  config.basic_auth = BasicAuth{.username = {.value = "u"}, .password = {.value = "p"}};
  const auto client = Make(config);

  ASSERT_OK_AND_ASSIGN(const auto response, client->Post(Request(server.Url("/"))));

  EXPECT_EQ(response.status_code, 204);
  EXPECT_EQ(server.requests().at(0).Header("authorization"), "Basic dTpw");
  EXPECT_EQ(other.requests().at(0).body, "payload");
  EXPECT_EQ(other.requests().at(0).Header("authorization"), "");
}

TEST(BlockingHttpClientTest, AFoundRedirectIsAnAnswer) {
  TestHttpServer server([](const TestRequest&) {
    return TestReply::Status("302 Found", "Location: /elsewhere\r\n");
  });
  const auto client = Make();

  EXPECT_EQ(client->Post(Request(server.Url("/")))->status_code, 302);
}

TEST(BlockingHttpClientTest, SpeaksTlsAndTakesUpAChangedAuthority) {
  const TestAuthority authority;
  const TestCertificate issued = authority.Issue("IP:127.0.0.1");
  TestHttpServer server([](const TestRequest&) { return TestReply::Status("204 No Content"); },
                        {issued.certificate, issued.key, ""});
  const std::string path = Concat(testing::TempDir(), "/blocking_ca.pem");
  std::ofstream(path) << TestAuthority().certificate();
  HttpClientConfig config;
  config.tls_config.ca.file = path;
  const auto client = Make(config);
  EXPECT_THAT(client->Post(Request(server.Url("/"))),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("unknown authority")));

  std::ofstream(path) << authority.certificate() << "\n";

  EXPECT_OK(client->Post(Request(server.Url("/"))));
}

}  // namespace
}  // namespace trawl

#include "server/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "core/base/file_system.h"
#include "core/base/published.h"
#include "tests/core/fetch/test_certificates.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"
#include "tests/server/loopback_socket.h"
#include "tests/server/service_fixture.h"

namespace trawl {
namespace {

using ::testing::HasSubstr;

class HttpServerTest : public ::testing::Test {
 protected:
  void Start(bool lifecycle = false) {
    options_.address = {"127.0.0.1", 0};
    options_.hostname = "example.org";
    options_.enable_lifecycle = lifecycle;
    auto server = HttpServer::Start(
        options_, {.clock = clock_,
                   .metrics = metrics_,
                   .pools = [this] { return pools_.Get(); },
                   .lanes = [] { return std::vector<std::shared_ptr<const LaneStatus>>(); },
                   .config =
                       [](const status::v1::GetConfigRequest&) {
                         status::v1::GetConfigResponse config;
                         config.set_config("global: <secret>\n");
                         return config;
                       },
                   .ready = [this] { return ready_.load(); },
                   .reload = [this](absl::AnyInvocable<void(absl::Status)> done) { done(reload_); },
                   .quit = [this] { quit_.store(true); },
                   .guard = guard_.get()});
    ASSERT_OK(server);
    server_ = *std::move(server);
    client_ = std::make_unique<httplib::Client>("127.0.0.1", server_->port());
  }

  // Before Start.
  void UseTls() {
    const TestAuthority authority;
    const TestCertificate certificate = authority.Issue("IP:127.0.0.1");
    PosixFileSystem disk;
    ASSERT_OK(WriteFileDurably(disk, prefix_ + "ca", authority.certificate()));
    ASSERT_OK(WriteFileDurably(disk, prefix_ + "cert", certificate.certificate));
    ASSERT_OK(WriteFileDurably(disk, prefix_ + "key", certificate.key));
    files_.Put("/web.yml", absl::StrCat("tls_server_config: {cert_file: ", prefix_,
                                        "cert, key_file: ", prefix_, "key}"));
    guard_ = *WebGuard::Open(files_, "/web.yml");
  }
  std::unique_ptr<httplib::SSLClient> TlsClient() {
    auto client = std::make_unique<httplib::SSLClient>("127.0.0.1", server_->port());
    client->set_ca_cert_path(prefix_ + "ca");
    return client;
  }

  const std::string prefix_ =
      absl::StrCat(::testing::TempDir(), "/http_server_test.",
                   ::testing::UnitTest::GetInstance()->current_test_info()->name(), ".");
  HttpServer::Options options_;
  SystemClock clock_;
  Metrics metrics_;
  Published<PoolsSnapshot> pools_;
  std::atomic<bool> ready_{false};
  std::atomic<bool> quit_{false};
  absl::Status reload_;
  MemFileSystem files_;
  std::unique_ptr<WebGuard> guard_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<httplib::Client> client_;
};

TEST_F(HttpServerTest, TheConfigurationIsShownAsPrometheusShowsIt) {
  Start();

  EXPECT_EQ(client_->Get("/api/v1/status/config")->body,
            R"({"status":"success","data":{"yaml":"global: \u003csecret\u003e\n"}})");
}

TEST_F(HttpServerTest, APageOfAnotherSiteCannotReload) {
  Start(/*lifecycle=*/true);

  const httplib::Headers other = {{"Origin", "http://evil.example"}};
  EXPECT_EQ(client_->Post("/-/reload", other, "", "text/plain")->status, 403);
  EXPECT_EQ(client_->Post("/-/reload")->status, 200);
}

TEST_F(HttpServerTest, HealthyAtOnceAndReadyWhenConfigured) {
  Start();

  EXPECT_EQ(client_->Get("/-/healthy")->status, 200);
  EXPECT_EQ(client_->Get("/-/ready")->status, 503);
  ready_.store(true);
  EXPECT_EQ(client_->Get("/-/ready")->status, 200);
  EXPECT_EQ(client_->Get("/-/ready")->body, "trawl is Ready.\n");
}

TEST_F(HttpServerTest, MetricsCountTheirOwnRequests) {
  Start();
  client_->Get("/metrics");

  const auto second = client_->Get("/metrics");

  EXPECT_EQ(second->get_header_value("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(second->body,
              HasSubstr("prometheus_http_requests_total{code=\"200\",handler=\"/metrics\"} 1"));
}

TEST_F(HttpServerTest, TargetsTakeStateAndPool) {
  auto snapshot = std::make_shared<PoolsSnapshot>();
  snapshot->pools = {MakePool("node", {MakeTarget("node", "localhost:9100")})};
  pools_.Set(snapshot);
  Start();

  const auto found = client_->Get("/api/v1/targets?state=active&scrapePool=node");
  const auto none = client_->Get("/api/v1/targets?scrapePool=other");

  EXPECT_EQ(found->get_header_value("Content-Type"), "application/json");
  EXPECT_THAT(found->body, HasSubstr("\"globalUrl\":\"http://example.org:9100/metrics\""));
  EXPECT_THAT(found->body, HasSubstr("\"droppedTargetCounts\":null"));
  EXPECT_THAT(none->body, HasSubstr("\"activeTargets\":[]"));
}

TEST_F(HttpServerTest, PrometheusApiIsForGetAloneAsThere) {
  pools_.Set(std::make_shared<PoolsSnapshot>());
  Start();

  for (const char* path : {"/api/v1/targets", "/api/v1/scrape_pools", "/api/v1/status/config"}) {
    EXPECT_EQ(client_->Get(path)->status, 200) << path;
    EXPECT_EQ(client_->Head(path)->status, 405) << path;
    EXPECT_EQ(client_->Options(path)->status, 204) << path;
    const auto post = client_->Post(path);
    EXPECT_EQ(post->status, 405) << path;
    EXPECT_EQ(post->get_header_value("Allow"), "GET, OPTIONS");
    EXPECT_EQ(post->body, "Method Not Allowed\n");
  }
}

TEST_F(HttpServerTest, LifecycleIsOffByDefault) {
  Start();

  const auto reload = client_->Post("/-/reload");

  EXPECT_EQ(reload->status, 403);
  EXPECT_EQ(reload->body, "Lifecycle API is not enabled.");
  EXPECT_EQ(client_->Post("/-/quit")->status, 403);
  EXPECT_FALSE(quit_.load());
}

TEST_F(HttpServerTest, ReloadAnswersWhenItIsDone) {
  Start(/*lifecycle=*/true);
  EXPECT_EQ(client_->Post("/-/reload")->status, 200);
  EXPECT_EQ(client_->Get("/-/reload")->status, 405);

  reload_ = absl::FailedPreconditionError("line 3, column 1: bad");
  const auto failed = client_->Post("/-/reload");

  EXPECT_EQ(failed->status, 500);
  EXPECT_EQ(failed->body, "failed to reload config: line 3, column 1: bad\n");
}

TEST_F(HttpServerTest, RangesAreNotServed) {
  Start();
  const auto page = client_->Get("/-/healthy", {{"Range", "bytes=0-0,0-0,0-0,0-0"}});

  EXPECT_EQ(page->status, 200);
  EXPECT_EQ(page->body, "trawl is Healthy.\n");
}

TEST_F(HttpServerTest, UnknownPathsAreNotFound) {
  Start();

  EXPECT_EQ(client_->Get("/nothing/here")->status, 404);
  EXPECT_EQ(client_->Post("/metrics")->status, 404);
}

TEST_F(HttpServerTest, WithUsersEveryPathAsksForAPasswordAndSendsTheHeaders) {
  files_.Put("/web.yml", R"(
basic_auth_users: {ann: '$2b$04$/SII4h49lFPScvo2uMb1gel6rgh37YnlcHbI1.pWPvj.A1my7ixrC'}
http_server_config: {headers: {X-Frame-Options: deny}}
)");
  guard_ = *WebGuard::Open(files_, "/web.yml");
  Start();

  for (const char* path : {"/metrics", "/-/healthy", "/targets", "/nothing/here"}) {
    const auto answer = client_->Get(path);
    EXPECT_EQ(answer->status, 401) << path;
    EXPECT_EQ(answer->get_header_value("WWW-Authenticate"), "Basic");
    EXPECT_EQ(answer->get_header_value("X-Frame-Options"), "deny");
  }
  client_->set_basic_auth("ann", "right");
  EXPECT_EQ(client_->Get("/-/healthy")->status, 200);
}

TEST_F(HttpServerTest, AWrongCertificateIsToldAtTheStart) {
  files_.Put("/web.yml", "tls_server_config: {cert_file: /no/cert, key_file: /no/key}");
  guard_ = *WebGuard::Open(files_, "/web.yml");
  HttpServer::Options options;
  options.address = {"127.0.0.1", 0};

  const auto server = HttpServer::Start(options, {.clock = clock_,
                                                  .metrics = metrics_,
                                                  .pools = {},
                                                  .lanes = {},
                                                  .ready = {},
                                                  .reload = {},
                                                  .quit = {},
                                                  .guard = guard_.get()});

  EXPECT_THAT(server.status().message(), HasSubstr("/no/cert"));
}

TEST_F(HttpServerTest, WithTlsRequestsAreServedAndPlainOnesAreNot) {
  UseTls();
  Start();

  const auto answer = TlsClient()->Get("/-/healthy");
  EXPECT_FALSE(client_->Get("/-/healthy"));

  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "trawl is Healthy.\n");
}

TEST_F(HttpServerTest, ATakenPortIsOneClearLine) {
  Start();
  HttpServer::Options options;
  options.address = {"127.0.0.1", server_->port()};

  const auto second = HttpServer::Start(options, {.clock = clock_,
                                                  .metrics = metrics_,
                                                  .pools = {},
                                                  .lanes = {},
                                                  .ready = {},
                                                  .reload = {},
                                                  .quit = {},
                                                  .guard = nullptr});

  EXPECT_THAT(second, StatusIs(absl::StatusCode::kFailedPrecondition,
                               HasSubstr("bind: address already in use")));
}

void SendHalfARequest(int fd) {
  constexpr std::string_view kHalf = "GET /-/healthy HT";
  EXPECT_EQ(send(fd, kHalf.data(), kHalf.size(), MSG_NOSIGNAL), kHalf.size());
}

TEST_F(HttpServerTest, ClientsThatSayNothingHoldNobodyUp) {
  options_.max_wait = absl::InfiniteDuration();
  options_.max_connections = 600;
  Start();
  std::vector<int> silent;
  for (int i = 0; i < 500; ++i) silent.push_back(ConnectToLoopback(server_->port()));

  for (int i = 0; i < 10; ++i) EXPECT_EQ(client_->Get("/-/healthy")->status, 200);

  for (const int fd : silent) close(fd);
}

TEST_F(HttpServerTest, BeyondTheLimitTheSilentMakeRoomAndAreCounted) {
  options_.max_wait = absl::InfiniteDuration();
  options_.max_connections = 2;
  Start();
  std::vector<int> silent;
  for (int i = 0; i < 5; ++i) silent.push_back(ConnectToLoopback(server_->port()));

  EXPECT_EQ(client_->Get("/-/healthy")->status, 200);

  EXPECT_GE(metrics_.server().http_connections_closed_unheard_total.Value(), 3);
  for (const int fd : silent) close(fd);
}

TEST_F(HttpServerTest, RequestsThatDoNotEndHoldNobodyUp) {
  options_.max_wait = absl::InfiniteDuration();
  options_.threads = 1;
  Start();
  std::vector<int> slow;
  for (int i = 0; i < 100; ++i)
    SendHalfARequest(slow.emplace_back(ConnectToLoopback(server_->port())));

  EXPECT_EQ(client_->Get("/-/healthy")->status, 200);

  for (const int fd : slow) close(fd);
}

TEST_F(HttpServerTest, NorDoHandshakesThatDoNotEnd) {
  options_.max_wait = absl::InfiniteDuration();
  options_.threads = 1;
  UseTls();
  Start();
  // The first bytes of a ClientHello; and what is none is no connection.
  constexpr std::string_view kHalf("\x16\x03\x01\x02\x00\x01\x00", 7);
  std::vector<int> slow;
  for (int i = 0; i < 100; ++i) {
    const int fd = slow.emplace_back(ConnectToLoopback(server_->port()));
    EXPECT_EQ(send(fd, kHalf.data(), kHalf.size(), MSG_NOSIGNAL), ssize_t(kHalf.size()));
  }
  SendHalfARequest(slow.emplace_back(ConnectToLoopback(server_->port())));

  EXPECT_EQ(TlsClient()->Get("/-/healthy")->status, 200);

  for (const int fd : slow) close(fd);
}

TEST_F(HttpServerTest, ARequestThatDoesNotEndIsGivenUp) {
  options_.max_wait = absl::Milliseconds(200);
  Start();
  const int fd = ConnectToLoopback(server_->port());
  SendHalfARequest(fd);

  char byte;
  EXPECT_EQ(recv(fd, &byte, 1, 0), 0);

  EXPECT_EQ(metrics_.server().http_connections_closed_unheard_total.Value(), 1);
  close(fd);
}

TEST_F(HttpServerTest, StopWaitsForNoRequestThatDoesNotEnd) {
  options_.max_wait = absl::InfiniteDuration();
  Start();
  const int fd = ConnectToLoopback(server_->port());
  SendHalfARequest(fd);
  EXPECT_EQ(client_->Get("/-/healthy")->status, 200);

  server_->Stop();

  close(fd);
}

}  // namespace
}  // namespace trawl

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "core/base/concat.h"
#include "tests/core/fetch/loop_fixture.h"
#include "tests/core/fetch/test_certificates.h"
#include "tests/core/fetch/test_http_server.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::HasSubstr;

TestReply Ok(const TestRequest&) { return TestReply::Text("up 1\n"); }

std::string WriteFile(const std::string& name, const std::string& content) {
  const std::string path = Concat(testing::TempDir(), "/", name);
  std::ofstream(path) << content;
  return path;
}

class CurlFetcherTlsTest : public ::testing::Test {
 protected:
  TestHttpServer::Tls ServerTls(const std::string& names, int days = 1) {
    const TestCertificate issued = authority_.Issue(names, days);
    return {issued.certificate, issued.key, ""};
  }

  HttpClientConfig Trusting(const TestAuthority& authority) {
    HttpClientConfig config;
    config.tls_config.ca.value = authority.certificate();
    return config;
  }

  // Why a server with such a certificate is not trusted to be `host`; "" if it is.
  std::string Refusal(const std::string& names, const std::string& host = "node.example",
                      const char* common_name = "trawl test") {
    const TestCertificate issued = authority_.Issue(names, 1, common_name);
    TestHttpServer server(Ok, {issued.certificate, issued.key, ""});
    curl_.resolver().Answer(host, {"127.0.0.1"});
    const KeptOutcome outcome = curl_.Fetch(server.Url("/", host), Trusting(authority_));
    if (outcome.ok) return "";
    EXPECT_EQ(outcome.reason, FailureReason::kTls);
    const std::string message(outcome.status.message());
    const std::string before =
        Concat("Get \"", server.Url("/", host), "\": tls: failed to verify certificate: ");
    EXPECT_TRUE(message.starts_with(before)) << message;
    return message.substr(std::min(before.size(), message.size()));
  }

  TestAuthority authority_;
  CurlFixture curl_;
};

TEST_F(CurlFetcherTlsTest, ATrustedServerIsFetchedOverAKeptConnection) {
  TestHttpServer server(Ok, ServerTls("IP:127.0.0.1"));
  const FetchRequest request = curl_.Request(server.Url("/"), Trusting(authority_));

  for (int i = 0; i < 3; ++i) {
    const KeptOutcome outcome = curl_.Fetch(request);
    ASSERT_TRUE(outcome.ok) << outcome.status;
    EXPECT_EQ(outcome.timings.tls > absl::ZeroDuration(), i == 0);
  }

  EXPECT_EQ(server.connections(), 1);
}

TEST_F(CurlFetcherTlsTest, AnUnknownAuthorityIsNotTrusted) {
  TestHttpServer server(Ok, ServerTls("IP:127.0.0.1"));

  const KeptOutcome outcome = curl_.Fetch(server.Url("/"));

  EXPECT_EQ(outcome.reason, FailureReason::kTls);
  EXPECT_THAT(outcome.status,
              StatusIs(absl::StatusCode::kUnavailable,
                       Concat("Get \"", server.Url("/"),
                              "\": tls: failed to verify certificate: x509: certificate signed by "
                              "unknown authority")));
}

TEST_F(CurlFetcherTlsTest, AnotherNameIsNotTrustedAndToldAsGoTellsIt) {
  EXPECT_EQ(Refusal("DNS:a.example,DNS:b.example"),
            "x509: certificate is valid for a.example, b.example, not node.example");
  EXPECT_EQ(Refusal("IP:127.0.0.1"),
            "x509: certificate is not valid for any names, but wanted to match node.example");
  EXPECT_EQ(
      Refusal("DNS:node.example", "127.0.0.1"),
      "x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs");
  EXPECT_EQ(Refusal("IP:127.0.0.2,IP:::1", "127.0.0.1"),
            "x509: certificate is valid for 127.0.0.2, ::1, not 127.0.0.1");
}

TEST_F(CurlFetcherTlsTest, ACommonNameIsNoName) {
  const std::string legacy =
      "x509: certificate relies on legacy Common Name field, use SANs instead";
  EXPECT_EQ(Refusal("", "node.example", "node.example"), legacy);
  EXPECT_EQ(Refusal("", "127.0.0.1", "127.0.0.1"), legacy);
  EXPECT_EQ(Refusal("IP:127.0.0.1", "node.example", "node.example"),
            "x509: certificate is not valid for any names, but wanted to match node.example");
}

TEST_F(CurlFetcherTlsTest, NamesAreComparedAsGoComparesThem) {
  EXPECT_EQ(Refusal("DNS:NODE.example"), "");
  EXPECT_EQ(Refusal("DNS:*.node.example", "a.node.example"), "");
  EXPECT_EQ(Refusal("DNS:node.example", "node.example."), "");
  EXPECT_EQ(Refusal("DNS:node.example."),
            "x509: certificate is valid for node.example., not node.example");
  EXPECT_EQ(Refusal("DNS:n*.node.example", "n1.node.example"),
            "x509: certificate is valid for n*.node.example, not n1.node.example");
}

TEST_F(CurlFetcherTlsTest, AStrangersNamesAreToldWithoutItsBytesAndAtSomeLength) {
  EXPECT_EQ(Refusal("DNS:\xff\x1b"), "x509: certificate is valid for \\xff\\x1b, not node.example");
  std::string names = "DNS:a";
  for (int i = 1; i < 100; ++i) names += ",DNS:a";
  EXPECT_EQ(Refusal(names),
            "x509: certificate is valid for 100 names, but none matched node.example");
  EXPECT_EQ(Refusal("DNS:" + std::string(5000, 'a')),
            "x509: certificate is valid for 1 names, but none matched node.example");
}

TEST_F(CurlFetcherTlsTest, ARedirectsHostIsTheOneThatIsVerified) {
  TestHttpServer other(Ok, ServerTls("IP:127.0.0.2"));
  TestHttpServer server(
      [&](const TestRequest& request) {
        const std::string to = other.Url("/", request.path == "/good" ? "127.0.0.2" : "127.0.0.1");
        return TestReply::Status("302 Found", Concat("Location: ", to, "\r\n"));
      },
      ServerTls("IP:127.0.0.1"));

  EXPECT_TRUE(curl_.Fetch(server.Url("/good"), Trusting(authority_)).ok);
  EXPECT_THAT(std::string(curl_.Fetch(server.Url("/bad"), Trusting(authority_)).status.message()),
              HasSubstr("x509: certificate is valid for 127.0.0.2, not 127.0.0.1"));
}

TEST_F(CurlFetcherTlsTest, AnExpiredCertificateIsNotTrusted) {
  TestHttpServer server(Ok, ServerTls("IP:127.0.0.1", -1));

  const KeptOutcome outcome = curl_.Fetch(server.Url("/"), Trusting(authority_));

  EXPECT_THAT(std::string(outcome.status.message()),
              HasSubstr("x509: certificate has expired or is not yet valid"));
}

TEST_F(CurlFetcherTlsTest, InsecureSkipVerifyTrustsAnybody) {
  TestHttpServer server(Ok, ServerTls("DNS:other.example", -1));
  HttpClientConfig config;
  config.tls_config.insecure_skip_verify = true;

  EXPECT_TRUE(curl_.Fetch(server.Url("/"), config).ok);
}

TEST_F(CurlFetcherTlsTest, OneClientsTrustDoesNotOpenAKeptConnectionToAnother) {
  TestHttpServer server(Ok, ServerTls("DNS:other.example"));
  HttpClientConfig config;
  config.tls_config.insecure_skip_verify = true;
  ASSERT_TRUE(curl_.Fetch(server.Url("/"), config).ok);

  EXPECT_FALSE(curl_.Fetch(server.Url("/"), Trusting(authority_)).ok);
}

TEST_F(CurlFetcherTlsTest, TheServerNameIsAskedForAndVerified) {
  TestHttpServer server(Ok, ServerTls("DNS:node.example"));
  HttpClientConfig config = Trusting(authority_);
  config.tls_config.server_name = "node.example";

  const KeptOutcome outcome = curl_.Fetch(server.Url("/"), config);

  ASSERT_TRUE(outcome.ok) << outcome.status;
  EXPECT_EQ(server.last_server_name(), "node.example");
  EXPECT_EQ(server.requests().at(0).Header("host"), Concat("127.0.0.1:", server.port()));
}

TEST_F(CurlFetcherTlsTest, WithoutAServerNameTheUrlsNameIsAskedFor) {
  TestHttpServer server(Ok, ServerTls("DNS:alias.example"));
  curl_.resolver().Answer("alias.example", {"127.0.0.1"});

  EXPECT_TRUE(curl_.Fetch(server.Url("/", "alias.example"), Trusting(authority_)).ok);
  EXPECT_EQ(server.last_server_name(), "alias.example");
}

TEST_F(CurlFetcherTlsTest, TheServerNameReplacesTheUrlsName) {
  TestHttpServer server(Ok, ServerTls("DNS:node.example"));
  curl_.resolver().Answer("alias.example", {"127.0.0.1"});
  HttpClientConfig config = Trusting(authority_);
  config.tls_config.server_name = "node.example";

  EXPECT_TRUE(curl_.Fetch(server.Url("/", "alias.example"), config).ok);
  EXPECT_EQ(server.last_server_name(), "node.example");
}

TEST_F(CurlFetcherTlsTest, ABadServerNameIsNotTrusted) {
  TestHttpServer server(Ok, ServerTls("IP:127.0.0.1"));
  HttpClientConfig config = Trusting(authority_);
  config.tls_config.server_name = "badname";

  const KeptOutcome outcome = curl_.Fetch(server.Url("/"), config);

  EXPECT_EQ(outcome.reason, FailureReason::kTls);
  EXPECT_THAT(
      std::string(outcome.status.message()),
      HasSubstr("x509: certificate is not valid for any names, but wanted to match badname"));
}

TEST_F(CurlFetcherTlsTest, AClientCertificateIsShown) {
  TestHttpServer::Tls tls = ServerTls("IP:127.0.0.1");
  tls.client_ca_pem = authority_.certificate();
  TestHttpServer server(Ok, tls);
  const TestCertificate identity = authority_.Issue("DNS:client.example");
  HttpClientConfig config = Trusting(authority_);
  config.tls_config.cert.value = identity.certificate;
  config.tls_config.key.file = WriteFile("client.key", identity.key);

  EXPECT_TRUE(curl_.Fetch(server.Url("/"), config).ok);

  // In TLS 1.3 the refusal comes after the handshake and races with our request: any failure.
  HttpClientConfig nobody = Trusting(authority_);
  EXPECT_FALSE(curl_.Fetch(server.Url("/"), nobody).ok);
  nobody.tls_config.max_version = TlsVersion::kTls12;
  EXPECT_EQ(curl_.Fetch(server.Url("/"), nobody).reason, FailureReason::kTls);
}

TEST_F(CurlFetcherTlsTest, AVersionTheServerRefusesIsATlsFailure) {
  TestHttpServer server(Ok, ServerTls("IP:127.0.0.1"));
  HttpClientConfig config = Trusting(authority_);
  config.tls_config.min_version = TlsVersion::kTls10;
  config.tls_config.max_version = TlsVersion::kTls10;  // the distribution's servers refuse it

  EXPECT_EQ(curl_.Fetch(server.Url("/"), config).reason, FailureReason::kTls);
}

TEST_F(CurlFetcherTlsTest, AChangedAuthorityFileCountsFromTheNextFetchOn) {
  TestHttpServer server(Ok, ServerTls("IP:127.0.0.1"));
  const TestAuthority stranger;
  HttpClientConfig config;
  config.tls_config.ca.file = WriteFile("ca.pem", stranger.certificate());
  FetchRequest request = curl_.Request(server.Url("/"), config);
  EXPECT_FALSE(curl_.Fetch(request).ok);

  WriteFile("ca.pem", Concat(stranger.certificate(), authority_.certificate()));
  EXPECT_TRUE(curl_.Fetch(request).ok);

  WriteFile("ca.pem", stranger.certificate());
  EXPECT_FALSE(curl_.Fetch(request).ok) << "the kept connection was made with the old trust";

  WriteFile("ca.pem", "broken");
  EXPECT_THAT(
      std::string(curl_.Fetch(request).status.message()),
      HasSubstr(Concat("unable to use specified CA cert file ", config.tls_config.ca.file)));
}

TEST_F(CurlFetcherTlsTest, HandshakesBeyondTheCapWaitTheirTurn) {
  TestHttpServer server(Ok, ServerTls("IP:127.0.0.1"));
  CurlFixture curl({.max_tls_handshakes = 1});
  HttpClientConfig config;
  config.tls_config.insecure_skip_verify = true;
  size_t done = 0;
  for (int i = 1; i <= 10; ++i) {
    curl.fetcher().Fetch(curl.Request(server.Url("/", Concat("127.0.0.", i)), config),
                         [&](const FetchOutcome& outcome) {
                           EXPECT_TRUE(outcome.ok()) << outcome.error.status;
                           ++done;
                         });
  }
  EXPECT_EQ(curl.fetcher().stats().waiting_for_handshake, 9u);

  curl.RunUntil([&] { return done == 10; });
}

TEST(CurlHttpClientFactoryTest, BadFilesAreToldAsPrometheusTellsThem) {
  CurlHttpClientFactory factory;
  HttpClientConfig config;
  config.tls_config.ca.file = "/nowhere/ca.pem";
  EXPECT_EQ(factory.MakeClient(config).status().message(),
            "unable to read CA cert: unable to read file /nowhere/ca.pem: open /nowhere/ca.pem: no "
            "such file or directory");

  config.tls_config.ca = {.value = "no certificate"};
  EXPECT_EQ(factory.MakeClient(config).status().message(),
            "unable to use specified CA cert inline");

  const TestAuthority authority;
  config.tls_config.ca = {};
  config.tls_config.cert.value = authority.Issue("DNS:a").certificate;
  config.tls_config.key.value = authority.Issue("DNS:b").key;
  EXPECT_EQ(factory.MakeClient(config).status().message(),
            "unable to use specified client cert (inline) & key (inline): private key does not "
            "match public key");
}

}  // namespace
}  // namespace trawl

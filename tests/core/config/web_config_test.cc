#include "core/config/web_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr const char* kHash = "$2b$04$/SII4h49lFPScvo2uMb1gel6rgh37YnlcHbI1.pWPvj.A1my7ixrC";

std::string ErrorOf(std::string_view text) {
  return std::string(LoadWebConfig(text, "web.yml", "").status().message());
}

TEST(WebConfigTest, AnEmptyFileGuardsNothing) {
  const absl::StatusOr<WebConfig> config = LoadWebConfig("", "web.yml", "");

  ASSERT_OK(config);
  EXPECT_FALSE(config->tls);
  EXPECT_THAT(config->users, IsEmpty());
}

TEST(WebConfigTest, ReadsWhatPrometheusReadsAndResolvesPaths) {
  MemFileSystem files;
  files.Put("/etc/t/web.yml", absl::StrCat(R"(
tls_server_config:
  cert_file: tls.crt
  key_file: /keys/tls.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [a.example]
  min_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
  curve_preferences: [CurveP256, X25519]
http_server_config:
  headers:
    X-Frame-Options: deny
basic_auth_users:
  ann: )",
                                           kHash, "\n"));
  const absl::StatusOr<WebConfig> config = LoadWebConfigFile(files, "/etc/t/web.yml");

  ASSERT_OK(config);
  ASSERT_TRUE(config->tls);
  EXPECT_EQ(config->tls->cert_file, "/etc/t/tls.crt");
  EXPECT_EQ(config->tls->key_file, "/keys/tls.key");
  EXPECT_EQ(config->tls->client_ca_file, "/etc/t/ca.crt");
  EXPECT_EQ(config->tls->client_auth, ClientAuth::kRequireVerified);
  EXPECT_THAT(config->tls->client_allowed_sans, ElementsAre("a.example"));
  EXPECT_EQ(config->tls->min_version, TlsVersion::kTls13);
  EXPECT_EQ(config->tls->max_version, TlsVersion::kTls13);
  EXPECT_THAT(config->tls->curves, ElementsAre("CurveP256", "X25519"));
  EXPECT_THAT(config->headers, ElementsAre(Pair("X-Frame-Options", "deny")));
  EXPECT_THAT(config->users, ElementsAre(Pair("ann", kHash)));
}

TEST(WebConfigTest, EveryProblemIsToldWithItsPlace) {
  const std::string error = ErrorOf(R"(tls_server_config:
  client_auth_type: Sometimes
  client_ca_file: ca
  min_version: SSL3
basic_auth_users: {ann: plain}
rate_limit: {interval: 1s}
extra: 1
)");

  EXPECT_THAT(error, HasSubstr("web.yml: line 2, column 3: missing cert_file"));
  EXPECT_THAT(error, HasSubstr("missing key_file"));
  EXPECT_THAT(error, HasSubstr("line 2, column 3: Invalid ClientAuth: Sometimes"));
  EXPECT_THAT(error, HasSubstr("unknown TLS version: SSL3"));
  EXPECT_THAT(error, HasSubstr("the password of user ann is not a bcrypt hash"));
  EXPECT_THAT(error, HasSubstr("rate_limit"));
  EXPECT_THAT(error, HasSubstr("extra"));
}

TEST(WebConfigTest, PoliciesThatContradictEachOtherAreErrors) {
  const std::string base = "tls_server_config: {cert_file: c, key_file: k, ";

  EXPECT_THAT(ErrorOf(base + "client_ca_file: a}"), HasSubstr("without a Client Auth Policy"));
  EXPECT_THAT(ErrorOf(base + "client_auth_type: VerifyClientCertIfGiven}"),
              HasSubstr("there is no client_ca_file"));
  EXPECT_THAT(ErrorOf(base + "client_auth_type: RequireAnyClientCert, client_allowed_sans: [a]}"),
              HasSubstr("client_allowed_sans needs"));
  EXPECT_THAT(ErrorOf(base + "min_version: TLS13, max_version: TLS12}"),
              HasSubstr("min_version is above max_version"));
}

TEST(WebConfigTest, AHeaderKeepsToItsValuesAndToOneLine) {
  EXPECT_THAT(ErrorOf("http_server_config: {headers: {X-Frame-Options: allow}}"),
              HasSubstr("invalid value for X-Frame-Options"));
  EXPECT_THAT(
      ErrorOf("http_server_config: {headers: {X-XSS-Protection: \"a\\r\\nSet-Cookie: b\"}}"),
      HasSubstr("invalid value for X-XSS-Protection"));
}

}  // namespace
}  // namespace trawl

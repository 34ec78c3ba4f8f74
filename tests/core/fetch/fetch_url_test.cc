#include "core/fetch/fetch_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::HasSubstr;

TEST(FetchUrlTest, TakesSchemeHostAndPortApart) {
  ASSERT_OK_AND_ASSIGN(const FetchUrl url,
                       ParseFetchUrl("http://Node-1.example:9100/metrics?a=b#c"));

  EXPECT_EQ(url.scheme, "http");
  EXPECT_EQ(url.host, "node-1.example");
  EXPECT_EQ(url.port, 9100);
  EXPECT_FALSE(url.literal);
  EXPECT_EQ(url.text, "http://Node-1.example:9100/metrics?a=b");
}

TEST(FetchUrlTest, DefaultPortsAreThoseOfTheScheme) {
  EXPECT_EQ(ParseFetchUrl("http://a/")->port, 80);
  EXPECT_EQ(ParseFetchUrl("https://a/")->port, 443);
}

TEST(FetchUrlTest, AddressesAreLiterals) {
  EXPECT_TRUE(ParseFetchUrl("http://127.0.0.1:9100/")->literal);
  ASSERT_OK_AND_ASSIGN(const FetchUrl v6, ParseFetchUrl("http://[::1]:9100/"));
  EXPECT_TRUE(v6.literal);
  EXPECT_EQ(v6.host, "::1");
  EXPECT_EQ(ParseFetchUrl("http://[fe80::1%25lo]:9100/")->text, "http://[fe80::1%25lo]:9100/");
}

TEST(FetchUrlTest, NamesOfOtherAlphabetsAreAskedForAsDnsHasThem) {
  ASSERT_OK_AND_ASSIGN(const FetchUrl url, ParseFetchUrl("http://Bücher.test:7000/metrics"));

  EXPECT_EQ(url.host, "xn--bcher-kva.test");
  EXPECT_EQ(url.text, "http://xn--bcher-kva.test:7000/metrics");
}

TEST(FetchUrlTest, ANameThatDnsCannotHaveIsToldAsOne) {
  EXPECT_THAT(ParseFetchUrl("http://\u2024.test/"),
              StatusIs(absl::StatusCode::kInvalidArgument, "invalid url: no valid host name"));
}

TEST(FetchUrlTest, APortWithoutAHostIsLocalhosts) {
  ASSERT_OK_AND_ASSIGN(const FetchUrl url, ParseFetchUrl("http://:7000/metrics"));

  EXPECT_EQ(url.Endpoint(), "http://localhost:7000");
  EXPECT_EQ(url.text, "http://localhost:7000/metrics");
}

TEST(FetchUrlTest, DotSegmentsStayAndThoseOfRedirectsAreResolved) {
  ASSERT_OK_AND_ASSIGN(const FetchUrl from, ParseFetchUrl("http://a/b/../metrics/./x"));

  EXPECT_EQ(from.text, "http://a/b/../metrics/./x");
  EXPECT_EQ(ResolveRedirect(from, "/b/../c")->text, "http://a/c");
  EXPECT_EQ(ResolveRedirect(from, "../d")->text, "http://a/d");
}

TEST(FetchUrlTest, OtherSchemesAreRefused) {
  for (const char* text : {"file:///etc/passwd", "ftp://a/b", "gopher://a/"}) {
    EXPECT_THAT(ParseFetchUrl(text), StatusIs(absl::StatusCode::kInvalidArgument,
                                              HasSubstr("unsupported protocol scheme")))
        << text;
  }
}

TEST(FetchUrlTest, NonsenseIsRefused) {
  for (const char* text : {"", "metrics", "http://", "http://a:port/", "http://a b/", "://x"}) {
    EXPECT_THAT(ParseFetchUrl(text), StatusIs(absl::StatusCode::kInvalidArgument)) << text;
  }
}

TEST(FetchUrlTest, RedirectsResolveAgainstWhereTheyCameFrom) {
  ASSERT_OK_AND_ASSIGN(const FetchUrl from, ParseFetchUrl("http://a:9100/x/metrics"));

  EXPECT_EQ(ResolveRedirect(from, "/new")->text, "http://a:9100/new");
  EXPECT_EQ(ResolveRedirect(from, "other")->text, "http://a:9100/x/other");
  EXPECT_EQ(ResolveRedirect(from, "https://b/m")->text, "https://b/m");
  EXPECT_THAT(ResolveRedirect(from, "file:///etc/passwd"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(FetchUrlTest, CredentialsStayWithTheHostAndNeverGoDownToHttp) {
  const FetchUrl http_a = *ParseFetchUrl("http://a/");
  const FetchUrl https_a = *ParseFetchUrl("https://A:444/");
  const FetchUrl https_b = *ParseFetchUrl("https://b/");

  EXPECT_TRUE(MayForwardCredentials(http_a, https_a));
  EXPECT_FALSE(MayForwardCredentials(https_a, http_a));
  EXPECT_FALSE(MayForwardCredentials(http_a, https_b));
}

TEST(FetchUrlTest, PasswordsAreRedacted) {
  EXPECT_EQ(RedactUrl("http://user:secret@a:1/b"), "http://user:***@a:1/b");
  EXPECT_EQ(RedactUrl("http://user@a:1/b"), "http://user@a:1/b");
  EXPECT_EQ(RedactUrl("http://a:1/b?x=c:d@e"), "http://a:1/b?x=c:d@e");
}

}  // namespace
}  // namespace trawl

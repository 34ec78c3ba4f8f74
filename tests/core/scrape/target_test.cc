#include "core/scrape/target.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/base/hash.h"

namespace trawl {
namespace {

Labels At(std::string_view address, std::string_view path = "/metrics",
          std::string_view scheme = "http") {
  return Labels({{"__address__", address}, {"__metrics_path__", path}, {"__scheme__", scheme}});
}

TEST(TargetUrlTest, JoinsSchemeAddressAndPath) {
  EXPECT_EQ(TargetUrl(At("example.com:9100"), {}), "http://example.com:9100/metrics");
  EXPECT_EQ(TargetUrl(At("[::1]:80", "/x", "https"), {}), "https://[::1]:80/x");
}

// Prometheus' TestTargetURL.
TEST(TargetUrlTest, LabelsReplaceTheFirstValueOfAParameter) {
  const Labels labels({{"__address__", "example.com:1234"},
                       {"__scheme__", "https"},
                       {"__metrics_path__", "/metricz"},
                       {"__param_abc", "overwrite"},
                       {"__param_cde", "huu"}});
  const QueryParams params = {{"abc", {"foo", "bar", "baz"}}, {"xyz", {"hoo"}}};

  EXPECT_EQ(TargetUrl(labels, params),
            "https://example.com:1234/metricz?abc=overwrite&abc=bar&abc=baz&cde=huu&xyz=hoo");
}

TEST(TargetUrlTest, EncodesQueriesAsGoDoes) {
  EXPECT_EQ(TargetUrl(At("h"), {{"match[]", {"{job=\"a b\"}", "~x*"}}}),
            "http://h/metrics?match%5B%5D=%7Bjob%3D%22a+b%22%7D&match%5B%5D=~x%2A");
}

TEST(TargetUrlTest, EscapesThePathButDoesNotParseIt) {
  EXPECT_EQ(TargetUrl(At("h", "/a b?c=d&e;f"), {}), "http://h/a%20b%3Fc=d&e;f");
  EXPECT_EQ(TargetUrl(At("h", "/100%/\xc3\xa9"), {}), "http://h/100%25/%C3%A9");
  EXPECT_EQ(TargetUrl(At("h", "metrics"), {}), "http://h/metrics");
}

TEST(TargetUrlTest, EmptyPathStaysEmpty) {
  EXPECT_EQ(TargetUrl(Labels({{"__address__", "h:1"}, {"__scheme__", "http"}}), {}), "http://h:1");
}

TEST(TargetHashTest, IsFnvOverLabelsHashAndUrl) {
  const Labels labels = At("h:1");
  const std::string url = TargetUrl(labels, {});

  EXPECT_EQ(TargetHash(labels, url), Fnv1a64(absl::StrCat(labels.Hash(), url)));
}

TEST(TargetHashTest, DiffersWithEveryLabel) {
  const Labels labels = At("h:1");
  LabelsBuilder other(labels);
  other.Set("__internal", "x");

  const std::string url = TargetUrl(labels, {});
  EXPECT_NE(TargetHash(labels, url), TargetHash(std::move(other).Build(), url));
}

TEST(ShardOfTest, UsesAllShards) {
  std::set<uint32_t> shards;
  for (int i = 0; i < 100; ++i) {
    Target target;
    target.public_hash = Labels({{"instance", absl::StrCat("host-", i)}}).Hash();
    shards.insert(ShardOf(target, 4));
  }
  EXPECT_EQ(shards, (std::set<uint32_t>{0, 1, 2, 3}));
}

}  // namespace
}  // namespace trawl

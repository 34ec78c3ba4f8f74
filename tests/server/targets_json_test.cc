#include "server/targets_json.h"

#include <gtest/gtest.h>

#include "tests/server/service_fixture.h"

namespace trawl {
namespace {

const ExternalAddress kExternal{.scheme = "http", .host = "example.org:8730", .own_port = "8730"};

PoolsSnapshot OnePool() {
  ScrapeReport report;
  report.health = TargetHealth::kDown;
  report.last.error = "Get \"http://x\": connection refused & <more>";
  report.last.start = absl::FromUnixNanos(1'700'000'000'123'456'789);
  report.last.duration = absl::Microseconds(1500);
  const auto target = WithLabels(MakeTarget("node <1>", "a.example:9100"),
                                 {{"instance", "a.example:9100"}, {"path", "<\\\"\n>"}});
  const auto pool = WithDropped(MakePool("node <1>", {WithReport(target, report)}), "ops", {"d:1"});
  pool->dropped_count = 7;
  PoolsSnapshot pools;
  pools.pools = {MakePool("api", {}), pool};
  return pools;
}

std::string DiscoveredJson(const std::string& address) {
  return "{\"__address__\":\"" + address +
         "\",\"__always_scrape_classic_histograms__\":\"false\","
         "\"__convert_classic_histograms_to_nhcb__\":\"false\","
         "\"__metrics_path__\":\"/metrics\",\"__scheme__\":\"http\","
         "\"__scrape_interval__\":\"15s\",\"__scrape_native_histograms__\":\"false\","
         "\"__scrape_timeout__\":\"10s\",\"job\":\"node <1>\"}";
}

TEST(TargetsJsonTest, IsWrittenAsPrometheusWritesIt) {
  EXPECT_EQ(
      TargetsJson(OnePool(), "", "", kExternal),
      "{\"status\":\"success\",\"data\":{\"activeTargets\":[{\"discoveredLabels\":" +
          DiscoveredJson("a.example:9100") +
          ",\"labels\":{\"instance\":"
          "\"a.example:9100\",\"path\":\"<\\\\\\\"\\n>\"},\"scrapePool\":\"node \\u003c1\\u003e\","
          "\"scrapeUrl\":\"http://a.example:9100/metrics\",\"globalUrl\":"
          "\"http://a.example:9100/metrics\",\"lastError\":\"Get \\\"http://x\\\": connection "
          "refused "
          "\\u0026 \\u003cmore\\u003e\",\"lastScrape\":\"2023-11-14T22:13:20.123456789Z\","
          "\"lastScrapeDuration\":0.0015,\"health\":\"down\",\"scrapeInterval\":\"15s\","
          "\"scrapeTimeout\":\"10s\"}],\"droppedTargets\":[{\"discoveredLabels\":" +
          DiscoveredJson("d:1") +
          ",\"scrapePool\":\"node \\u003c1\\u003e\"}],\"droppedTargetCounts\":{\"api\":0,"
          "\"node \\u003c1\\u003e\":7}}}");
}

TEST(TargetsJsonTest, StateChoosesTheListsInAnyCase) {
  EXPECT_EQ(TargetsJson(OnePool(), "Dropped", "api", kExternal),
            "{\"status\":\"success\",\"data\":{\"activeTargets\":[],\"droppedTargets\":[],"
            "\"droppedTargetCounts\":{\"api\":0,\"node \\u003c1\\u003e\":7}}}");
  EXPECT_EQ(TargetsJson(OnePool(), "ACTIVE", "api", kExternal),
            "{\"status\":\"success\",\"data\":{\"activeTargets\":[],\"droppedTargets\":[],"
            "\"droppedTargetCounts\":null}}");
  EXPECT_EQ(TargetsJson(OnePool(), "else", "", kExternal),
            "{\"status\":\"success\",\"data\":{\"activeTargets\":[],\"droppedTargets\":[],"
            "\"droppedTargetCounts\":null}}");
}

TEST(TargetsJsonTest, ATargetThatWasNeverScrapedHasGosZeroTime) {
  PoolsSnapshot pools;
  pools.pools = {MakePool("node", {MakeTarget("node", "a:1")})};

  const std::string json = TargetsJson(pools, "active", "", kExternal);

  EXPECT_NE(json.find("\"lastError\":\"\",\"lastScrape\":\"0001-01-01T00:00:00Z\","
                      "\"lastScrapeDuration\":0,\"health\":\"unknown\""),
            std::string::npos)
      << json;
}

TEST(TargetsJsonTest, PoolNamesAreListed) {
  EXPECT_EQ(ScrapePoolsJson(OnePool()),
            "{\"status\":\"success\",\"data\":{\"scrapePools\":[\"api\",\"node "
            "\\u003c1\\u003e\"]}}");
}

// As Prometheus' TestGetGlobalURL.
TEST(GlobalUrlTest, OnlyLocalHostsAreReplaced) {
  const auto global = [](const std::string& url) { return MakeGlobalUrl(url, kExternal); };
  EXPECT_EQ(global("http://127.0.0.1:9090/"), "http://example.org:9090/");
  EXPECT_EQ(global("https://localhost:9090/m?x=1"), "https://example.org:9090/m?x=1");
  EXPECT_EQ(global("http://[::1]:9090/"), "http://example.org:9090/");
  EXPECT_EQ(global("https://127.0.0.1:8730/m"), "http://example.org:8730/m");
  EXPECT_EQ(global("http://192.168.0.1:9090/"), "http://192.168.0.1:9090/");
}

TEST(GlobalUrlTest, AHostWithoutPortIsReplacedAndGetsNone) {
  EXPECT_EQ(MakeGlobalUrl("http://localhost/metrics", kExternal), "http://example.org/metrics");
  EXPECT_EQ(MakeGlobalUrl("http://[::1]/metrics", kExternal), "http://example.org/metrics");
  EXPECT_EQ(MakeGlobalUrl("http://a.example/metrics", kExternal), "http://a.example/metrics");
}

TEST(TargetsJsonTest, ATargetWithoutPortHasTheErrorOfItsScrapeAlone) {
  PoolsSnapshot pools;
  pools.pools = {MakePool(
      "node", {WithReport(MakeTarget("node", "localhost"), {.health = TargetHealth::kUp})})};

  const std::string json = TargetsJson(pools, "active", "", kExternal);

  EXPECT_NE(json.find("\"globalUrl\":\"http://example.org/metrics\",\"lastError\":\"\","),
            std::string::npos)
      << json;
}

}  // namespace
}  // namespace trawl

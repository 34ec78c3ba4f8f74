#include "core/config/config_diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ConfigDiffTest, EqualJobsHaveNoDifferentFields) {
  EXPECT_THAT(DifferentFields(ScrapeConfig(), ScrapeConfig()), IsEmpty());
}

TEST(ConfigDiffTest, EveryFieldIsNamed) {
  struct Case {
    const char* field;
    std::function<void(ScrapeConfig&)> change;
  };
#define TRAWL_CASE(field, value)                          \
  {                                                       \
#field, [](ScrapeConfig & job) { job.field = value; } \
  }
  const std::vector<Case> cases = {
      TRAWL_CASE(job_name, "x"),
      TRAWL_CASE(scrape_interval, absl::Seconds(1)),
      TRAWL_CASE(scrape_timeout, absl::Seconds(1)),
      TRAWL_CASE(metrics_path, "x"),
      TRAWL_CASE(scheme, "x"),
      TRAWL_CASE(params["x"], {}),
      TRAWL_CASE(enable_compression, false),
      TRAWL_CASE(scrape_protocols, {}),
      TRAWL_CASE(fallback_scrape_protocol, ScrapeProtocol::kPrometheusText004),
      TRAWL_CASE(honor_labels, true),
      TRAWL_CASE(honor_timestamps, false),
      TRAWL_CASE(track_timestamps_staleness, true),
      TRAWL_CASE(extra_scrape_metrics, true),
      TRAWL_CASE(always_scrape_classic_histograms, true),
      TRAWL_CASE(metric_name_validation_scheme, NameValidation::kLegacy),
      TRAWL_CASE(metric_name_escaping_scheme, EscapingScheme::kDots),
      TRAWL_CASE(body_size_limit, 1),
      TRAWL_CASE(sample_limit, 1),
      TRAWL_CASE(target_limit, 1),
      TRAWL_CASE(label_limit, 1),
      TRAWL_CASE(label_name_length_limit, 1),
      TRAWL_CASE(label_value_length_limit, 1),
      TRAWL_CASE(keep_dropped_targets, 1),
      TRAWL_CASE(static_configs, {TargetGroup()}),
      TRAWL_CASE(file_sd_configs, {FileSdConfig()}),
  };
#undef TRAWL_CASE
  for (const Case& test : cases) {
    ScrapeConfig changed;
    changed.params["x"] = {"y"};
    const ScrapeConfig before = changed;
    test.change(changed);
    const std::string name = std::string(test.field).substr(0, std::string(test.field).find('['));
    EXPECT_THAT(DifferentFields(before, changed), ElementsAre(name));
    EXPECT_THAT(DifferentFields(changed, before), ElementsAre(name));
  }
}

TEST(ConfigDiffTest, TheHttpClientsFieldsAreNamedAsInTheFile) {
  ScrapeConfig a;
  ScrapeConfig b;
  b.http.basic_auth.emplace();
  b.http.tls_config.server_name = "x";
  b.http.follow_redirects = false;

  EXPECT_THAT(DifferentFields(a, b),
              ElementsAre("basic_auth", "follow_redirects", "tls_config.server_name"));
}

TEST(ConfigDiffTest, RulesAreNamedByTheirPlace) {
  ScrapeConfig a;
  a.relabel_configs.resize(2);
  ScrapeConfig b = a;
  b.relabel_configs[1].regex = "x";
  b.relabel_configs[1].action = RelabelAction::kDrop;
  b.relabel_configs.emplace_back();
  b.metric_relabel_configs.emplace_back();

  EXPECT_THAT(DifferentFields(a, b),
              ElementsAre("metric_relabel_configs[0]", "relabel_configs[1].action",
                          "relabel_configs[1].regex", "relabel_configs[2]"));
}

TEST(ConfigDiffTest, DiscoveriesThatCameOrWentAreNamed) {
  ScrapeConfig a;
  ScrapeConfig b;
  a.pushed_sd_configs = {"consul_sd_configs", "dns_sd_configs"};
  b.pushed_sd_configs = {"dns_sd_configs", "kubernetes_sd_configs"};

  EXPECT_THAT(DifferentFields(a, b), ElementsAre("consul_sd_configs", "kubernetes_sd_configs"));
}

}  // namespace
}  // namespace trawl

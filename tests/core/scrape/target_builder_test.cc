#include "core/scrape/target_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

ScrapeConfig Job() {
  ScrapeConfig config;
  config.job_name = "job";
  config.scrape_interval = absl::Seconds(1);
  config.scrape_timeout = absl::Seconds(1);
  return config;
}

ScrapeConfig WithRules(std::vector<RelabelConfig> rules) {
  ScrapeConfig config = Job();
  auto compiled = RelabelRules::Compile(rules, NameValidation::kUtf8);
  EXPECT_OK(compiled);
  config.relabel_rules.rules = std::make_shared<const RelabelRules>(*std::move(compiled));
  config.relabel_configs = std::move(rules);
  return config;
}

RelabelConfig Replace(std::string target, std::string replacement, std::string source = "") {
  RelabelConfig rule;
  if (!source.empty()) rule.source_labels = {std::move(source)};
  rule.target_label = std::move(target);
  rule.replacement = std::move(replacement);
  return rule;
}

absl::StatusOr<std::optional<Labels>> Populate(const ScrapeConfig& config, std::string_view address,
                                               const Labels& group) {
  return PopulateLabels(config, DiscoveredLabels(config, address, group));
}

std::string ErrorOf(const ScrapeConfig& config, std::string_view address, const Labels& group) {
  return std::string(Populate(config, address, group).status().message());
}

// The cases below are those of Prometheus' TestPopulateLabels.

TEST(PopulateLabelsTest, SuppliesDefaults) {
  const Labels discovered = DiscoveredLabels(Job(), "1.2.3.4:1000", Labels({{"custom", "value"}}));
  EXPECT_EQ(discovered, Labels({{"__address__", "1.2.3.4:1000"},
                                {"__always_scrape_classic_histograms__", "false"},
                                {"__convert_classic_histograms_to_nhcb__", "false"},
                                {"__scrape_native_histograms__", "false"},

                                {"__metrics_path__", "/metrics"},
                                {"__scheme__", "http"},
                                {"__scrape_interval__", "1s"},
                                {"__scrape_timeout__", "1s"},
                                {"custom", "value"},
                                {"job", "job"}}));
  ASSERT_OK_AND_ASSIGN(const std::optional<Labels> all, PopulateLabels(Job(), discovered));
  EXPECT_EQ(all, Labels({{"__address__", "1.2.3.4:1000"},
                         {"__always_scrape_classic_histograms__", "false"},
                         {"__convert_classic_histograms_to_nhcb__", "false"},
                         {"__scrape_native_histograms__", "false"},

                         {"__metrics_path__", "/metrics"},
                         {"__scheme__", "http"},
                         {"__scrape_interval__", "1s"},
                         {"__scrape_timeout__", "1s"},
                         {"custom", "value"},
                         {"instance", "1.2.3.4:1000"},
                         {"job", "job"}}));
}

TEST(PopulateLabelsTest, HistogramOptionsAreLabels) {
  ScrapeConfig config = Job();
  config.always_scrape_classic_histograms = true;

  const Labels discovered =
      DiscoveredLabels(config, "a", Labels({{"__scrape_native_histograms__", "1"}}));
  EXPECT_EQ(discovered.Get("__always_scrape_classic_histograms__"), "true");
  EXPECT_EQ(discovered.Get("__convert_classic_histograms_to_nhcb__"), "false");
  EXPECT_EQ(discovered.Get("__scrape_native_histograms__"), "1");
}

TEST(PopulateLabelsTest, DiscoveryOverridesTheConfig) {
  const Labels group({{"__scheme__", "https"},
                      {"__metrics_path__", "/custom"},
                      {"__scrape_interval__", "2s"},
                      {"__scrape_timeout__", "1500ms"},
                      {"job", "custom-job"},
                      {"instance", "custom-instance"}});

  ASSERT_OK_AND_ASSIGN(const std::optional<Labels> all, Populate(Job(), "1.2.3.4", group));

  EXPECT_EQ(all, Labels({{"__address__", "1.2.3.4"},
                         {"__always_scrape_classic_histograms__", "false"},
                         {"__convert_classic_histograms_to_nhcb__", "false"},
                         {"__scrape_native_histograms__", "false"},

                         {"__metrics_path__", "/custom"},
                         {"__scheme__", "https"},
                         {"__scrape_interval__", "2s"},
                         {"__scrape_timeout__", "1500ms"},
                         {"instance", "custom-instance"},
                         {"job", "custom-job"}}));
}

TEST(PopulateLabelsTest, NeverAddsOrRemovesAPort) {
  for (std::string_view address : {"1.2.3.4", "1.2.3.4:80", "[::1]", "[::1]:443", "foo.com"}) {
    ASSERT_OK_AND_ASSIGN(const std::optional<Labels> all, Populate(Job(), address, {}));
    EXPECT_EQ(all->Get("__address__"), address);
    EXPECT_EQ(all->Get("instance"), address);
  }
}

TEST(PopulateLabelsTest, AddressIsRequired) {
  EXPECT_EQ(ErrorOf(Job(), "", Labels({{"custom", "value"}})), "no address");
}

TEST(PopulateLabelsTest, AddressMayComeFromARule) {
  const ScrapeConfig config = WithRules({Replace("__address__", "${1}:80", "custom")});

  ASSERT_OK_AND_ASSIGN(const std::optional<Labels> all,
                       Populate(config, "", Labels({{"custom", "host"}})));

  EXPECT_EQ(all->Get("__address__"), "host:80");
  EXPECT_EQ(all->Get("instance"), "host:80");
}

TEST(PopulateLabelsTest, AddressWithASlashIsNoHostname) {
  EXPECT_EQ(ErrorOf(Job(), "http://a/b", {}), "\"http://a/b\" is not a valid hostname");
}

TEST(PopulateLabelsTest, IntervalAndTimeoutMustBeDurations) {
  EXPECT_EQ(ErrorOf(Job(), "a", Labels({{"__scrape_interval__", "2notseconds"}})),
            "error parsing scrape interval: unknown unit \"notseconds\" in duration "
            "\"2notseconds\"");
  EXPECT_EQ(ErrorOf(Job(), "a", Labels({{"__scrape_timeout__", "2notseconds"}})),
            "error parsing scrape timeout: unknown unit \"notseconds\" in duration "
            "\"2notseconds\"");
  EXPECT_EQ(ErrorOf(Job(), "a", Labels({{"__scrape_interval__", "0s"}})),
            "scrape interval cannot be 0");
  EXPECT_EQ(ErrorOf(Job(), "a", Labels({{"__scrape_timeout__", "0s"}})),
            "scrape timeout cannot be 0");
  EXPECT_EQ(ErrorOf(Job(), "a", Labels({{"__scrape_timeout__", "2s"}})),
            "scrape timeout cannot be greater than scrape interval (\"2s\" > \"1s\")");
}

TEST(PopulateLabelsTest, HistogramLabelsMustBeBooleans) {
  EXPECT_OK(Populate(Job(), "a", Labels({{"__scrape_native_histograms__", "T"}})));
  EXPECT_EQ(ErrorOf(Job(), "a", Labels({{"__scrape_native_histograms__", "yes"}})),
            "error parsing scrape native histograms: strconv.ParseBool: parsing \"yes\": invalid "
            "syntax");
}

TEST(PopulateLabelsTest, ALabelThatAsksForClassicHistogramsAsNativeOnesIsRefused) {
  EXPECT_OK(Populate(Job(), "a", Labels({{"__convert_classic_histograms_to_nhcb__", "F"}})));
  EXPECT_EQ(ErrorOf(Job(), "a", Labels({{"__convert_classic_histograms_to_nhcb__", "T"}})),
            "label __convert_classic_histograms_to_nhcb__ is not supported: leaving it out would "
            "change what is stored");
}

TEST(PopulateLabelsTest, ATargetBehindAUnixSocketIsRefused) {
  const std::string error =
      "label __unix_socket__ is not supported: leaving it out would change what is scraped";
  EXPECT_OK(Populate(Job(), "a", Labels({{"__unix_socket__", ""}})));
  EXPECT_EQ(ErrorOf(Job(), "a", Labels({{"__unix_socket__", "/run/a.sock"}})), error);
  EXPECT_EQ(ErrorOf(Job(), "", Labels({{"__unix_socket__", "/run/a.sock"}})), error);
  EXPECT_EQ(ErrorOf(WithRules({Replace("__unix_socket__", "$1", "custom")}), "a",
                    Labels({{"custom", "/run/a.sock"}})),
            error);
}

TEST(PopulateLabelsTest, ValuesMustBeUtf8) {
  EXPECT_EQ(ErrorOf(Job(), "a", Labels({{"custom", "\xbd"}})),
            "invalid label value for \"custom\": \"\\xbd\"");
}

TEST(PopulateLabelsTest, MetaLabelsGoAndOtherInternalOnesStay) {
  const Labels group({{"__meta_pod", "p"}, {"__own", "o"}});

  ASSERT_OK_AND_ASSIGN(const std::optional<Labels> all, Populate(Job(), "a", group));

  EXPECT_FALSE(all->Has("__meta_pod"));
  EXPECT_EQ(all->Get("__own"), "o");
  EXPECT_EQ(PublicLabels(*all), Labels({{"instance", "a"}, {"job", "job"}}));
}

TEST(PopulateLabelsTest, ParametersAreLabelsUnlessDiscoveryHasThem) {
  ScrapeConfig config = Job();
  config.params = {{"module", {"http_2xx", "second"}}, {"none", {}}, {"x", {"config"}}};

  const Labels labels = DiscoveredLabels(config, "a", Labels({{"__param_x", "discovered"}}));

  EXPECT_EQ(labels.Get("__param_module"), "http_2xx");
  EXPECT_EQ(labels.Get("__param_x"), "discovered");
  EXPECT_FALSE(labels.Has("__param_none"));
}

TEST(PopulateLabelsTest, RulesDropTargetsAndSayWhichOne) {
  RelabelConfig keep;
  keep.action = RelabelAction::kKeep;
  keep.source_labels = {"env"};
  keep.regex = "prod";
  const ScrapeConfig config = WithRules({Replace("x", "y"), keep});
  const Labels discovered = DiscoveredLabels(config, "a", Labels({{"env", "test"}}));

  Drop drop;
  EXPECT_THAT(PopulateLabels(config, discovered, &drop), IsOkAndHolds(std::nullopt));
  EXPECT_EQ(drop.reason, DropReason::kRelabel);
  EXPECT_EQ(drop.rule, 1u);
  EXPECT_EQ(RuleDropText(config, drop.rule), "dropped by relabel_configs[1] (keep)");
}

TEST(TargetsFromGroupTest, OneBadTargetDoesNotKeepTheOthersBack) {
  TargetGroup group;
  group.targets = {"", "localhost:9090"};

  const BuiltGroup built = TargetsFromGroup(Job(), group);

  ASSERT_EQ(built.active.size(), 1u);
  EXPECT_EQ(built.active[0].index, 1u);
  EXPECT_EQ(built.active[0].target->url, "http://localhost:9090/metrics");
  ASSERT_EQ(built.dropped.size(), 1u);
  EXPECT_EQ(built.dropped[0].reason, DropReason::kNoAddress);
  EXPECT_EQ(BuildError(Job(), "g", built.dropped[0].index, "", group.labels),
            "instance 0 in group g: no address");
}

TEST(TargetsFromGroupTest, TargetsCarryWhatALoopNeeds) {
  TargetGroup group;
  group.key = "g";
  group.targets = {"h:1"};
  group.labels = Labels({{"__scrape_interval__", "1m30s"}, {"__scrape_timeout__", "500ms"}});

  const BuiltGroup built = TargetsFromGroup(Job(), group);

  ASSERT_EQ(built.active.size(), 1u);
  const Target& target = *built.active[0].target;
  EXPECT_EQ(target.interval, absl::Seconds(90));
  EXPECT_EQ(target.timeout, absl::Milliseconds(500));
  EXPECT_EQ(target.interval_text, "1m30s");
  EXPECT_EQ(*target.labels, Labels({{"instance", "h:1"}, {"job", "job"}}));
  EXPECT_EQ(target.public_hash, target.labels->Hash());
}

// Prometheus' TestTargetsFromGroupWithLabelKeepDrop.
TEST(TargetsFromGroupTest, LabeldropOfTheAddressLeavesNone) {
  RelabelConfig drop;
  drop.action = RelabelAction::kLabelDrop;
  drop.regex = "__address__";
  TargetGroup group;
  group.targets = {"h:1"};

  const BuiltGroup built = TargetsFromGroup(WithRules({drop}), group);

  ASSERT_EQ(built.dropped.size(), 1u);
  EXPECT_EQ(built.dropped[0].reason, DropReason::kNoAddress);
}

TEST(TargetsFromGroupTest, EveryTargetThatIsNotBuiltSaysWhy) {
  const auto reason_of = [](const std::string& address, const Labels& labels) {
    TargetGroup group;
    group.targets = {address};
    group.labels = labels;
    const BuiltGroup built = TargetsFromGroup(Job(), group);
    EXPECT_EQ(built.dropped.size(), 1u);
    EXPECT_EQ(built.dropped[0].hash, DiscoveredLabels(Job(), address, labels).Hash());
    return built.dropped[0].reason;
  };
  EXPECT_EQ(reason_of("a/b", {}), DropReason::kBadAddress);
  EXPECT_EQ(reason_of("a", {{"__scrape_interval__", "x"}}), DropReason::kBadInterval);
  EXPECT_EQ(reason_of("a", {{"__scrape_timeout__", "1h"}}), DropReason::kBadInterval);
  EXPECT_EQ(reason_of("a", {{"__scrape_native_histograms__", "x"}}), DropReason::kBadLabel);
  EXPECT_EQ(reason_of("a", {{"x", "\xff"}}), DropReason::kBadLabel);
  EXPECT_EQ(reason_of("a", {{"__unix_socket__", "/s"}}), DropReason::kBadLabel);
  EXPECT_EQ(sizeof(BuiltGroup::Dropped), 16u);
}

TEST(TargetsFromGroupTest, AnotherVersionOfAGroupBuildsItsNewAddressesOnly) {
  RelabelConfig drop;
  drop.action = RelabelAction::kDrop;
  drop.source_labels = {"__address__"};
  drop.regex = "drop.*";
  const ScrapeConfig config = WithRules({drop});
  TargetGroup before;
  before.targets = {"a", "drop-1", "b", "c/d"};
  const BuiltGroup built_before = TargetsFromGroup(config, before);
  TargetGroup after;
  after.targets = {"c/d", "b", "new", "drop-1", "drop-2", "b"};

  const BuiltGroup built = TargetsFromGroup(config, after, before, built_before);
  const BuiltGroup anew = TargetsFromGroup(config, after);

  ASSERT_EQ(built.active.size(), 3u);
  EXPECT_EQ(built.active[0].target, built_before.active[1].target);
  EXPECT_EQ(built.active[2].target, built_before.active[1].target);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(built.active[i].index, anew.active[i].index);
    EXPECT_EQ(built.active[i].target->hash, anew.active[i].target->hash);
  }
  EXPECT_EQ(built.dropped, anew.dropped);
}

}  // namespace
}  // namespace trawl

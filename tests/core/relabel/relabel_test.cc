#include "core/relabel/relabel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/model/labels.h"

namespace trawl {
namespace {

using enum RelabelAction;

RelabelRules Compile(const std::vector<RelabelConfig>& configs,
                     NameValidation names = NameValidation::kUtf8) {
  absl::StatusOr<RelabelRules> rules = RelabelRules::Compile(configs, names);
  EXPECT_TRUE(rules.ok()) << rules.status();
  return rules.ok() ? *std::move(rules) : RelabelRules();
}

// What is left of `input`; nullopt: dropped.
std::optional<Labels> Relabel(const Labels& input, const std::vector<RelabelConfig>& configs) {
  LabelsBuilder builder(input);
  if (!Compile(configs).Apply(builder)) return std::nullopt;
  return std::move(builder).Build();
}

RelabelConfig Replace(std::vector<std::string> source, std::string regex, std::string target,
                      std::string replacement) {
  return {.source_labels = std::move(source),
          .regex = std::move(regex),
          .target_label = std::move(target),
          .replacement = std::move(replacement)};
}

RelabelConfig ByRegex(RelabelAction action, std::vector<std::string> source, std::string regex) {
  return {.source_labels = std::move(source), .regex = std::move(regex), .action = action};
}

RelabelConfig ToTarget(RelabelAction action, std::vector<std::string> source, std::string target) {
  return {.source_labels = std::move(source), .target_label = std::move(target), .action = action};
}

const Labels kAbc = {{"a", "foo"}, {"b", "bar"}, {"c", "baz"}};
const Labels kPorts = {{"__tmp_port", "1234"}, {"__port1", "1234"}, {"__port2", "5678"}};

// The cases of Prometheus' TestRelabel.
struct Case {
  std::string name;
  Labels input;
  std::vector<RelabelConfig> rules;
  std::optional<Labels> output;  // unset: dropped
};

std::vector<Case> Cases() {
  const std::string tag_pattern = "some-([^-]+)-([^,]+)";
  return {
      {"ReplaceInsertsCaptures",
       kAbc,
       {Replace({"a"}, "f(.*)", "d", "ch${1}-ch${1}")},
       Labels{{"a", "foo"}, {"b", "bar"}, {"c", "baz"}, {"d", "choo-choo"}}},
      {"LaterRulesSeeWhatEarlierOnesDid",
       kAbc,
       {Replace({"a", "b"}, "f(.*);(.*)r", "a", "b${1}${2}m"),
        Replace({"c", "a"}, "(b).*b(.*)ba(.*)", "d", "$1$2$2$3")},
       Labels{{"a", "boobam"}, {"b", "bar"}, {"c", "baz"}, {"d", "boooom"}}},
      {"DropStopsLaterRules",
       {{"a", "foo"}},
       {ByRegex(kDrop, {"a"}, ".*o.*"), Replace({"a"}, "f(.*)", "d", "ch$1-ch$1")},
       std::nullopt},
      {"DropDropsWhatMatches",
       {{"a", "foo"}, {"b", "bar"}},
       {ByRegex(kDrop, {"a"}, ".*o.*")},
       std::nullopt},
      {"ReplaceTakesAGroupInTheMiddle",
       {{"a", "abc"}},
       {Replace({"a"}, ".*(b).*", "d", "$1")},
       Labels{{"a", "abc"}, {"d", "b"}}},
      {"DropKeepsWhatDoesNotMatch",
       {{"a", "foo"}},
       {ByRegex(kDrop, {"a"}, "no-match")},
       Labels{{"a", "foo"}}},
      {"TheWholeValueMustMatch",
       {{"a", "foo"}},
       {ByRegex(kDrop, {"a"}, "f|o")},
       Labels{{"a", "foo"}}},
      {"KeepDropsWhenNothingMatches",
       {{"a", "foo"}},
       {ByRegex(kKeep, {"a"}, "no-match")},
       std::nullopt},
      {"KeepKeepsWhatMatches",
       {{"a", "foo"}},
       {ByRegex(kKeep, {"a"}, "f.*")},
       Labels{{"a", "foo"}}},
      {"ReplaceDoesNothingWithoutAMatch",
       {{"a", "boo"}},
       {Replace({"a"}, "f", "b", "bar")},
       Labels{{"a", "boo"}}},
      {"AnEmptyReplacementDeletesTheTarget",
       {{"a", "foo"}, {"f", "baz"}},
       {Replace({"a"}, "(f).*", "$1", "$2")},
       Labels{{"a", "foo"}}},
      {"HashmodIsPrometheusHash",
       kAbc,
       {{.source_labels = {"c"}, .modulus = 1000, .target_label = "d", .action = kHashMod}},
       Labels{{"a", "foo"}, {"b", "bar"}, {"c", "baz"}, {"d", "976"}}},
      {"HashmodTakesNewlines",
       {{"a", "foo\nbar"}},
       {{.source_labels = {"a"}, .modulus = 1000, .target_label = "b", .action = kHashMod}},
       Labels{{"a", "foo\nbar"}, {"b", "734"}}},
      {"LabelmapCopiesLabels",
       {{"a", "foo"}, {"b1", "bar"}, {"b2", "baz"}},
       {{.regex = "(b.*)", .replacement = "bar_${1}", .action = kLabelMap}},
       Labels{{"a", "foo"}, {"b1", "bar"}, {"b2", "baz"}, {"bar_b1", "bar"}, {"bar_b2", "baz"}}},
      {"LabelmapTakesMetaLabelsApart",
       {{"a", "foo"}, {"__meta_my_bar", "aaa"}, {"__meta_my_baz", "bbb"}, {"__meta_other", "ccc"}},
       {{.regex = "__meta_(my.*)", .replacement = "${1}", .action = kLabelMap}},
       Labels{{"a", "foo"},
              {"__meta_my_bar", "aaa"},
              {"__meta_my_baz", "bbb"},
              {"__meta_other", "ccc"},
              {"my_bar", "aaa"},
              {"my_baz", "bbb"}}},
      {"TheTargetMayBeATemplate",
       {{"a", "some-name-value"}},
       {Replace({"a"}, tag_pattern, "${1}", "${2}")},
       Labels{{"a", "some-name-value"}, {"name", "value"}}},
      {"AnUnknownGroupIsEmpty",
       {{"a", "some-name-value"}},
       {Replace({"a"}, tag_pattern, "${1}", "${3}")},
       Labels{{"a", "some-name-value"}}},
      {"AnInvalidTargetChangesNothing",
       {{"a", "some-name-0"}},
       {Replace({"a"}, tag_pattern, "${3}", "${1}"),
        Replace({"a"}, "some-([^-]+)(-[^,]+)", "${3}", "${1}")},
       Labels{{"a", "some-name-0"}}},
      {"DiscoveryTagsCanBeTakenApart",
       {{"__meta_sd_tags", "path:/secret,job:some-job,label:foo=bar"}},
       {Replace({"__meta_sd_tags"}, "(?:.+,|^)path:(/[^,]+).*", "__metrics_path__", "${1}"),
        Replace({"__meta_sd_tags"}, "(?:.+,|^)job:([^,]+).*", "job", "${1}"),
        Replace({"__meta_sd_tags"}, "(?:.+,|^)label:([^=]+)=([^,]+).*", "${1}", "${2}")},
       Labels{{"__meta_sd_tags", "path:/secret,job:some-job,label:foo=bar"},
              {"__metrics_path__", "/secret"},
              {"job", "some-job"},
              {"foo", "bar"}}},
      {"ADroppedLabelCanBeSetAgain",
       {{"__meta_container_port_name", "foo"}, {"__meta_annotation_metrics_port", "9091"}},
       {ByRegex(kLabelDrop, {}, "^__meta_container_port_name$"),
        Replace({"__meta_annotation_metrics_port"}, "(.+)", "__meta_container_port_name",
                "metrics"),
        ByRegex(kKeep, {"__meta_container_port_name"}, "^metrics$")},
       Labels{{"__meta_annotation_metrics_port", "9091"},
              {"__meta_container_port_name", "metrics"}}},
      {"LabelkeepDeletesOtherNames",
       {{"a", "foo"}, {"b1", "bar"}, {"b2", "baz"}},
       {ByRegex(kLabelKeep, {}, "(b.*)")},
       Labels{{"b1", "bar"}, {"b2", "baz"}}},
      {"LabeldropDeletesNames",
       {{"a", "foo"}, {"b1", "bar"}, {"b2", "baz"}},
       {ByRegex(kLabelDrop, {}, "(b.*)")},
       Labels{{"a", "foo"}}},
      {"UppercaseAndLowercaseSetTheirTarget",
       {{"foo", "bAr123Foo"}},
       {ToTarget(kUppercase, {"foo"}, "up"), ToTarget(kLowercase, {"foo"}, "low")},
       Labels{{"foo", "bAr123Foo"}, {"low", "bar123foo"}, {"up", "BAR123FOO"}}},
      {"KeepequalKeepsEqualValues",
       kPorts,
       {ToTarget(kKeepEqual, {"__tmp_port"}, "__port1")},
       kPorts},
      {"KeepequalDropsOtherValues",
       kPorts,
       {ToTarget(kKeepEqual, {"__tmp_port"}, "__port2")},
       std::nullopt},
      {"DropequalDropsEqualValues",
       kPorts,
       {ToTarget(kDropEqual, {"__tmp_port"}, "__port1")},
       std::nullopt},
      {"DropequalKeepsOtherValues",
       kPorts,
       {ToTarget(kDropEqual, {"__tmp_port"}, "__port2")},
       kPorts},
      {"ADotMatchesANewline",
       {{"a", "line1\nline2"}},
       {Replace({"a"}, "line1.line2", "d", "match${1}")},
       Labels{{"a", "line1\nline2"}, {"d", "match"}}},
      {"NamesMayBeAnyUtf8",
       {{"a", "foo"}, {"b", "bar"}, {"c", "baz"}},
       {Replace({"a"}, "(.*)", "naïve.target", "${1}")},
       Labels{{"a", "foo"}, {"b", "bar"}, {"c", "baz"}, {"naïve.target", "foo"}}},
      {"SourceNamesMayBeAnyUtf8",
       {{"utf-8.label", "line1\nline2"}, {"b", "bar"}},
       {Replace({"utf-8.label"}, "line1.line2", "d", "match${1}")},
       Labels{{"utf-8.label", "line1\nline2"}, {"b", "bar"}, {"d", "match"}}},
      {"GroupsMayHaveNames",
       {{"a", "eu-1"}},
       {Replace({"a"}, "(?P<region>[a-z]+)-(?<zone>\\d+)", "${region}", "z$zone")},
       Labels{{"a", "eu-1"}, {"eu", "z1"}}},
      {"AMissingSourceLabelIsEmpty",
       {{"a", "foo"}},
       {Replace({"none", "a"}, ";foo", "d", "found")},
       Labels{{"a", "foo"}, {"d", "found"}}},
      {"TheSeparatorMayBeEmpty",
       {{"a", "foo"}, {"b", "bar"}},
       {{.source_labels = {"a", "b"},
         .separator = "",
         .regex = "foobar",
         .target_label = "d",
         .replacement = "joined"}},
       Labels{{"a", "foo"}, {"b", "bar"}, {"d", "joined"}}},
      {"AnEmptyRegexMatchesTheEmptyValueOnly",
       {{"a", "foo"}},
       {ByRegex(kKeep, {"a"}, "")},
       std::nullopt},
      {"DropequalDropsWhenBothAreMissing",
       {{"a", "foo"}},
       {ToTarget(kDropEqual, {"x"}, "y")},
       std::nullopt},
      {"LowercaseOfNothingDeletesTheTarget",
       {{"a", "foo"}},
       {ToTarget(kLowercase, {"x"}, "a")},
       Labels{}},
      {"TheDefaultRuleCopiesTheValue",
       {{"a", "foo"}},
       {ToTarget(kReplace, {"a"}, "b")},
       Labels{{"a", "foo"}, {"b", "foo"}}},
  };
}

class RelabelCaseTest : public testing::TestWithParam<Case> {};

TEST_P(RelabelCaseTest, GivesWhatPrometheusGives) {
  EXPECT_EQ(Relabel(GetParam().input, GetParam().rules), GetParam().output);
}

INSTANTIATE_TEST_SUITE_P(Relabel, RelabelCaseTest, testing::ValuesIn(Cases()),
                         [](const auto& test) { return test.param.name; });

TEST(RelabelRulesTest, NoRulesKeepEverything) {
  LabelsBuilder builder(kAbc);

  EXPECT_TRUE(RelabelRules().Apply(builder));
  EXPECT_EQ(builder.Build(), kAbc);
  EXPECT_TRUE(RelabelRules().empty());
}

TEST(RelabelRulesTest, LegacyNamesRestrictExpandedTargets) {
  const RelabelRules rules =
      Compile({Replace({"a"}, "(.*)", "x_$1", "set")}, NameValidation::kLegacy);
  LabelsBuilder builder(Labels{{"a", "not.legacy"}});

  EXPECT_TRUE(rules.Apply(builder));

  EXPECT_EQ(builder.Build(), (Labels{{"a", "not.legacy"}}));
}

TEST(RelabelRulesTest, CompileNamesTheRuleThatIsWrong) {
  const std::vector<RelabelConfig> configs = {ToTarget(kReplace, {"a"}, "b"),
                                              ByRegex(kKeep, {"a"}, "(")};

  const absl::Status status = RelabelRules::Compile(configs, NameValidation::kUtf8).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("rule 1"));
}

TEST(RelabelTraceTest, TellsWhatEachRuleDid) {
  const RelabelRules rules =
      Compile({Replace({"a"}, "(.*)", "b", "$1"), ByRegex(kDrop, {"b"}, "foo"),
               Replace({"a"}, "(.*)", "c", "$1")});
  LabelsBuilder builder(Labels{{"a", "foo"}});
  RelabelTrace trace;

  EXPECT_FALSE(rules.Apply(builder, trace));

  const Labels before = {{"a", "foo"}};
  const Labels after = {{"a", "foo"}, {"b", "foo"}};
  EXPECT_THAT(trace.steps, testing::ElementsAre(RelabelStep{0, before, after, true},
                                                RelabelStep{1, after, after, false}));
  EXPECT_EQ(trace.dropped_by, 1u);
}

TEST(RelabelTraceTest, AKeptSetIsDroppedByNoRule) {
  const RelabelRules rules = Compile({ByRegex(kKeep, {"a"}, "foo")});
  LabelsBuilder builder(Labels{{"a", "foo"}});
  RelabelTrace trace;
  trace.dropped_by = 7;

  EXPECT_TRUE(rules.Apply(builder, trace));

  EXPECT_EQ(trace.dropped_by, std::nullopt);
}

}  // namespace
}  // namespace trawl

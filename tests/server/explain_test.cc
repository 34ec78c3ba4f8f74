#include "server/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/scrape/target_builder.h"
#include "server/proto_conversions.h"
#include "server/status_conversions.h"
#include "server/target_ref.h"
#include "tests/matchers/status_matchers.h"
#include "tests/server/service_fixture.h"

namespace trawl {
namespace {

namespace pb = status::v1;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

using LabelMap = std::map<std::string, std::string>;

LabelMap Map(const google::protobuf::Map<std::string, std::string>& labels) {
  return {labels.begin(), labels.end()};
}

LabelMap Map(const Labels& labels) {
  LabelMap out;
  for (const Label& label : labels) out[label.name] = label.value;
  return out;
}

std::shared_ptr<ScrapeConfig> Job(std::vector<RelabelConfig> rules = {}) {
  auto job = std::make_shared<ScrapeConfig>();
  job->job_name = "job";
  auto compiled = RelabelRules::Compile(rules, NameValidation::kUtf8);
  EXPECT_OK(compiled);
  job->relabel_rules.rules = std::make_shared<const RelabelRules>(*std::move(compiled));
  job->relabel_configs = std::move(rules);
  return job;
}

RelabelConfig Rule(RelabelAction action, std::string source, std::string regex,
                   std::string target = "", std::string replacement = "$1") {
  RelabelConfig rule;
  rule.action = action;
  if (!source.empty()) rule.source_labels = {std::move(source)};
  rule.regex = std::move(regex);
  rule.target_label = std::move(target);
  rule.replacement = std::move(replacement);
  return rule;
}

// Of what discovery might say.
pb::ExplainTargetResponse ExplainLabels(const std::shared_ptr<const ScrapeConfig>& job,
                                        const Labels& labels) {
  auto pool = MakePool("job", {});
  pool->config = job;
  PoolsSnapshot pools;
  pools.pools = {pool};
  pb::ExplainTargetRequest request;
  request.set_job("job");
  SetLabels(labels, request.mutable_labels());
  const absl::StatusOr<pb::ExplainTargetResponse> explained = ExplainTarget(pools, request);
  EXPECT_OK(explained);
  return explained.ok() ? *explained : pb::ExplainTargetResponse();
}

std::vector<pb::ExplainStep::Kind> Kinds(const pb::ExplainTargetResponse& response) {
  std::vector<pb::ExplainStep::Kind> kinds;
  for (const auto& step : response.steps()) kinds.push_back(step.kind());
  return kinds;
}

TEST(ExplainTest, EveryStepIsThereWithLabelsBeforeAndAfter) {
  auto job = Job({Rule(RelabelAction::kReplace, "__meta_team", "(.+)", "team")});
  job->params["module"] = {"x"};

  const pb::ExplainTargetResponse explained =
      ExplainLabels(job, Labels({{"__address__", "a:1"}, {"__meta_team", "db"}}));

  using Step = pb::ExplainStep;
  EXPECT_THAT(Kinds(explained),
              ElementsAre(Step::DISCOVERED, Step::DEFAULTS, Step::PARAMS, Step::RELABEL,
                          Step::CHECK, Step::REMOVE_META, Step::INSTANCE, Step::CHECK));
  EXPECT_THAT(Map(explained.steps(0).after()),
              UnorderedElementsAre(Pair("__address__", "a:1"), Pair("__meta_team", "db")));
  EXPECT_EQ(explained.steps(2).after().at("__param_module"), "x");
  EXPECT_EQ(explained.steps(3).rule(),
            "{source_labels: [__meta_team], regex: \"(.+)\", target_label: team, action: replace}");
  EXPECT_EQ(explained.steps(3).after().at("team"), "db");
  EXPECT_FALSE(explained.steps(5).after().contains("__meta_team"));
  EXPECT_EQ(explained.result().state(), pb::Target::ACTIVE);
  EXPECT_EQ(explained.result().scrape_url(), "http://a:1/metrics?module=x");
  EXPECT_THAT(
      Map(explained.result().labels()),
      UnorderedElementsAre(Pair("instance", "a:1"), Pair("job", "job"), Pair("team", "db")));
}

TEST(ExplainTest, AfterTheStepThatDropsThereIsNone) {
  const auto job = Job({Rule(RelabelAction::kReplace, "", "(.*)", "x", "y"),
                        Rule(RelabelAction::kKeep, "x", "z"),
                        Rule(RelabelAction::kReplace, "", "(.*)", "never", "1")});

  const pb::ExplainTargetResponse explained = ExplainLabels(job, Labels({{"__address__", "a:1"}}));

  const pb::ExplainStep& last = explained.steps(explained.steps_size() - 1);
  EXPECT_TRUE(last.dropped());
  EXPECT_EQ(last.rule_index(), 1);
  EXPECT_EQ(last.before().at("x"), "y");
  EXPECT_TRUE(last.after().empty());
  EXPECT_EQ(explained.result().state(), pb::Target::DROPPED);
  EXPECT_EQ(explained.result().drop().reason(), pb::Drop::RELABEL);
  EXPECT_EQ(explained.result().drop().rule_index(), 1);
}

TEST(ExplainTest, ATargetThatCantBeBuiltSaysWhy) {
  const pb::ExplainTargetResponse explained = ExplainLabels(Job(), Labels({{"a", "b"}}));

  EXPECT_EQ(explained.steps(explained.steps_size() - 1).kind(), pb::ExplainStep::CHECK);
  EXPECT_EQ(explained.steps(explained.steps_size() - 1).detail(), "no address");
  EXPECT_EQ(explained.result().drop().reason(), pb::Drop::NO_ADDRESS);
}

TEST(ExplainTest, AnExistingTargetIsExplainedFromTheGroupThatNamesIt) {
  auto target = MakeTarget("job", "a:1", "s2");
  target->owners = {
      {std::make_shared<const GroupOrigin>(GroupOrigin{"s2", "key", Labels({{"env", "prod"}})}),
       "a:1"}};
  PoolsSnapshot pools;
  pools.pools = {MakePool("job", {target})};
  pb::ExplainTargetRequest request;
  request.mutable_target()->set_id(TargetId(target->target->hash));

  ASSERT_OK_AND_ASSIGN(const pb::ExplainTargetResponse explained, ExplainTarget(pools, request));

  EXPECT_EQ(explained.steps(0).detail(), "group \"key\" of source s2");
  EXPECT_THAT(Map(explained.steps(0).after()),
              UnorderedElementsAre(Pair("__address__", "a:1"), Pair("env", "prod")));
  EXPECT_EQ(explained.result().id(), request.target().id());
}

TEST(ExplainTest, ADroppedTargetIsExplainedAndOneOfAPendingJobHasNoRules) {
  PoolsSnapshot pools;
  pools.pools = {WithDropped(MakePool("job", {}), "s", {"gone"})};
  auto pending = std::make_shared<DesiredTargets>();
  pending->job = "later";
  pending->groups = {
      OwnedGroup{"s", std::make_shared<const TargetGroup>(TargetGroup{"g", {"x"}, Labels()})}};
  pools.pending = {pending};
  pb::ExplainTargetRequest request;
  request.mutable_target()->set_id(TargetId(ListDropped(*pools.pools[0])[0].hash));

  ASSERT_OK_AND_ASSIGN(const pb::ExplainTargetResponse explained, ExplainTarget(pools, request));
  EXPECT_EQ(explained.result().state(), pb::Target::DROPPED);
  EXPECT_EQ(explained.result().drop().rule_index(), 2);

  request.mutable_target()->set_id(TargetId(ListPending(*pending)[0].hash));
  EXPECT_EQ(ExplainTarget(pools, request).status().code(), absl::StatusCode::kFailedPrecondition);
  request.clear_target();
  EXPECT_EQ(ExplainTarget(pools, request).status().code(), absl::StatusCode::kInvalidArgument);
  request.set_job("later");
  EXPECT_EQ(ExplainTarget(pools, request).status().code(), absl::StatusCode::kNotFound);
}

// T6: whatever the rules are, the steps follow from each other, and lead to the target.
TEST(ExplainTest, TheResultIsThatOfTheCodeThatBuildsTargets) {
  std::mt19937 random(1);  // NOLINT: the same cases each time
  const auto pick = [&](std::vector<std::string> of) { return of[random() % of.size()]; };
  const std::vector<RelabelAction> actions = {
      RelabelAction::kReplace,   RelabelAction::kReplace,  RelabelAction::kKeep,
      RelabelAction::kDrop,      RelabelAction::kLabelMap, RelabelAction::kLabelDrop,
      RelabelAction::kLowercase,
  };
  int dropped = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<RelabelConfig> rules;
    for (size_t n = random() % 5; n > 0; --n) {
      RelabelConfig rule =
          Rule(actions[random() % actions.size()], pick({"a", "__meta_b", "__address__", ""}),
               pick({"(.*)", "x|y", "__meta_(.+)", "[^x]*"}),
               pick({"a", "instance", "__address__", "__scrape_interval__"}),
               pick({"$1", "10s", "x/y", ""}));
      if (rule.action == RelabelAction::kLabelMap) rule.replacement = "m_$1";
      if (rule.action == RelabelAction::kLabelDrop) {
        rule = RelabelConfig();
        rule.action = RelabelAction::kLabelDrop;
        rule.regex = pick({"a", "__meta_.*", "job"});
      }
      if (ValidateRelabelConfig(rule, NameValidation::kUtf8).ok()) rules.push_back(rule);
    }
    const auto job = Job(rules);
    const Labels discovered({{"__address__", pick({"h:1", "x", "", "a/b"})},
                             {"a", pick({"x", "y", "Z", ""})},
                             {"__meta_b", pick({"x", "1"})}});
    LabelsBuilder group(discovered);
    group.Delete("__address__");
    const Labels before =
        DiscoveredLabels(*job, discovered.Get("__address__"), std::move(group).Build());
    const absl::StatusOr<std::optional<Labels>> built = PopulateLabels(*job, before);

    const pb::ExplainTargetResponse explained = ExplainLabels(job, discovered);

    for (int i = 1; i < explained.steps_size(); ++i) {
      ASSERT_EQ(Map(explained.steps(i).before()), Map(explained.steps(i - 1).after()));
    }
    const pb::ExplainStep& last = explained.steps(explained.steps_size() - 1);
    const bool active = built.ok() && built->has_value();
    dropped += active ? 0 : 1;
    ASSERT_EQ(last.dropped(), !active);
    ASSERT_EQ(explained.result().state() == pb::Target::ACTIVE, active);
    ASSERT_EQ(Map(explained.result().discovered_labels()), Map(before));
    if (active) {
      ASSERT_EQ(Map(last.after()), Map(**built));
      ASSERT_EQ(Map(explained.result().labels()), Map(PublicLabels(**built)));
    } else if (!built.ok()) {
      ASSERT_EQ(last.detail(), built.status().message());
    }
  }
  EXPECT_GT(dropped, 200);
  EXPECT_LT(dropped, 1800);
}

class TargetRefTest : public ::testing::Test {
 protected:
  TargetRefTest() {
    auto a = MakePool("a", {MakeTarget("a", "h:1"), MakeTarget("a", "h:2")});
    a = WithDropped(std::move(a), "s", {"gone"});
    gone_ = TargetId(ListDropped(*a)[0].hash);
    auto b = MakePool("b", {MakeTarget("b", "h:1")});
    pools_.pools = {a, b};
  }
  absl::StatusOr<FoundTarget> Find(const std::string& job, const std::string& id,
                                   const std::string& url = "") {
    pb::TargetRef ref;
    ref.set_job(job);
    ref.set_id(id);
    ref.set_scrape_url(url);
    return FindTarget(pools_, ref);
  }
  PoolsSnapshot pools_;
  std::string gone_;
};

TEST_F(TargetRefTest, ATargetIsFoundByIdOrUrl) {
  ASSERT_OK_AND_ASSIGN(const FoundTarget by_url, Find("", "", "http://h:2/metrics"));
  EXPECT_EQ(by_url.active->target->url, "http://h:2/metrics");
  ASSERT_OK_AND_ASSIGN(const FoundTarget by_id, Find("a", TargetId(by_url.active->target->hash)));
  EXPECT_EQ(by_id.active, by_url.active);
  ASSERT_OK_AND_ASSIGN(const FoundTarget dropped, Find("", gone_));
  EXPECT_EQ(dropped.ToTarget().drop().rule_index(), 2);
}

TEST_F(TargetRefTest, WhatFitsSeveralIsRefusedWithTheirNames) {
  const absl::Status status = Find("", "", "http://h:1/metrics").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("of job a, id "));
  EXPECT_OK(Find("b", "", "http://h:1/metrics"));
}

TEST_F(TargetRefTest, WhatIsNotThereIsNotFound) {
  EXPECT_EQ(Find("a", "0123456789abcdef").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Find("x", "", "http://h:1/metrics").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Find("a", "").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace trawl

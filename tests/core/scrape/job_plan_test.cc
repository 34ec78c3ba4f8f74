#include "core/scrape/job_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "core/config/load.h"
#include "core/scrape/job_settings.h"
#include "tests/core/scrape/scrape_world.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAreArray;

constexpr std::string_view kConfig = R"yaml(
global: {scrape_interval: 10s}
scrape_configs:
  - job_name: job
    static_configs:
      - targets: [a, b]
        labels: {team: db}
      - targets: [c]
    relabel_configs:
      - {source_labels: [__address__], regex: "z", action: drop}
    metric_relabel_configs:
      - {regex: "tmp_.*", action: labeldrop}
)yaml";

Config Load(const std::string& text) {
  absl::StatusOr<LoadResult> result = LoadConfig(text, {});
  EXPECT_OK(result.status()) << text;
  return result.ok() ? std::move(result->config) : Config();
}

// What is wanted of the job under a config: its static groups, and what somebody has pushed.
std::vector<OwnedGroup> GroupsOf(const Config& config) {
  std::vector<OwnedGroup> groups;
  const auto add = [&groups](const char* source, TargetGroup group) {
    groups.push_back({source, std::make_shared<const TargetGroup>(std::move(group))});
  };
  add("pusher", TargetGroup{"g", {"p", "z"}, Labels({{"__meta_zone", "1"}})});
  const ScrapeConfig* const job = config.FindJob("job");
  if (job == nullptr) return groups;
  for (const TargetGroup& group : job->static_configs) add("static", group);
  return groups;
}

PlannedJob JobOf(const Config& config) {
  return {config.FindJob("job"), FirstScrape::kOffset, GroupsOf(config)};
}

struct Edit {
  const char* name;
  std::string from;
  std::string to;
};

// Ten ways to edit the file.
std::vector<Edit> Edits() {
  return {
      {"nothing", "", ""},
      {"a target more", "[a, b]", "[a, b, d]"},
      {"a target less", "[a, b]", "[b]"},
      {"a label of a group", "team: db", "team: web"},
      {"the interval", "scrape_interval: 10s", "scrape_interval: 5s"},
      {"the path", "job_name: job", "job_name: job\n    metrics_path: /other"},
      {"a metric rule", "tmp_.*", "temp_.*"},
      {"a limit", "job_name: job", "job_name: job\n    sample_limit: 100"},
      {"a target rule that drops", "regex: \"z\"", "regex: \"a|p\""},
      {"a hidden label", "team: db", "team: db, __hidden: x"},
      {"groups and rules at once", "targets: [c]",
       "targets: [a, c]\n    honor_labels: true\n    basic_auth: {username: x}"},
      {"a limit on targets", "job_name: job", "job_name: job\n    target_limit: 1"},
      {"another job", "job_name: job", "job_name: other"},
  };
}

// What the reload of the real manager did to each target of the job, seen from outside.
struct Seen {
  std::map<std::string, const TargetStatus*> loops;  // by URL and public labels
  std::map<std::string, uint64_t> hashes;
};

Seen Look(const ScrapeWorld& world) {
  Seen seen;
  const auto pool = world.Pool("job");
  if (pool == nullptr) return seen;
  for (const auto& target : pool->active) {
    const std::string id =
        absl::StrCat(target->target->url, " ", target->target->labels->ToString());
    seen.loops[id] = target->status.get();
    seen.hashes[id] = target->target->hash;
  }
  return seen;
}

std::vector<std::string> Ids(const std::vector<JobPlan::TargetPtr>& targets) {
  std::vector<std::string> ids;
  for (const auto& target : targets) {
    ids.push_back(absl::StrCat(target->url, " ", target->labels->ToString()));
  }
  return ids;
}

class JobPlanTest : public ::testing::TestWithParam<Edit> {
 protected:
  // As the reload does: the config, then its sources.
  void Reload(const Config& config) {
    ASSERT_OK(world_.Apply(config.scrape_configs));
    world_.SetGroups("job", GroupsOf(config));
  }
  ScrapeWorld world_;
};

// T8.
TEST_P(JobPlanTest, SaysWhatTheReloadThenDoes) {
  const Edit& edit = GetParam();
  const std::string text(kConfig);
  const Config before = Load(text);
  const Config after =
      Load(edit.from.empty() ? text : absl::StrReplaceAll(text, {{edit.from, edit.to}}));
  ASSERT_EQ(before == after, edit.from.empty());
  for (const char* host : {"a", "b", "c", "d", "p", "z"}) world_.Serve(host, "x 1\n");
  Reload(before);
  world_.loop.Advance(absl::Seconds(30));
  const Seen was = Look(world_);
  const auto kept = world_.Pool("job");  // so that no status cell is used again

  const JobPlan plan = PlanJob(JobOf(before), JobOf(after));
  const size_t scrapes_before = world_.scrapes().size();
  Reload(after);

  const Seen is = Look(world_);
  std::vector<std::string> added;
  std::vector<std::string> removed;
  std::set<std::string> new_loops;
  size_t same_loops = 0;
  for (const auto& [id, loop] : is.loops) {
    if (!was.loops.contains(id)) {
      added.push_back(id);
    } else if (was.loops.at(id) != loop) {
      new_loops.insert(id);
    } else {
      ++same_loops;
    }
  }
  for (const auto& [id, loop] : was.loops) {
    if (!is.loops.contains(id)) removed.push_back(id);
  }
  EXPECT_THAT(Ids(plan.added), UnorderedElementsAreArray(added));
  EXPECT_THAT(Ids(plan.removed), UnorderedElementsAreArray(removed));
  std::set<std::string> restarted;
  for (const JobPlan::Restart& restart : plan.restarted) {
    restarted.insert(Ids({restart.target})[0]);
    EXPECT_THAT(restart.fields, testing::Not(IsEmpty()));
  }
  // Either the loop is another one, or all loops of the job do something else from now on.
  const bool settings_changed = !SameLoopSettings(
      *before.FindJob("job"),
      after.FindJob("job") == nullptr ? *before.FindJob("job") : *after.FindJob("job"));
  if (settings_changed) {
    EXPECT_EQ(restarted.size(), new_loops.size() + same_loops);
  } else {
    EXPECT_EQ(restarted, new_loops);
    EXPECT_EQ(plan.unchanged, same_loops);
  }

  // Those that are restarted, and keep their cache, write no stale marker.
  world_.loop.Advance(absl::Seconds(30));
  std::set<std::string> ended;
  for (size_t i = scrapes_before; i < world_.scrapes().size(); ++i) {
    const SampleLog::Scrape& scrape = world_.scrapes()[i];
    if (scrape.StaleMarkers() == 0) continue;
    for (const auto& [labels, value] : scrape.samples) ended.insert(labels);
  }
  for (const JobPlan::Restart& restart : plan.restarted) {
    const std::string instance = std::string(restart.target->labels->Get("instance"));
    const bool has_ended = std::any_of(ended.begin(), ended.end(), [&](const std::string& labels) {
      return labels.find(absl::StrCat("instance=\"", instance, "\"")) != std::string::npos;
    });
    EXPECT_FALSE(plan.keeps_cache && has_ended) << instance;
  }
}

INSTANTIATE_TEST_SUITE_P(Edits, JobPlanTest, testing::ValuesIn(Edits()), [](const auto& edit) {
  return absl::StrReplaceAll(edit.param.name, {{" ", "_"}});
});

JobPlan PlanEdit(const std::string& from, const std::string& to) {
  const Config before = Load(std::string(kConfig));
  const Config after = Load(absl::StrReplaceAll(std::string(kConfig), {{from, to}}));
  return PlanJob(JobOf(before), JobOf(after));
}

TEST(JobPlanFieldsTest, ARestartSaysWhichFieldsMadeIt) {
  const JobPlan interval = PlanEdit("scrape_interval: 10s", "scrape_interval: 5s");
  ASSERT_THAT(interval.restarted, SizeIs(4));
  EXPECT_THAT(interval.restarted[0].fields, Contains("scrape_interval"));
  EXPECT_TRUE(interval.keeps_cache);

  const JobPlan rule = PlanEdit("tmp_.*", "temp_.*");
  ASSERT_THAT(rule.restarted, SizeIs(4));
  EXPECT_THAT(rule.restarted[0].fields, ElementsAre("metric_relabel_configs[0].regex"));
  EXPECT_FALSE(rule.keeps_cache);

  const JobPlan limit = PlanEdit("job_name: job", "job_name: job\n    keep_dropped_targets: 5");
  EXPECT_THAT(limit.restarted, IsEmpty());
  EXPECT_THAT(limit.fields, ElementsAre("keep_dropped_targets"));
  EXPECT_EQ(limit.unchanged, 4);
}

TEST(JobPlanFieldsTest, ATargetThatMovesBetweenSourcesStays) {
  const Config config = Load(std::string(kConfig));
  const PlannedJob before = JobOf(config);
  PlannedJob after = before;
  std::vector<OwnedGroup> groups = GroupsOf(config);
  groups[0] = {"zz", std::make_shared<const TargetGroup>(TargetGroup{"g", {"p"}, Labels()})};
  after.groups = groups;

  const JobPlan plan = PlanJob(before, after);

  EXPECT_EQ(plan.unchanged, 4);
  EXPECT_THAT(plan.added, IsEmpty());
  EXPECT_THAT(plan.removed, IsEmpty());
}

TEST(JobPlanFieldsTest, AJobThatComesTakesWhatWasPushedForItBefore) {
  const Config config = Load(std::string(kConfig));
  PlannedJob before;
  before.groups = {GroupsOf(config)[0]};

  const JobPlan plan = PlanJob(before, JobOf(config));

  EXPECT_THAT(Ids(plan.added), SizeIs(4));
  EXPECT_THAT(plan.fields, IsEmpty());
}

TEST(JobPlanFieldsTest, FirstScrapeIsAFieldThatRestartsNobody) {
  const Config config = Load(std::string(kConfig));
  PlannedJob after = JobOf(config);
  after.first_scrape = FirstScrape::kImmediate;

  const JobPlan plan = PlanJob(JobOf(config), after);

  EXPECT_THAT(plan.fields, ElementsAre("first_scrape"));
  EXPECT_EQ(plan.unchanged, 4);
}

}  // namespace
}  // namespace trawl

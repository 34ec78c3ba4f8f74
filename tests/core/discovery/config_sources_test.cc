#include "core/discovery/config_sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/fakes/fake_event_loop.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// Keeps the callback, for the test to run after it wrote a file: inotify queues its event inside
// the write, so nothing has to be waited for.
class ManualFdWatcher final : public FdWatcher {
 public:
  void Watch(int, uint32_t, FdCallback callback) override { callback_ = std::move(callback); }
  void SetEvents(int, uint32_t) override {}
  void Unwatch(int) override { callback_ = nullptr; }
  void Fire() { callback_(kReadable); }

 private:
  FdCallback callback_;
};

class ConfigSourcesTest : public ::testing::Test {
 protected:
  ConfigSourcesTest() { std::filesystem::create_directories(directory_); }
  ~ConfigSourcesTest() override { std::filesystem::remove_all(directory_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name) << text;
  }
  ScrapeConfig& FileJob() {
    ScrapeConfig& job = config_.scrape_configs.emplace_back();
    job.job_name = "node";
    job.file_sd_configs.push_back({{(directory_ / "*.json").string()}, absl::Minutes(5)});
    return job;
  }
  void Apply() {
    bool done = false;
    sources_.ApplyAsync(std::make_shared<Config>(config_), [&] { done = true; });
    loop_.RunUntilIdle();
    EXPECT_TRUE(done);
  }
  std::vector<std::string> Targets(const std::string& job) {
    std::vector<std::string> all;
    const std::shared_ptr<const DesiredTargets> desired = discovery_.sets().Desired(job);
    for (const OwnedGroup& group : desired->groups) {
      all.insert(all.end(), group.group->targets.begin(), group.group->targets.end());
    }
    return all;
  }

  const std::filesystem::path directory_ =
      std::filesystem::path(::testing::TempDir()) /
      ("config_sources_" +
       std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
  FakeEventLoop loop_;
  ManualFdWatcher fds_;
  PosixFileSystem files_;
  prometheus::Registry registry_;
  DiscoveryMetrics metrics_{registry_};
  Discovery discovery_{
      {},
      {loop_,
       [](std::shared_ptr<const DesiredTargets>, absl::AnyInvocable<void()> done) { done(); },
       metrics_}};
  ConfigSources sources_{{loop_, fds_, files_, discovery_, metrics_}};
  Config config_;
};

TEST_F(ConfigSourcesTest, StaticTargetsFollowTheConfiguration) {
  ScrapeConfig& job = config_.scrape_configs.emplace_back();
  job.job_name = "db";
  job.static_configs = {{"0", {"a:1", "b:1"}, {}}};
  Apply();
  EXPECT_THAT(Targets("db"), ElementsAre("a:1", "b:1"));

  job.static_configs = {{"0", {"b:1"}, {}}};
  Apply();
  EXPECT_THAT(Targets("db"), ElementsAre("b:1"));

  config_.scrape_configs.clear();
  Apply();
  EXPECT_THAT(Targets("db"), IsEmpty());
}

// What was pushed under such a name could not be taken back once the configuration has one.
TEST_F(ConfigSourcesTest, ItsNamesAreNotForClientsAlsoWhileItHasNoTargets) {
  for (const char* name : {"static", "file"}) {
    Change push;
    push.source = name;
    push.groups = {{"db", {"0", {"a:1"}, {}}}};
    const ApplyResult result = discovery_.sets().Apply(push, {});
    EXPECT_EQ(result.status, ApplyStatus::kRejected);
    EXPECT_EQ(result.issues[0].code, IssueCode::kNotOwner);

    StreamHello hello;
    hello.source = name;
    hello.history_id = "h";
    EXPECT_TRUE(absl::IsPermissionDenied(discovery_.sets().Hello(hello, {}).status));
  }
}

TEST_F(ConfigSourcesTest, FilesOfAGlobAreReadAndNamedInAMetaLabel) {
  Write("one.json", R"([{"targets": ["a:1"], "labels": {"team": "x"}}])");
  Write("two.json", R"([{"targets": ["b:1"]}])");
  Write("other.txt", "not a target file");
  FileJob();
  Apply();

  EXPECT_THAT(Targets("node"), UnorderedElementsAre("a:1", "b:1"));
  auto desired = discovery_.sets().Desired("node");
  EXPECT_EQ(desired->groups[0].group->labels.Get("__meta_filepath"),
            (directory_ / "one.json").string());
  EXPECT_EQ(desired->groups[0].group->key, (directory_ / "one.json").string() + ":0");
}

TEST_F(ConfigSourcesTest, ChangedFileIsReadAtOnce) {
  Write("one.json", R"([{"targets": ["a:1"]}])");
  FileJob();
  Apply();

  Write("one.json", R"([{"targets": ["a:2"]}])");
  fds_.Fire();

  EXPECT_THAT(Targets("node"), ElementsAre("a:2"));
}

TEST_F(ConfigSourcesTest, NewAndRemovedFilesAreNoticed) {
  Write("one.json", R"([{"targets": ["a:1"]}])");
  FileJob();
  Apply();

  Write("two.json", R"([{"targets": ["b:1"]}])");
  std::filesystem::remove(directory_ / "one.json");
  fds_.Fire();

  EXPECT_THAT(Targets("node"), ElementsAre("b:1"));
}

TEST_F(ConfigSourcesTest, BadFileKeepsTheTargetsItLastGave) {
  Write("one.json", R"([{"targets": ["a:1"]}])");
  FileJob();
  Apply();

  Write("one.json", R"([{"targets": ["a:2")");
  fds_.Fire();

  EXPECT_THAT(Targets("node"), ElementsAre("a:1"));
  EXPECT_EQ(metrics_.file_read_errors_total.Value(), 1);
}

TEST_F(ConfigSourcesTest, FilesAreReadAgainEveryRefreshInterval) {
  FileJob();
  Apply();
  Write("one.json", R"([{"targets": ["a:1"]}])");

  loop_.Advance(absl::Minutes(5));

  EXPECT_THAT(Targets("node"), ElementsAre("a:1"));
}

}  // namespace
}  // namespace trawl

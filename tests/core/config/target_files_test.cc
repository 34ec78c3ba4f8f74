#include "core/config/target_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "core/base/file_system.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class TargetFilesTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) { files_.Put(path, text); }
  std::vector<std::string> Targets() {
    std::vector<std::string> targets;
    for (const TargetGroup& group : target_files_.Groups()) {
      targets.insert(targets.end(), group.targets.begin(), group.targets.end());
    }
    return targets;
  }

  MemFileSystem files_;
  TargetFiles target_files_;
};

TEST_F(TargetFilesTest, GivesTheGroupsOfEveryFileOnceWithItsPath) {
  Write("sd/a.json", R"([{"targets": ["a:1"], "labels": {"x": "y"}}, {"targets": ["a:2"]}])");
  Write("sd/b.yml", "- targets: ['b:1']");
  target_files_.SetPatterns({"sd/*.json", "sd/*.yml", "sd/a*"});

  EXPECT_THAT(target_files_.Refresh(files_), IsEmpty());
  EXPECT_THAT(Targets(), ElementsAre("a:1", "a:2", "b:1"));
  EXPECT_EQ(target_files_.Groups()[1].key, "sd/a.json:1");
  EXPECT_EQ(target_files_.Groups()[0].labels.Get("__meta_filepath"), "sd/a.json");
  EXPECT_EQ(target_files_.Groups()[0].labels.Get("x"), "y");
  EXPECT_THAT(target_files_.Directories(), ElementsAre("sd"));
}

TEST_F(TargetFilesTest, AFileThatIsWrongKeepsWhatItGaveAndOneThatIsGoneGivesNothing) {
  Write("sd/a.json", R"([{"targets": ["a:1"]}])");
  Write("sd/b.json", R"([{"targets": ["b:1"]}])");
  target_files_.SetPatterns({"sd/*.json"});
  target_files_.Refresh(files_);

  Write("sd/a.json", "[{");
  files_.Remove("sd/b.json").IgnoreError();
  const auto problems = target_files_.Refresh(files_);

  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_EQ(problems[0].path, "sd/a.json");
  EXPECT_FALSE(problems[0].pattern);
  EXPECT_THAT(Targets(), ElementsAre("a:1"));
}

TEST_F(TargetFilesTest, AFileThatStaysWrongIsToldEachTimeAndItsOldTextIsGoodAgain) {
  const std::string good = R"([{"targets": ["a:1"]}])";
  Write("sd/a.json", good);
  target_files_.SetPatterns({"sd/*.json"});
  target_files_.Refresh(files_);
  Write("sd/a.json", "[{");

  for (int i = 0; i < 2; ++i) EXPECT_THAT(target_files_.Refresh(files_), SizeIs(1));
  Write("sd/a.json", good);

  EXPECT_THAT(target_files_.Refresh(files_), IsEmpty());
  EXPECT_THAT(Targets(), ElementsAre("a:1"));
  Write("sd/a.json", R"([{"targets": ["a:2"]}])");
  target_files_.Refresh(files_);
  EXPECT_THAT(Targets(), ElementsAre("a:2"));
}

TEST_F(TargetFilesTest, AHiddenFileIsReadAsPrometheusReadsIt) {
  Write("sd/.h.yml", "- targets: ['h:1']");
  target_files_.SetPatterns({"sd/*.yml"});

  EXPECT_THAT(target_files_.Refresh(files_), IsEmpty());
  EXPECT_THAT(Targets(), ElementsAre("h:1"));
}

TEST_F(TargetFilesTest, APipeAmongTheFilesIsToldAtOnceAndTheOthersAreRead) {
  PosixFileSystem real;
  std::string directory = ::testing::TempDir() + "target_files_XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const std::string pipe = directory + "/a.json";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::ofstream(directory + "/b.json") << R"([{"targets": ["b:1"]}])";
  target_files_.SetPatterns({directory + "/*.json"});

  const auto problems = target_files_.Refresh(real);

  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_EQ(problems[0].path, pipe);
  EXPECT_THAT(Targets(), ElementsAre("b:1"));
  std::filesystem::remove_all(directory);
}

TEST_F(TargetFilesTest, ADirectoryThatDoesNotExistHoldsNoFile) {
  target_files_.SetPatterns({"nowhere/*.json"});

  EXPECT_THAT(target_files_.Refresh(files_), IsEmpty());
  EXPECT_THAT(Targets(), IsEmpty());
}

TEST_F(TargetFilesTest, OtherPatternsKeepTheFilesThatTheyNameAsWell) {
  Write("sd/a.json", R"([{"targets": ["a:1"]}])");
  target_files_.SetPatterns({"sd/*.json"});
  target_files_.Refresh(files_);
  Write("sd/a.json", "[{");

  target_files_.SetPatterns({"sd/a*"});
  target_files_.Refresh(files_);
  EXPECT_THAT(Targets(), ElementsAre("a:1"));
}

}  // namespace
}  // namespace trawl

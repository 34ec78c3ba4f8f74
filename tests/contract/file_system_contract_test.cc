#include "tests/contract/file_system_contract.h"

#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <string>

#include "core/base/regular_file.h"
#include "tests/fakes/mem_file_system.h"

namespace trawl {
namespace {

class PosixUnderTest final : public FileSystemUnderTest {
 public:
  PosixUnderTest() {
    std::string pattern = ::testing::TempDir() + "trawl_fs_XXXXXX";
    root_ = mkdtemp(pattern.data());
  }
  ~PosixUnderTest() override { std::filesystem::remove_all(root_); }
  FileSystem& fs() override { return fs_; }
  std::string root() const override { return root_; }

 private:
  std::string root_;
  PosixFileSystem fs_;
};

class MemUnderTest final : public FileSystemUnderTest {
 public:
  MemUnderTest() { EXPECT_OK(fs_.CreateDirectory(root())); }
  FileSystem& fs() override { return fs_; }
  std::string root() const override { return "/data"; }

 private:
  MemFileSystem fs_;
};

template <typename UnderTest>
std::unique_ptr<FileSystemUnderTest> Make() {
  return std::make_unique<UnderTest>();
}

INSTANTIATE_TEST_SUITE_P(PosixFileSystem, FileSystemContractTest,
                         ::testing::Values(&Make<PosixUnderTest>));
INSTANTIATE_TEST_SUITE_P(MemFileSystem, FileSystemContractTest,
                         ::testing::Values(&Make<MemUnderTest>));

// Nobody ever opens the other end.
TEST(PosixFileSystemTest, APipeIsRefusedAtOnce) {
  PosixUnderTest under_test;
  const std::string path = under_test.root() + "/pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);

  const auto refused =
      StatusIs(absl::StatusCode::kFailedPrecondition, ::testing::HasSubstr("no regular file"));
  EXPECT_THAT(under_test.fs().OpenForRead(path), refused);
  EXPECT_THAT(under_test.fs().OpenForUpdate(path), refused);
  EXPECT_THAT(under_test.fs().OpenForAppend(path, true), refused);
  EXPECT_THAT(ReadRegularFile(under_test.fs(), path), refused);
}

}  // namespace
}  // namespace trawl

#include "server/data_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixMillis(1'700'000'000'000);

TEST(DataDirectoryTest, AWriterKeepsItsIdAndEachRunHasAHigherEpoch) {
  MemFileSystem files;
  std::string id;
  uint64_t epoch = 0;
  {
    ASSERT_OK_AND_ASSIGN(const DataDirectory first, OpenDataDirectory(files, "data", kNow));
    id = first.writer_id;
    epoch = first.epoch;
    EXPECT_EQ(id.size(), 32u);
    EXPECT_EQ(epoch, 1'700'000'000'000u);
  }
  // The clock went back.
  ASSERT_OK_AND_ASSIGN(const DataDirectory second,
                       OpenDataDirectory(files, "data", kNow - absl::Hours(1)));

  EXPECT_EQ(second.writer_id, id);
  EXPECT_EQ(second.epoch, epoch + 1);
}

TEST(DataDirectoryTest, OneProcessAtATime) {
  MemFileSystem files;
  ASSERT_OK_AND_ASSIGN(const DataDirectory first, OpenDataDirectory(files, "data", kNow));

  EXPECT_THAT(OpenDataDirectory(files, "data", kNow),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(DataDirectoryTest, AStoresDirectoryIsRefused) {
  MemFileSystem files;
  ASSERT_OK(files.CreateDirectory("data"));
  ASSERT_OK_AND_ASSIGN(const auto lock, files.Lock("data/trawl-store.lock"));

  EXPECT_THAT(OpenDataDirectory(files, "data", kNow),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("is trawl-store's")));
}

TEST(DataDirectoryTest, ADamagedEpochIsNotTakenForNone) {
  MemFileSystem files;
  ASSERT_OK(files.CreateDirectory("data"));
  ASSERT_OK(WriteFileDurably(files, "data/epoch", "17x\n"));

  EXPECT_THAT(OpenDataDirectory(files, "data", kNow), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(DataDirectoryTest, ADamagedWriterIdIsNotReplaced) {
  MemFileSystem files;
  ASSERT_OK(files.CreateDirectory("data"));
  ASSERT_OK(WriteFileDurably(files, "data/writer-id", "\n"));

  EXPECT_THAT(OpenDataDirectory(files, "data", kNow), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace trawl

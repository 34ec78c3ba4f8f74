#include "server/data_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "absl/random/random.h"
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

// Nobody ever opens the other end.
TEST(DataDirectoryTest, APipeInPlaceOfAFileIsRefusedAtOnce) {
  for (const char* const name : {"writer-id", "epoch", "trawl-store.lock"}) {
    SCOPED_TRACE(name);
    std::string path = ::testing::TempDir() + "trawl_data_XXXXXX";
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    ASSERT_EQ(mkfifo((path + "/" + name).c_str(), 0600), 0);
    PosixFileSystem files;

    const absl::Status status = OpenDataDirectory(files, path, kNow).status();

    if (std::string(name) == "trawl-store.lock") {
      EXPECT_OK(status) << "no store's";
    } else {
      EXPECT_THAT(status,
                  StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("no regular file")));
    }
    std::filesystem::remove_all(path);
  }
}

TEST(DataDirectoryTest, ADamagedEpochIsNotTakenForNone) {
  MemFileSystem files;
  ASSERT_OK(files.CreateDirectory("data"));
  ASSERT_OK(WriteFileDurably(files, "data/epoch", "17x\n"));

  EXPECT_THAT(OpenDataDirectory(files, "data", kNow), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(DataDirectoryTest, AFullDiskStopsNoStartButTheFirst) {
  MemFileSystem files;
  ASSERT_OK(OpenDataDirectory(files, "data", kNow).status());
  files.SetCapacity(0);

  for (uint64_t run = 1; run < 5; ++run) {
    ASSERT_OK_AND_ASSIGN(const DataDirectory again, OpenDataDirectory(files, "data", kNow));
    EXPECT_EQ(again.epoch, 1'700'000'000'000u + run);
  }
}

TEST(DataDirectoryTest, AnEpochOfTheFormerFormatIsReadAndExceeded) {
  MemFileSystem files;
  files.Put("data/epoch", "1800000000000\n");

  for (uint64_t run = 1; run < 4; ++run) {
    ASSERT_OK_AND_ASSIGN(const DataDirectory next, OpenDataDirectory(files, "data", kNow));
    EXPECT_EQ(next.epoch, 1'800'000'000'000u + run);
  }
}

TEST(DataDirectoryTest, AnEpochThatWasGivenIsNotGivenAgainAfterAPowerLoss) {
  absl::BitGen random;
  for (int round = 0; round < 50; ++round) {
    MemFileSystem files;
    uint64_t last = 0;
    for (int run = 0; run < 20; ++run) {
      // Some starts are cut off anywhere.
      if (run % 2 == 1) files.FailAfter(absl::Uniform(random, 0, 8), absl::UnknownError("cut"));
      const absl::StatusOr<DataDirectory> opened = OpenDataDirectory(files, "data", kNow);
      files.FailAfter(-1, absl::OkStatus());
      if (opened.ok()) {
        EXPECT_GT(opened->epoch, last);
        last = opened->epoch;
      } else {
        EXPECT_THAT(opened.status(), StatusIs(absl::StatusCode::kUnknown));
      }
      files.LosePowerUnevenly(random);
    }
    ASSERT_OK(OpenDataDirectory(files, "data", kNow).status());
  }
}

TEST(DataDirectoryTest, ASlotThatIsTornAtAnyByteLeavesTheOneBefore) {
  MemFileSystem files;
  ASSERT_OK(OpenDataDirectory(files, "data", kNow).status());
  ASSERT_OK_AND_ASSIGN(const std::string before, files.ReadFile("data/epoch"));
  ASSERT_OK_AND_ASSIGN(const DataDirectory second, OpenDataDirectory(files, "data", kNow));
  ASSERT_OK_AND_ASSIGN(const std::string after, files.ReadFile("data/epoch"));
  ASSERT_EQ(before.size(), after.size());

  for (size_t cut = 0; cut <= after.size(); cut += 7) {
    MemFileSystem torn;
    torn.Put("data/writer-id", second.writer_id);
    torn.Put("data/epoch", after.substr(0, cut) + before.substr(cut));
    ASSERT_OK_AND_ASSIGN(const DataDirectory next, OpenDataDirectory(torn, "data", kNow));
    EXPECT_GT(next.epoch, 1'700'000'000'000u);
    EXPECT_LE(next.epoch, second.epoch + 1);
  }
}

TEST(DataDirectoryTest, ASlotThatIsDamagedIsNotBelieved) {
  MemFileSystem files;
  for (int run = 0; run < 2; ++run) ASSERT_OK(OpenDataDirectory(files, "data", kNow).status());
  ASSERT_OK_AND_ASSIGN(std::string content, files.ReadFile("data/epoch"));
  content[content.find("17")] = '9';  // the first digit of the first run's
  files.Put("data/epoch", content);

  ASSERT_OK_AND_ASSIGN(const DataDirectory next, OpenDataDirectory(files, "data", kNow));

  EXPECT_EQ(next.epoch, 1'700'000'000'002u);
}

TEST(DataDirectoryTest, ADamagedWriterIdIsNotReplaced) {
  MemFileSystem files;
  ASSERT_OK(files.CreateDirectory("data"));
  ASSERT_OK(WriteFileDurably(files, "data/writer-id", "\n"));

  EXPECT_THAT(OpenDataDirectory(files, "data", kNow), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace trawl

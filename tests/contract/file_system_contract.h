#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "core/base/file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {

// A file system and an empty directory in it.
class FileSystemUnderTest {
 public:
  virtual ~FileSystemUnderTest() = default;
  virtual FileSystem& fs() = 0;
  virtual std::string root() const = 0;
};

using FileSystemFactory = std::unique_ptr<FileSystemUnderTest> (*)();

// What file_system.h promises, as far as it shows without a power loss.
class FileSystemContractTest : public ::testing::TestWithParam<FileSystemFactory> {
 protected:
  std::string Path(const std::string& name) const { return under_test_->root() + "/" + name; }

  void Append(const std::string& name, std::string_view bytes, bool truncate = false) {
    ASSERT_OK_AND_ASSIGN(const auto file, fs_.OpenForAppend(Path(name), truncate));
    ASSERT_OK(file->Append(bytes));
    ASSERT_OK(file->Sync());
  }

  const std::unique_ptr<FileSystemUnderTest> under_test_ = GetParam()();
  FileSystem& fs_ = under_test_->fs();
};

TEST_P(FileSystemContractTest, WhatWasAppendedIsRead) {
  ASSERT_OK_AND_ASSIGN(const auto file, fs_.OpenForAppend(Path("a"), false));
  EXPECT_OK(file->Append("one"));
  EXPECT_OK(file->Append(std::string_view("\0two", 4)));

  EXPECT_THAT(fs_.ReadFile(Path("a")), IsOkAndHolds(std::string("one\0two", 7)));
}

TEST_P(FileSystemContractTest, OpeningAgainAppends) {
  Append("a", "one");
  Append("a", "two");

  EXPECT_THAT(fs_.ReadFile(Path("a")), IsOkAndHolds("onetwo"));
}

TEST_P(FileSystemContractTest, OpeningWithTruncateStartsAnew) {
  Append("a", "one");
  Append("a", "two", true);

  EXPECT_THAT(fs_.ReadFile(Path("a")), IsOkAndHolds("two"));
}

TEST_P(FileSystemContractTest, AMissingFileIsNotFound) {
  EXPECT_THAT(fs_.ReadFile(Path("a")),
              StatusIs(absl::StatusCode::kNotFound, ::testing::HasSubstr(Path("a"))));
  EXPECT_THAT(fs_.Remove(Path("a")), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(fs_.Rename(Path("a"), Path("b")), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(fs_.List(Path("a")), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(fs_.SyncDirectory(Path("a")), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(FileSystemContractTest, AFileInAMissingDirectoryCannotBeOpened) {
  EXPECT_THAT(fs_.OpenForAppend(Path("missing/a"), false), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(fs_.Lock(Path("missing/lock")), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(FileSystemContractTest, ADirectoryIsOpenedAsNoFile) {
  ASSERT_OK(fs_.CreateDirectory(Path("a")));

  const auto refused = StatusIs(absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(fs_.OpenForRead(Path("a")), refused);
  EXPECT_THAT(fs_.OpenForUpdate(Path("a")), refused);
  EXPECT_THAT(fs_.OpenForAppend(Path("a"), false), refused);
}

TEST_P(FileSystemContractTest, RenameReplaces) {
  Append("a", "one");
  Append("b", "two");

  EXPECT_OK(fs_.Rename(Path("a"), Path("b")));

  EXPECT_THAT(fs_.ReadFile(Path("b")), IsOkAndHolds("one"));
  EXPECT_THAT(fs_.ReadFile(Path("a")), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(FileSystemContractTest, AnOpenFileFollowsItsRename) {
  ASSERT_OK_AND_ASSIGN(const auto file, fs_.OpenForAppend(Path("a"), false));
  ASSERT_OK(fs_.Rename(Path("a"), Path("b")));

  EXPECT_OK(file->Append("late"));

  EXPECT_THAT(fs_.ReadFile(Path("b")), IsOkAndHolds("late"));
}

TEST_P(FileSystemContractTest, ARemovedFileIsGone) {
  Append("a", "one");

  EXPECT_OK(fs_.Remove(Path("a")));

  EXPECT_THAT(fs_.ReadFile(Path("a")), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(FileSystemContractTest, CreateDirectoryMakesParentsAndAcceptsWhatIsThere) {
  EXPECT_OK(fs_.CreateDirectory(Path("x/y/z")));
  EXPECT_OK(fs_.CreateDirectory(Path("x/y/z")));
  Append("x/y/z/a", "one");

  EXPECT_THAT(fs_.ReadFile(Path("x/y/z/a")), IsOkAndHolds("one"));
  EXPECT_OK(fs_.SyncDirectory(Path("x/y/z")));
}

TEST_P(FileSystemContractTest, ADirectoryCannotTakeAFilesPlace) {
  Append("a", "one");

  EXPECT_FALSE(fs_.CreateDirectory(Path("a")).ok());
  EXPECT_FALSE(fs_.CreateDirectory(Path("a/b")).ok());
}

TEST_P(FileSystemContractTest, ListGivesSortedNames) {
  Append("b", "");
  Append("a", "");
  ASSERT_OK(fs_.CreateDirectory(Path("c")));
  Append("c/inner", "");

  EXPECT_THAT(fs_.List(under_test_->root()), IsOkAndHolds(::testing::ElementsAre("a", "b", "c")));
  EXPECT_THAT(fs_.List(Path("c")), IsOkAndHolds(::testing::ElementsAre("inner")));
}

TEST_P(FileSystemContractTest, ALockIsHeldOnceUntilItGoes) {
  ASSERT_OK_AND_ASSIGN(auto lock, fs_.Lock(Path("lock")));
  EXPECT_THAT(fs_.Lock(Path("lock")), StatusIs(absl::StatusCode::kFailedPrecondition,
                                               ::testing::HasSubstr("held by process ")));

  lock.reset();

  EXPECT_OK(fs_.Lock(Path("lock")));
}

TEST_P(FileSystemContractTest, AnyPartOfAFileIsRead) {
  Append("a", "0123456789");
  ASSERT_OK_AND_ASSIGN(const auto file, fs_.OpenForRead(Path("a")));

  EXPECT_THAT(file->ReadAt(3, 4), IsOkAndHolds("3456"));
  EXPECT_THAT(file->ReadAt(8, 100), IsOkAndHolds("89"));
  EXPECT_THAT(file->ReadAt(10, 1), IsOkAndHolds(""));
  EXPECT_THAT(file->ReadAt(50, 1), IsOkAndHolds(""));
  EXPECT_THAT(file->Size(), IsOkAndHolds(10u));
  EXPECT_THAT(fs_.OpenForRead(Path("b")), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(FileSystemContractTest, AnOpenFileIsReadAsItGrowsAndAfterItsRemoval) {
  Append("a", "one");
  ASSERT_OK_AND_ASSIGN(const auto file, fs_.OpenForRead(Path("a")));

  Append("a", "two");
  EXPECT_THAT(file->ReadAt(0, 10), IsOkAndHolds("onetwo"));
  ASSERT_OK(fs_.Remove(Path("a")));

  EXPECT_THAT(file->ReadAt(0, 10), IsOkAndHolds("onetwo"));
}

TEST_P(FileSystemContractTest, BytesAreReplacedWhereTheyAre) {
  Append("a", "0123456789");
  ASSERT_OK_AND_ASSIGN(const auto file, fs_.OpenForUpdate(Path("a")));
  ASSERT_OK_AND_ASSIGN(const auto fresh, fs_.OpenForUpdate(Path("b")));

  EXPECT_OK(file->WriteAt(2, "ab"));
  EXPECT_OK(file->WriteAt(9, "cd"));
  EXPECT_OK(file->Sync());
  EXPECT_OK(fresh->WriteAt(2, "x"));

  EXPECT_THAT(fs_.ReadFile(Path("a")), IsOkAndHolds("01ab45678cd"));
  EXPECT_THAT(fs_.ReadFile(Path("b")), IsOkAndHolds(std::string("\0\0x", 3)));
}

TEST_P(FileSystemContractTest, FreeSpaceIsKnown) {
  ASSERT_OK_AND_ASSIGN(const uint64_t free, fs_.FreeBytes(under_test_->root()));

  EXPECT_GT(free, 0u);
  EXPECT_THAT(fs_.FreeBytes(Path("missing")), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(FileSystemContractTest, AnEmptyDirectoryIsRemovedAndAFullOneIsNot) {
  ASSERT_OK(fs_.CreateDirectory(Path("x/y")));
  Append("x/y/a", "one");

  EXPECT_FALSE(fs_.Remove(Path("x/y")).ok());
  EXPECT_FALSE(fs_.Remove(Path("x")).ok());
  ASSERT_OK(fs_.Remove(Path("x/y/a")));

  EXPECT_OK(fs_.Remove(Path("x/y")));
  EXPECT_OK(fs_.Remove(Path("x")));
  EXPECT_THAT(fs_.List(Path("x")), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(FileSystemContractTest, WriteFileDurablyReplacesAndLeavesNothingElse) {
  EXPECT_OK(WriteFileDurably(fs_, Path("a"), "one"));
  EXPECT_OK(WriteFileDurably(fs_, Path("a"), "two"));

  EXPECT_THAT(fs_.ReadFile(Path("a")), IsOkAndHolds("two"));
  EXPECT_THAT(fs_.List(under_test_->root()), IsOkAndHolds(::testing::ElementsAre("a")));
}

}  // namespace trawl

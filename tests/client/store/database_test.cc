#include "client/store/sqlite/database.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "client/store/sqlite/sqlite_file.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

// While it is there the databases that SQLite opens, in all of the process, can't grow: writing
// one, and mapping its -shm, which is extended for that, fail with `code` and `error`, or opening
// does.
class FailingDisk {
 public:
  FailingDisk(int code, int error) : real_(sqlite3_vfs_find(nullptr)), shim_(*real_) {
    instance_ = this;
    code_ = code;
    errno_ = error;
    shim_.zName = "failing-disk";
    shim_.xOpen = &Open;
    sqlite3_vfs_register(&shim_, /*makeDflt=*/1);
  }
  ~FailingDisk() { sqlite3_vfs_unregister(&shim_); }

 private:
  static int Open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
    if (instance_->code_ == SQLITE_CANTOPEN) return Fail();
    const int result = instance_->real_->xOpen(instance_->real_, name, file, flags, out);
    if (result != SQLITE_OK || (flags & SQLITE_OPEN_MAIN_DB) == 0) return result;
    instance_->methods_ = *file->pMethods;
    instance_->methods_.xWrite = &Write;
    instance_->methods_.xShmMap = &MapShared;
    file->pMethods = &instance_->methods_;
    return result;
  }
  static int Fail() {
    errno = instance_->errno_;
    return instance_->code_;
  }
  static int Write(sqlite3_file*, const void*, int, sqlite3_int64) { return Fail(); }
  static int MapShared(sqlite3_file*, int, int, int, void volatile**) { return Fail(); }

  static FailingDisk* instance_;
  sqlite3_vfs* const real_;
  sqlite3_vfs shim_;
  sqlite3_io_methods methods_ = {};
  int code_ = 0;
  int errno_ = 0;
};

FailingDisk* FailingDisk::instance_ = nullptr;

class DatabaseTest : public ::testing::Test {
 protected:
  DatabaseTest() { EXPECT_NE(mkdtemp(directory_.data()), nullptr); }
  ~DatabaseTest() override { std::filesystem::remove_all(directory_); }

  std::string directory_ = testing::TempDir() + "trawl_database_XXXXXX";
};

TEST_F(DatabaseTest, AFullDiskIsToldFromOneThatFailsWhereverItShows) {
  const std::string fresh = directory_ + "/new.db";
  const std::string old = directory_ + "/old.db";
  ASSERT_OK(OpenSqliteForWriting(old));  // from now on opening it maps -shm first
  for (const std::string& path : {fresh, old}) {
    for (const int code : {SQLITE_FULL, SQLITE_IOERR_SHMSIZE}) {
      const FailingDisk disk(code, 0);
      EXPECT_THAT(OpenSqliteForWriting(path), StatusIs(absl::StatusCode::kResourceExhausted));
    }
    {
      const FailingDisk disk(SQLITE_CANTOPEN, ENOSPC);
      EXPECT_THAT(OpenSqliteForWriting(path), StatusIs(absl::StatusCode::kResourceExhausted));
    }
    const FailingDisk disk(SQLITE_IOERR, EIO);
    EXPECT_THAT(OpenSqliteForWriting(path), StatusIs(absl::StatusCode::kUnknown));
  }
  for (const std::string& path : {fresh, old}) EXPECT_OK(OpenSqliteForWriting(path));
}

}  // namespace
}  // namespace trawl

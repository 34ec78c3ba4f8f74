#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/store/sqlite/database.h"
#include "client/store/sqlite/sqlite_backend.h"
#include "client/store/store_sessions.h"
#include "tests/client/store/test_writer.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

constexpr int64_t kT0 = 1'767'225'600'000;  // FakeEventLoop's start

// What a power loss would leave of a SQLite file's parts: the bytes that each had when it was
// synced last. Stands before SQLite's own file system from construction on, for all of the process.
class SyncedFiles {
 public:
  using Image = std::map<std::string, std::string>;  // by path

  SyncedFiles() : real_(*sqlite3_vfs_find(nullptr)), shim_(real_) {
    instance_ = this;
    shim_.zName = "synced-files";
    shim_.xOpen = &Open;
    sqlite3_vfs_register(&shim_, /*makeDflt=*/1);
  }
  ~SyncedFiles() {
    sqlite3_vfs_unregister(&shim_);
    instance_ = nullptr;
  }

  // After each sync there was.
  const std::vector<Image>& images() const { return images_; }
  const Image& now() const { return now_; }

 private:
  struct File {
    std::string path;
    const sqlite3_io_methods* real = nullptr;
    sqlite3_io_methods shim = {};
  };

  static int Open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
    const int result = instance_->real_.xOpen(&instance_->real_, name, file, flags, out);
    if (result != SQLITE_OK || name == nullptr || file->pMethods == nullptr) return result;
    File& opened = instance_->files_[file];
    opened.path = name;
    opened.real = file->pMethods;
    opened.shim = *file->pMethods;
    opened.shim.xSync = &Sync;
    opened.shim.xClose = &Close;
    file->pMethods = &opened.shim;
    return result;
  }

  static int Sync(sqlite3_file* file, int flags) {
    const File& synced = instance_->files_[file];
    const int result = synced.real->xSync(file, flags);
    std::ifstream in(synced.path, std::ios::binary);
    instance_->now_[synced.path] = {std::istreambuf_iterator<char>(in),
                                    std::istreambuf_iterator<char>()};
    instance_->images_.push_back(instance_->now_);
    return result;
  }

  static int Close(sqlite3_file* file) {
    const auto closed = instance_->files_.extract(file);
    return closed.mapped().real->xClose(file);
  }

  static inline SyncedFiles* instance_ = nullptr;
  sqlite3_vfs real_;
  sqlite3_vfs shim_;
  std::map<sqlite3_file*, File> files_;
  Image now_;
  std::vector<Image> images_;
};

class SqlitePowerLossTest : public ::testing::Test {
 protected:
  SqlitePowerLossTest()
      : directory_(std::filesystem::path(::testing::TempDir()) / "sqlite_power_loss") {
    std::filesystem::remove_all(directory_);
    options_.path = (directory_ / "samples.db").string();
  }
  ~SqlitePowerLossTest() override { std::filesystem::remove_all(directory_); }

  // The files as the image has them, and nothing else; the lane as the store then knows it.
  LaneState After(const SyncedFiles::Image& image) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    for (const auto& [path, bytes] : image) std::ofstream(path, std::ios::binary) << bytes;
    auto backend = SqliteBackendFactory(options_, fs_)(loop_);
    EXPECT_TRUE(backend.ok()) << backend.status();
    if (!backend.ok()) return {};
    return (*backend)->FindLane({"w1", 10, 0}).value_or(LaneState{});
  }
  int64_t StoredSamples() {
    auto database = SqlDatabase::Open(options_.path, SqlDatabase::Mode::kReadOnly);
    EXPECT_TRUE(database.ok()) << database.status();
    return (*database)->QueryInt("SELECT count(*) FROM samples").value_or(-1);
  }

  const std::filesystem::path directory_;
  PosixFileSystem fs_;
  FakeEventLoop loop_;
  SqliteOptions options_;
};

TEST_F(SqlitePowerLossTest, WhatWasAckedIsThereAndNumbersFitTheSamplesAtEverySync) {
  std::vector<std::pair<uint64_t, SyncedFiles::Image>> acked;
  std::vector<SyncedFiles::Image> images;
  {
    SyncedFiles files;
    auto backend = SqliteBackendFactory(options_, fs_)(loop_);
    ASSERT_THAT(backend, IsOk());
    StoreSessions sessions({.version = "test"}, {.loop = loop_, .backend = **backend});
    TestWriter writer;
    const LayoutPtr target = writer.Target("a:1", {"m", "n"});
    auto wire = std::make_shared<FakeStoreStream>();
    sessions.OnOpened(1, wire);
    sessions.OnRequest(1, TestWriter::Hello());
    for (int scrape = 0; scrape < 12; ++scrape) {
      const uint64_t first = writer.last_number() + 1;
      writer.Scrape(target, kT0 + scrape * 1000, {1.0 * scrape, 2});
      sessions.OnRequest(1, writer.Records(first, writer.last_number()));
      loop_.Advance(absl::Milliseconds(200));
      ASSERT_EQ(wire->last_ack().durable(), writer.last_number());
      acked.emplace_back(wire->last_ack().durable(), files.now());
    }
    images = files.images();
  }
  EXPECT_GE(images.size(), 12u);

  for (const auto& [durable, image] : acked) EXPECT_GE(After(image).durable, durable);
  size_t known = 0;
  for (const SyncedFiles::Image& image : images) {
    const LaneState lane = After(image);
    if (lane.durable == 0) continue;
    ++known;
    // Record 1 is a definition; each other one is a scrape of two samples.
    EXPECT_EQ(StoredSamples(), static_cast<int64_t>(2 * (lane.durable - 1)));
    EXPECT_EQ(lane.totals.stored, 2 * (lane.durable - 1));
  }
  EXPECT_GE(known, 12u);
}

}  // namespace
}  // namespace trawl

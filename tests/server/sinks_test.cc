#include "server/sinks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <prometheus/registry.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/hash.h"
#include "core/model/layout.h"
#include "server/await.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Names(const SinkFlags& flags, const Config& config) {
  std::vector<std::string> names;
  for (const SinkSpec& spec : DesiredSinks(flags, config)) names.push_back(spec.name);
  return names;
}

Config WithRemoteWrite(const std::string& name) {
  Config config;
  config.remote_writes.push_back({.url = "http://h/", .name = name});
  return config;
}

TEST(DesiredSinksTest, SqliteStoresWhatNobodyElseDoes) {
  EXPECT_THAT(Names({.default_embedded_path = "d/samples.db"}, {}), ElementsAre("embedded"));
  EXPECT_EQ(DesiredSinks({.default_embedded_path = "d/samples.db"}, {})[0].address, "d/samples.db");
  EXPECT_THAT(Names({.storage_address = "a:1"}, {}), ElementsAre("storage"));
  EXPECT_THAT(Names({}, WithRemoteWrite("mimir")), ElementsAre("mimir"));
}

TEST(DesiredSinksTest, SqliteThatIsAskedForStandsBesideTheOthers) {
  const SinkFlags flags{.storage_address = "a:1", .embedded_path = "x.db"};

  EXPECT_THAT(Names(flags, WithRemoteWrite("mimir")), ElementsAre("storage", "embedded", "mimir"));
}

TEST(DesiredSinksTest, NamesAreUnique) {
  EXPECT_THAT(Names({.storage_address = "a:1"}, WithRemoteWrite("storage")),
              ElementsAre("storage", "storage-remote"));
}

// A remote-write endpoint that takes everything, unless the test says otherwise, and remembers who
// sent it.
class Endpoint {
 public:
  Endpoint() {
    server_.Post("/write", [this](const httplib::Request& request, httplib::Response& response) {
      MutexLock lock(mutex_);
      response.status = status_;
      authorizations_.push_back(request.get_header_value("Authorization"));
      changed_.NotifyAll();
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    // A server that is stopped before it listens goes on.
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~Endpoint() {
    server_.stop();
    thread_.join();
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/write"; }
  // From now on.
  void Answer(int status) {
    MutexLock lock(mutex_);
    status_ = status;
  }
  // Of the first `count` requests.
  std::vector<std::string> Wait(size_t count) {
    MutexLock lock(mutex_);
    while (authorizations_.size() < count) changed_.Wait(mutex_);
    return authorizations_;
  }

 private:
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
  Mutex mutex_;
  CondVar changed_;
  int status_ TRAWL_GUARDED_BY(mutex_) = 204;
  std::vector<std::string> authorizations_ TRAWL_GUARDED_BY(mutex_);
};

// One shard, and its sinks.
class SinksTest : public ::testing::Test {
 protected:
  SinksTest() {
    ShardThread::Options options;
    options.lane.identity = {.writer_id = "w1", .incarnation = 10, .epoch = 10};
    options.lane.max_segment_bytes = 1;  // each scrape stands in one of its own
    shard_ = std::make_unique<ShardThread>(
        options, ShardThread::Deps{clock_, budget_, scrape_metrics_, EarlierLanes::Callbacks{}});
    sinks_ = std::make_unique<Sinks>(
        Sinks::Options{.data_dir = "data", .version = "test", .epoch = 10},
        Sinks::Deps{clock_, loop_, files_, {shard_.get()}, append_metrics_, {}});
    const Labels target{{"instance", "a:1"}, {"job", "node"}};
    const KeyId key = keys_.Intern({Labels{{"__name__", "m"}}});
    layout_ = std::make_shared<Layout>(keys_, std::make_shared<const Labels>(target),
                                       std::vector<KeyId>{key}, 0, LayoutPatch{});
    keys_.Unref(key);
  }
  ~SinksTest() override {
    sinks_->Shutdown(absl::ZeroDuration());
    shard_->Shutdown();
  }

  static SinkSpec RemoteWrite(const std::string& name, const Endpoint& to,
                              const std::string& token) {
    RemoteWriteConfig config{.url = to.url(), .name = name};
    config.http.authorization.emplace().credentials.value = token;
    return {name, status::v1::Sink::REMOTE_WRITE, to.url(), config};
  }
  static SinkSpec Service(const std::string& name, const std::string& address) {
    return {name, status::v1::Sink::STORAGE_SERVICE, address, std::nullopt};
  }
  static SinkSpec Embedded(const std::string& path) {
    return {"embedded", status::v1::Sink::EMBEDDED, path, std::nullopt};
  }
  static SinkSpec WithoutCa(SinkSpec spec) {
    spec.remote_write->http.tls_config.ca.file = "/nowhere/ca.pem";
    return spec;
  }

  void Scrape() {
    const std::vector<double> values = {1};
    ScrapeBatch batch;
    batch.layout = layout_;
    batch.timestamp_ms = ++time_ms_;
    batch.values = values;
    absl::Status appended;
    RunOn(shard_->loop(), [&] { appended = shard_->lane().Append(batch); });
    ASSERT_TRUE(appended.ok()) << appended;
  }
  // What the lane's only sink is like when it has everything.
  SinkStatus WaitForAll() {
    Awaited<bool> drained;
    LaneStatus status;
    RunOn(shard_->loop(), [&] {
      shard_->lane().Drain(absl::Seconds(60), [drained](bool all) { drained.Set(all); });
    });
    EXPECT_TRUE(drained.Wait());
    RunOn(shard_->loop(), [&] { status = shard_->lane().Snapshot(); });
    return status.sinks.at(0);
  }
  std::vector<std::string> SinkNames() const {
    std::vector<std::string> names;
    for (const SinkDescription& sink : sinks_->Descriptions()) names.push_back(sink.name);
    return names;
  }

  SystemClock clock_;
  FakeEventLoop loop_;  // the main thread's
  MemFileSystem files_;
  prometheus::Registry registry_;
  ScrapeMetrics scrape_metrics_{registry_};
  AppendMetrics append_metrics_{registry_};
  DescriptorBudget budget_{16};
  KeyTable keys_;
  LayoutPtr layout_;
  int64_t time_ms_ = 1'767'225'600'000;
  Endpoint one_;
  Endpoint two_;
  std::unique_ptr<ShardThread> shard_;
  std::unique_ptr<Sinks> sinks_;
};

TEST_F(SinksTest, ANewTokenCountsFromTheNextRequestOn) {
  ASSERT_OK(sinks_->Apply({RemoteWrite("one", one_, "old")}));
  Scrape();
  EXPECT_THAT(one_.Wait(1), ElementsAre("Bearer old"));

  ASSERT_OK(sinks_->Apply({RemoteWrite("one", one_, "new")}));
  Scrape();

  EXPECT_EQ(one_.Wait(2).back(), "Bearer new");
}

TEST_F(SinksTest, AChangeThatIsRejectedAtOneSinkChangesNone) {
  const std::vector<SinkSpec> before = {RemoteWrite("one", one_, "old"),
                                        RemoteWrite("two", two_, "old")};
  ASSERT_OK(sinks_->Apply(before));
  const std::vector<SinkSpec> half = {RemoteWrite("one", one_, "new"),
                                      WithoutCa(RemoteWrite("two", two_, "new"))};

  EXPECT_THAT(sinks_->Apply(half), StatusIs(testing::Not(absl::StatusCode::kOk),
                                            AllOf(HasSubstr("ca.pem"), HasSubstr("sink two"))));
  Scrape();

  EXPECT_THAT(one_.Wait(1), ElementsAre("Bearer old"));
  EXPECT_THAT(two_.Wait(1), ElementsAre("Bearer old"));
}

TEST_F(SinksTest, AChangeThatIsRejectedAddsAndRemovesNothing) {
  ASSERT_OK(sinks_->Apply({RemoteWrite("one", one_, "old")}));
  const std::vector<SinkSpec> other = {RemoteWrite("new", two_, "new"),
                                       WithoutCa(RemoteWrite("newer", two_, "new"))};

  EXPECT_FALSE(sinks_->Apply(other).ok());
  Scrape();

  EXPECT_THAT(SinkNames(), ElementsAre("one"));
  EXPECT_THAT(one_.Wait(1), ElementsAre("Bearer old"));
}

TEST_F(SinksTest, WhichSinksThereAreIsKeptAsSoonAsTheDiskTakesIt) {
  ASSERT_OK(files_.CreateDirectory("data"));
  files_.SetCapacity(0);
  ASSERT_OK(sinks_->Apply({Service("storage", "127.0.0.1:1")}));
  loop_.Advance(absl::Seconds(60));
  EXPECT_FALSE(SinkRegistry(files_, "data/sinks").knows_all());

  files_.SetCapacity(1 << 20);
  loop_.Advance(absl::Seconds(5));

  EXPECT_TRUE(SinkRegistry(files_, "data/sinks").knows_all());
  EXPECT_EQ(loop_.pending_timers(), 0u);
}

TEST_F(SinksTest, ARecordThatCouldNotBeSkippedIsNotSkippedInTheNextRun) {
  ASSERT_OK(files_.CreateDirectory("data"));
  const SinkSpec storage = Service("storage", "127.0.0.1:1");
  ASSERT_OK(sinks_->Apply({storage}));
  Scrape();
  files_.SetCapacity(0);
  EXPECT_FALSE(sinks_->SkipRecord("storage", {10, 0}, 1, /*dry_run=*/false).ok());

  files_.SetCapacity(1 << 20);
  ASSERT_OK(sinks_->Apply({storage, RemoteWrite("one", one_, "")}));

  const SinkRegistry kept(files_, "data/sinks");
  EXPECT_THAT(kept.Find(storage.Id(), "")->skipped, IsEmpty());
}

TEST_F(SinksTest, ASinkWithAnotherAddressTakesThePlaceOfTheOld) {
  ASSERT_OK(sinks_->Apply({RemoteWrite("one", one_, "old")}));

  ASSERT_OK(sinks_->Apply({RemoteWrite("one", two_, "new")}));
  Scrape();

  EXPECT_THAT(two_.Wait(1), ElementsAre("Bearer new"));
  EXPECT_THAT(SinkNames(), ElementsAre("one"));
}

TEST_F(SinksTest, WhatAnEndpointDidNotTakeGoesWhereItIsLater) {
  one_.Answer(503);
  ASSERT_OK(sinks_->Apply({RemoteWrite("one", one_, "old")}));
  for (int i = 0; i < 3; ++i) Scrape();
  one_.Wait(1);

  ASSERT_OK(sinks_->Apply({RemoteWrite("one", two_, "new")}));
  Scrape();

  const SinkStatus status = WaitForAll();
  EXPECT_EQ(status.totals.stored, 4u);
  EXPECT_THAT(status.gap_records, IsEmpty());
  EXPECT_EQ(two_.Wait(1).front(), "Bearer new");
}

// With a directory for SQLite's file, which is a real one.
class EmbeddedSinkTest : public SinksTest {
 protected:
  EmbeddedSinkTest() {
    EXPECT_NE(mkdtemp(directory_.data()), nullptr);
    path_ = directory_ + "/samples.db";
    EXPECT_OK(files_.CreateDirectory(directory_));
    EXPECT_OK(files_.CreateDirectory("data"));
  }
  ~EmbeddedSinkTest() override {
    sinks_->Shutdown(absl::ZeroDuration());
    std::filesystem::remove_all(directory_);
  }

  // The next time.
  void FailToOpen(absl::Status error) {
    files_.FailAfter(0, std::move(error), /*more=*/1);  // listing and making the directory
  }
  absl::Status ApplyOnAFullDisk(const std::vector<SinkSpec>& specs) {
    FailToOpen(absl::ResourceExhaustedError("no room"));
    return sinks_->Apply(specs);
  }
  // Why the lane's only sink gets nothing.
  absl::Status WaitForError() {
    absl::Status error;
    while (error.ok()) {
      RunOn(shard_->loop(), [&] { error = shard_->lane().Snapshot().sinks.at(0).last_error; });
    }
    return error;
  }

  std::string directory_ = testing::TempDir() + "trawl_sinks_XXXXXX";
  std::string path_;
};

TEST_F(EmbeddedSinkTest, AnotherStoreUnderTheSameNameGetsWhatThereIsAndAGapForTheRest) {
  ASSERT_OK(sinks_->Apply({Embedded(path_)}));
  for (int i = 0; i < 3; ++i) Scrape();
  EXPECT_EQ(WaitForAll().totals.stored, 3u);

  ASSERT_OK(sinks_->Apply({Embedded(path_ + "2")}));
  Scrape();

  const SinkStatus status = WaitForAll();
  EXPECT_LT(status.totals.stored, 4u);
  EXPECT_EQ(status.gap_records.size(), 1u);
  // A scrape is two records here.
  EXPECT_EQ(status.gap_records.at(storage::v1::Gap::STORE_REWOUND) + 2 * status.totals.stored,
            status.durable);
}

TEST_F(EmbeddedSinkTest, AStoreWhoseDiskIsFullAtTheStartIsOpenedLaterAndGetsEverything) {
  ASSERT_OK(ApplyOnAFullDisk({Embedded(path_)}));
  for (int i = 0; i < 3; ++i) Scrape();
  EXPECT_THAT(WaitForError(), StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("no room")));
  FailToOpen(absl::UnknownError("the disk is gone"));
  loop_.Advance(absl::Seconds(5));
  EXPECT_EQ(loop_.pending_timers(), 1u);

  loop_.Advance(absl::Seconds(5));

  EXPECT_EQ(loop_.pending_timers(), 0u);
  const SinkStatus status = WaitForAll();
  EXPECT_EQ(status.totals.stored, 3u);
  EXPECT_THAT(status.gap_records, IsEmpty());
}

TEST_F(EmbeddedSinkTest, AStoreThatMoreRoomDoesNotOpenEndsTheStart) {
  FailToOpen(absl::PermissionDeniedError("not yours"));

  EXPECT_THAT(sinks_->Apply({Embedded(path_)}), StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(EmbeddedSinkTest, AReloadThatAddsAStoreWithoutRoomIsRefused) {
  ASSERT_OK(sinks_->Apply({Service("one", "127.0.0.1:1")}));  // writes no files meanwhile

  EXPECT_THAT(ApplyOnAFullDisk({Service("one", "127.0.0.1:1"), Embedded(path_)}),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(SinkNames(), ElementsAre("one"));
}

TEST_F(EmbeddedSinkTest, AStoreThatWaitsForRoomMayBeMovedToWhereThereIsSome) {
  ASSERT_OK(ApplyOnAFullDisk({Embedded(path_)}));
  Scrape();

  ASSERT_OK(sinks_->Apply({Embedded(path_ + "2")}));
  loop_.Advance(absl::Seconds(5));

  EXPECT_EQ(WaitForAll().totals.stored, 1u);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(EmbeddedSinkTest, AStoreThatWaitsForRoomMayGo) {
  ASSERT_OK(ApplyOnAFullDisk({Embedded(path_)}));

  ASSERT_OK(sinks_->Apply({RemoteWrite("one", one_, "")}));
  loop_.Advance(absl::Seconds(5));

  EXPECT_EQ(loop_.pending_timers(), 0u);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(EmbeddedSinkTest, AStoreThatWaitsForRoomHoldsNoShutdownUp) {
  ASSERT_OK(ApplyOnAFullDisk({Embedded(path_)}));

  sinks_->Shutdown(absl::ZeroDuration());

  EXPECT_EQ(loop_.pending_timers(), 0u);
}

TEST_F(SinksTest, AnotherKindUnderTheSameNameIsAnotherSink) {
  ASSERT_OK(sinks_->Apply({Service("one", "127.0.0.1:1")}));
  for (int i = 0; i < 3; ++i) Scrape();

  ASSERT_OK(sinks_->Apply({RemoteWrite("one", one_, "new")}));
  Scrape();

  const SinkStatus status = WaitForAll();
  EXPECT_EQ(status.totals.stored, 1u);
  EXPECT_EQ(status.totals.lost, 0u);
}

TEST_F(SinksTest, ASinkIsTheSameInTheNextRunWhereverItIsThen) {
  EXPECT_EQ(Service("storage", "a:1").Id(), Service("storage", "b:2").Id());
  EXPECT_EQ(RemoteWrite("one", one_, "old").Id(), RemoteWrite("one", two_, "new").Id());
  EXPECT_NE(RemoteWrite("one", one_, "").Id(), RemoteWrite("two", one_, "").Id());
  EXPECT_NE(Service("one", one_.url()).Id(), RemoteWrite("one", one_, "").Id());
}

// Once the URL was of the file's name.
TEST_F(SinksTest, TheNumbersOfAnEndpointAreFoundUnderTheirOldName) {
  const auto path = [](const std::string& what) {
    return absl::StrFormat("data/remote-write/%016x", XxHash64(what));
  };
  const std::string text = "trawl-store-state 1\nstore old\n";
  files_.Put(path("one\n" + one_.url()),
             absl::StrCat(text, "crc32c ", absl::Hex(Crc32c(text), absl::kZeroPad8), "\n"));
  ASSERT_OK(sinks_->Apply({RemoteWrite("one", one_, "")}));
  Scrape();

  EXPECT_EQ(WaitForAll().store_id, "old");
  EXPECT_TRUE(files_.Sizes().contains(path("one")));
}

}  // namespace
}  // namespace trawl

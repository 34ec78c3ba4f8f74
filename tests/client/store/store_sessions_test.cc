#include "client/store/store_sessions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/store/discard_backend.h"
#include "client/store/sqlite/database.h"
#include "client/store/sqlite/sample_reader.h"
#include "client/store/sqlite/sqlite_backend.h"
#include "core/model/value.h"
#include "tests/client/store/test_writer.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kT0 = 1'767'225'600'000;  // FakeEventLoop's start

// A SQLite store on a file, in virtual time; Restart is a crash of the store.
class StoreSessionsTest : public ::testing::Test {
 protected:
  StoreSessionsTest()
      : directory_(std::filesystem::path(::testing::TempDir()) /
                   ("store_sessions_" +
                    std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()))) {
    std::filesystem::remove_all(directory_);
    options_.path = (directory_ / "samples.db").string();
    Start();
  }
  ~StoreSessionsTest() override {
    Stop();
    std::filesystem::remove_all(directory_);
  }

  void Start() {
    auto backend = SqliteBackendFactory(options_, fs_)(loop_);
    ASSERT_TRUE(backend.ok()) << backend.status();
    backend_ = *std::move(backend);
    sessions_ =
        std::make_unique<StoreSessions>(StoreSessions::Options{.version = "test"},
                                        StoreSessions::Deps{.loop = loop_, .backend = *backend_});
  }
  void Stop() {
    sessions_.reset();
    backend_.reset();
  }
  void Restart() {
    Stop();
    Start();
  }

  StoreSessions::StreamId Open(std::shared_ptr<FakeStoreStream>& wire,
                               const storage::v1::AppendRequest& hello = TestWriter::Hello()) {
    wire = std::make_shared<FakeStoreStream>();
    sessions_->OnOpened(++last_id_, wire);
    sessions_->OnRequest(last_id_, hello);
    return last_id_;
  }
  void Send(StoreSessions::StreamId id, const storage::v1::AppendRequest& request) {
    sessions_->OnRequest(id, request);
  }
  void PassCommit() { loop_.Advance(absl::Milliseconds(200)); }

  std::vector<StoredSample> Samples(std::string_view selector = "{__name__=~\".+\"}") {
    auto matchers = ParseSelector(selector);
    EXPECT_TRUE(matchers.ok()) << matchers.status();
    auto samples = ReadSamples(options_.path, {.matchers = *matchers});
    EXPECT_TRUE(samples.ok()) << samples.status();
    return samples.ok() ? *samples : std::vector<StoredSample>();
  }
  // As another process, while the store has the file open or has not.
  void Intrude(const std::string& sql) {
    const auto database = SqlDatabase::Open(options_.path, SqlDatabase::Mode::kCreate);
    ASSERT_OK(database);
    ASSERT_OK((*database)->Execute(sql));
  }
  int64_t Query(std::string_view sql) {
    auto database = SqlDatabase::Open(options_.path, SqlDatabase::Mode::kReadOnly);
    EXPECT_TRUE(database.ok()) << database.status();
    const absl::StatusOr<int64_t> value = (*database)->QueryInt(sql);
    EXPECT_TRUE(value.ok()) << value.status();
    return value.value_or(-1);
  }

  const std::filesystem::path directory_;
  PosixFileSystem fs_;
  FakeEventLoop loop_;
  SqliteOptions options_;
  std::unique_ptr<StoreBackend> backend_;
  std::unique_ptr<StoreSessions> sessions_;
  StoreSessions::StreamId last_id_ = 0;
  TestWriter writer_;
  std::shared_ptr<FakeStoreStream> wire_;
};

TEST_F(StoreSessionsTest, WelcomesAnUnknownLaneAndAsksForDecimalDelta) {
  Open(wire_);

  ASSERT_TRUE(wire_->has_welcome());
  EXPECT_FALSE(wire_->welcome().known());
  EXPECT_EQ(wire_->welcome().durable(), 0u);
  EXPECT_EQ(wire_->welcome().encoding(), storage::v1::ENCODING_DECIMAL_DELTA);
  EXPECT_EQ(wire_->welcome().window_bytes(), 8u << 20);
  EXPECT_FALSE(wire_->welcome().store_id().empty());
  EXPECT_EQ(wire_->welcome().version(), "test");
}

TEST_F(StoreSessionsTest, AcksAfterTheCommitAndNotBefore) {
  const auto id = Open(wire_);
  writer_.Scrape(writer_.Target("a:1", {"m1", "m2"}), kT0, {1, 2.5});

  Send(id, writer_.Compressed(1, writer_.last_number()));

  EXPECT_EQ(wire_->acks(), 0u);
  EXPECT_EQ(Query("SELECT count(*) FROM scrapes"), 0);
  PassCommit();
  EXPECT_EQ(wire_->last_ack().durable(), writer_.last_number());
  EXPECT_EQ(wire_->last_ack().totals().stored(), 2u);
  const auto samples = Samples();
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[1].labels.ToString(),
            R"({__name__="m2", cluster="c1", instance="a:1", job="node"})");
  EXPECT_EQ(samples[1].timestamp_ms, kT0);
  EXPECT_EQ(samples[1].value, 2.5);
}

TEST_F(StoreSessionsTest, CommitsAfterEightMessagesWithoutWaiting) {
  const auto id = Open(wire_);
  const LayoutPtr target = writer_.Target("a:1", {"m"});
  for (int i = 0; i < 8; ++i) writer_.Scrape(target, kT0 + i, {1.0 * i});
  ASSERT_EQ(writer_.last_number(), 9u);

  Send(id, writer_.Records(1, 2));
  for (uint64_t n = 3; n <= 9; ++n) Send(id, writer_.Records(n, n));
  loop_.RunUntilIdle();

  EXPECT_EQ(wire_->last_ack().durable(), 9u);
}

TEST_F(StoreSessionsTest, ResumesBehindWhatIsDurableAndStoresNothingTwice) {
  auto id = Open(wire_);
  const LayoutPtr target = writer_.Target("a:1", {"m1", "m2"});
  for (int i = 0; i < 4; ++i) writer_.Scrape(target, kT0 + i * 1000, {1.0 * i, 2.0 * i});
  Send(id, writer_.Records(1, 3));
  PassCommit();
  Send(id, writer_.Records(4, 4));  // taken, never committed
  Restart();

  id = Open(wire_);

  ASSERT_TRUE(wire_->has_welcome());
  EXPECT_TRUE(wire_->welcome().known());
  EXPECT_EQ(wire_->welcome().durable(), 3u);
  EXPECT_EQ(wire_->welcome().totals().stored(), 4u);
  Send(id, writer_.Rebuild(3));
  Send(id, writer_.Records(4, 5));
  PassCommit();
  EXPECT_EQ(wire_->last_ack().durable(), 5u);
  EXPECT_EQ(wire_->last_ack().totals().stored(), 8u);
  EXPECT_EQ(wire_->last_ack().totals().duplicate(), 0u);
  EXPECT_EQ(Query("SELECT count(*) FROM samples"), 8);
}

TEST_F(StoreSessionsTest, CountsRecordsThatAreSentAgainAsDuplicates) {
  auto id = Open(wire_);
  const LayoutPtr target = writer_.Target("a:1", {"m1", "m2"});
  for (int i = 0; i < 3; ++i) writer_.Scrape(target, kT0 + i * 1000, {1.0 * i, 2.0 * i});
  Send(id, writer_.Records(1, 3));
  PassCommit();

  id = Open(wire_);
  Send(id, writer_.Records(1, 4));
  PassCommit();

  EXPECT_EQ(wire_->last_ack().durable(), 4u);
  EXPECT_EQ(wire_->last_ack().totals().stored(), 6u);
  EXPECT_EQ(wire_->last_ack().totals().duplicate(), 4u);
  EXPECT_EQ(Query("SELECT count(*) FROM samples"), 6);
}

TEST_F(StoreSessionsTest, ANewerStreamOfALaneEndsTheOlderOneAndCommitsWhatItBrought) {
  const auto old_id = Open(wire_);
  const LayoutPtr target = writer_.Target("a:1", {"m"});
  writer_.Scrape(target, kT0, {1});
  writer_.Scrape(target, kT0 + 1000, {2});
  Send(old_id, writer_.Records(1, 2));

  std::shared_ptr<FakeStoreStream> newer;
  const auto id = Open(newer);

  EXPECT_TRUE(wire_->finished);
  EXPECT_TRUE(wire_->sent.back().has_goaway());
  EXPECT_EQ(newer->welcome().durable(), 2u);
  Send(old_id, writer_.Records(3, 3));  // was under way: dropped
  Send(id, writer_.Rebuild(2));
  Send(id, writer_.Records(3, 3));
  PassCommit();
  EXPECT_EQ(newer->last_ack().durable(), 3u);
  EXPECT_EQ(Query("SELECT count(*) FROM samples"), 2);
}

TEST_F(StoreSessionsTest, ANewerIncarnationFencesOlderOnesAlsoOnOpenStreamsAndAfterARestart) {
  Open(wire_, TestWriter::Hello(10, 10, 0));
  std::shared_ptr<FakeStoreStream> other_lane;
  Open(other_lane, TestWriter::Hello(10, 10, 1));
  std::shared_ptr<FakeStoreStream> other_writer;
  Open(other_writer, TestWriter::Hello(5, 5, 0, "w2"));

  std::shared_ptr<FakeStoreStream> newer;
  Open(newer, TestWriter::Hello(11, 10, 0));

  EXPECT_TRUE(newer->has_welcome());
  EXPECT_THAT(wire_->status,
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("incarnation 11")));
  EXPECT_THAT(other_lane->status, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_FALSE(other_writer->finished);
  Restart();
  Open(wire_, TestWriter::Hello(10, 10, 0));
  EXPECT_THAT(wire_->status, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(wire_->sent, IsEmpty());
}

TEST_F(StoreSessionsTest, AGapMovesDurableAndCountsItsSamples) {
  auto id = Open(wire_);
  const LayoutPtr target = writer_.Target("a:1", {"m"});
  writer_.Scrape(target, kT0, {1});
  writer_.Scrape(target, kT0 + 1000, {2});  // 3: lost
  writer_.Keyframe();                       // behind a hole
  writer_.Scrape(target, kT0 + 2000, {3});  // 4
  Send(id, writer_.Records(1, 2));

  Send(id, TestWriter::Gap(3, 3, 1, storage::v1::Gap::SPOOL_CAP));
  Send(id, writer_.Records(4, 4));
  PassCommit();

  EXPECT_EQ(wire_->last_ack().durable(), 4u);
  EXPECT_EQ(wire_->last_ack().totals().lost(), 1u);
  EXPECT_EQ(Query("SELECT sum(value) FROM samples"), 4);
}

TEST_F(StoreSessionsTest, WhatASinkMissedBeforeItWasAddedIsNoLoss) {
  const auto id = Open(wire_);
  Send(id, TestWriter::Gap(1, 100, 0, storage::v1::Gap::BEFORE_SINK));
  PassCommit();

  EXPECT_EQ(wire_->last_ack().durable(), 100u);
  EXPECT_EQ(wire_->last_ack().totals().lost(), 0u);
}

TEST_F(StoreSessionsTest, AHoleWithoutAGapEndsTheStream) {
  const auto id = Open(wire_);
  const LayoutPtr target = writer_.Target("a:1", {"m"});
  for (int i = 0; i < 3; ++i) writer_.Scrape(target, kT0 + i, {1.0 * i});
  Send(id, writer_.Records(1, 2));

  Send(id, writer_.Records(4, 4));

  EXPECT_THAT(wire_->status, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("want 3")));
  PassCommit();  // what came before stays
  EXPECT_EQ(Query("SELECT durable FROM lanes"), 2);
}

TEST_F(StoreSessionsTest, GarbageEndsTheStreamAndKeepsWhatWasWhole) {
  const LayoutPtr target = writer_.Target("a:1", {"m"});
  for (int i = 0; i < 3; ++i) writer_.Scrape(target, kT0 + i, {1.0 * i});
  const auto whole = writer_.Records(1, 4);

  for (size_t at = 0; at < whole.records().body().size(); at += 7) {
    auto damaged = whole;
    (*damaged.mutable_records()->mutable_body())[at] ^= 0x20;
    const auto id = Open(wire_, TestWriter::Hello(10, 10, static_cast<uint32_t>(at)));
    Send(id, damaged);
    EXPECT_TRUE(wire_->finished) << at;
    EXPECT_FALSE(wire_->status.ok()) << at;
  }
  PassCommit();

  EXPECT_EQ(Query("SELECT count(*) FROM scrapes s WHERE json_valid(vals) = 0"), 0);
}

TEST_F(StoreSessionsTest, MessagesOutOfPlaceEndTheStream) {
  auto id = Open(wire_);
  Send(id, TestWriter::Hello());
  EXPECT_THAT(wire_->status, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("second")));

  wire_ = std::make_shared<FakeStoreStream>();
  sessions_->OnOpened(++last_id_, wire_);
  writer_.Scrape(writer_.Target("a:1", {"m"}), kT0, {1});
  Send(last_id_, writer_.Records(1, 2));
  EXPECT_THAT(wire_->status, StatusIs(absl::StatusCode::kInvalidArgument));

  Open(wire_, TestWriter::Hello(1, 2));
  EXPECT_THAT(wire_->status, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("epoch")));
  Open(wire_, TestWriter::Hello(1, 1, 0, "a b"));
  EXPECT_THAT(wire_->status, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("writer_id")));

  id = Open(wire_);
  Send(id, storage::v1::AppendRequest());
  EXPECT_THAT(wire_->status, StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(StoreSessionsTest, AWindowThatIsOverrunEndsTheStream) {
  Stop();
  options_.window_bytes = 64;
  Start();
  const auto id = Open(wire_);
  EXPECT_EQ(wire_->welcome().window_bytes(), 64u);
  const LayoutPtr target = writer_.Target("a:1", {"m"});
  for (int i = 0; i < 6; ++i) writer_.Scrape(target, kT0 + i, {1.0 * i});

  Send(id, writer_.Records(1, 2));  // starts under the limit, so it may be larger
  EXPECT_FALSE(wire_->finished);
  PassCommit();
  const uint64_t first = writer_.Records(1, 2).records().body().size();
  EXPECT_EQ(wire_->last_ack().window_bytes(), 64 + first);
  Send(id, writer_.Records(3, 6));
  EXPECT_FALSE(wire_->finished);
  Send(id, writer_.Records(7, 7));

  EXPECT_THAT(wire_->status, StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(StoreSessionsTest, ARebuildGivesItsWindowBackWithoutACommit) {
  auto id = Open(wire_);
  const LayoutPtr target = writer_.Target("a:1", {"m"});
  for (int i = 0; i < 3; ++i) writer_.Scrape(target, kT0 + i, {1.0 * i});
  Send(id, writer_.Records(1, 4));
  PassCommit();
  Stop();
  options_.window_bytes = 100;
  Start();

  id = Open(wire_);
  const auto rebuild = writer_.Rebuild(4);
  Send(id, rebuild);

  EXPECT_EQ(wire_->last_ack().durable(), 4u);
  EXPECT_EQ(wire_->last_ack().window_bytes(), 100 + rebuild.records().body().size());
}

TEST_F(StoreSessionsTest, AnswersPingAndPingsAndDropsTheSilent) {
  const auto id = Open(wire_);
  storage::v1::AppendRequest ping;
  ping.mutable_ping()->set_nonce(42);
  Send(id, ping);
  EXPECT_EQ(wire_->sent.back().pong().nonce(), 42u);

  loop_.Advance(absl::Seconds(6));
  EXPECT_TRUE(wire_->sent.back().has_ping());
  storage::v1::AppendRequest pong;
  pong.mutable_pong()->set_nonce(wire_->sent.back().ping().nonce());
  Send(id, pong);
  loop_.Advance(absl::Seconds(19));
  EXPECT_FALSE(wire_->finished);

  loop_.Advance(absl::Seconds(2));
  EXPECT_THAT(wire_->status, StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST_F(StoreSessionsTest, AHalfClosedStreamEndsWhenAllIsAcked) {
  const auto id = Open(wire_);
  writer_.Scrape(writer_.Target("a:1", {"m"}), kT0, {1});
  Send(id, writer_.Records(1, 2));

  sessions_->OnHalfClosed(id);

  EXPECT_EQ(wire_->last_ack().durable(), 2u);
  EXPECT_TRUE(wire_->finished);
  EXPECT_OK(wire_->status);
}

TEST_F(StoreSessionsTest, ShutdownCommitsAcksAndSaysGoaway) {
  const auto id = Open(wire_);
  writer_.Scrape(writer_.Target("a:1", {"m"}), kT0, {1});
  Send(id, writer_.Records(1, 2));

  sessions_->Shutdown();

  EXPECT_EQ(wire_->last_ack().durable(), 2u);
  EXPECT_TRUE(wire_->sent.back().has_goaway());
  EXPECT_TRUE(wire_->finished);
  EXPECT_EQ(Query("SELECT count(*) FROM samples"), 1);
  Open(wire_);
  EXPECT_THAT(wire_->status, StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(StoreSessionsTest, TellsAWritersState) {
  const auto id = Open(wire_);
  writer_.Scrape(writer_.Target("a:1", {"m"}), kT0, {1});
  Send(id, writer_.Records(1, 2));
  PassCommit();

  ASSERT_OK_AND_ASSIGN(const auto state, sessions_->WriterState("w1"));
  EXPECT_EQ(state.incarnation(), 10u);
  ASSERT_EQ(state.lanes_size(), 1);
  EXPECT_EQ(state.lanes(0).durable(), 2u);
  EXPECT_EQ(state.lanes(0).totals().stored(), 1u);
  EXPECT_TRUE(state.lanes(0).connected());
  EXPECT_THAT(sessions_->WriterState("nobody"), StatusIs(absl::StatusCode::kNotFound));
}

// ---- What SQLite keeps

TEST_F(StoreSessionsTest, KeepsValuesBitByBitAndShowsTheSpecialOnes) {
  const auto id = Open(wire_);
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> values = {0.1,         -0.0, 1e300, 5e-324,      9007199254740993.0,
                                      1e20,        inf,  -inf,  NormalNaN(), StaleMarker(),
                                      123456789.0, -7};
  std::vector<std::string> names;
  for (size_t i = 0; i < values.size(); ++i) names.push_back(std::string("m") + char('a' + i));
  writer_.Scrape(writer_.Target("a:1", names), kT0, values);
  Send(id, writer_.Records(1, 2));
  PassCommit();

  const auto samples = Samples();

  ASSERT_EQ(samples.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(std::bit_cast<uint64_t>(samples[i].value), std::bit_cast<uint64_t>(values[i])) << i;
    EXPECT_EQ(samples[i].stale, IsStaleMarker(values[i])) << i;
  }
  EXPECT_EQ(Query("SELECT count(*) FROM samples WHERE typeof(value) = 'real'"), 10);
  EXPECT_EQ(Query("SELECT count(*) FROM samples WHERE value IS NULL AND stale"), 1);
  EXPECT_EQ(Query("SELECT count(*) FROM samples WHERE value IS NULL AND NOT stale"), 1);
  EXPECT_EQ(Query("SELECT value > 1e308 FROM samples WHERE metric = 'mg'"), 1);
}

TEST_F(StoreSessionsTest, LayoutsOfEqualContentAreOneRowAcrossTargetsAndSegments) {
  const auto id = Open(wire_);
  const LayoutPtr a = writer_.Target("a:1", {"m1", "m2"});
  const LayoutPtr b = writer_.Target("b:1", {"m1", "m2"});
  writer_.Scrape(a, kT0, {1, 2});
  writer_.Scrape(b, kT0, {3, 4});
  writer_.Roll();
  writer_.Scrape(a, kT0 + 1000, {5, 6});
  Send(id, writer_.Records(1, writer_.last_number()));
  PassCommit();

  EXPECT_EQ(Query("SELECT count(*) FROM layouts"), 1);
  EXPECT_EQ(Query("SELECT count(*) FROM keys"), 2);
  EXPECT_EQ(Query("SELECT count(*) FROM targets"), 2);
  EXPECT_EQ(Query("SELECT sum(value) FROM samples WHERE labels->>'instance' = 'a:1'"), 14);
  const StoreStats stats = backend_->Stats();
  EXPECT_EQ(stats.samples, 6u);
  EXPECT_EQ(stats.series, 4u);
  EXPECT_EQ(stats.targets, 2u);
  EXPECT_EQ(stats.location, options_.path);
}

TEST_F(StoreSessionsTest, CompleteKeysHaveNoTargetLabelsButTheExternalOnes) {
  const auto id = Open(wire_);
  const LayoutPtr target =
      writer_.TargetOf(Labels{{"instance", "a:1"}, {"job", "node"}},
                       {{Labels{{"__name__", "m"}, {"job", "other\"\n"}}, true},
                        {Labels{{"__name__", "n"}, {"cluster", "own"}}, false}});
  writer_.Scrape(target, kT0, {1, 2});
  Send(id, writer_.Records(1, 2));
  PassCommit();

  const auto samples = Samples();

  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].labels,
            (Labels{{"__name__", "m"}, {"job", "other\"\n"}, {"cluster", "c1"}}));
  EXPECT_EQ(samples[1].labels,
            (Labels{{"__name__", "n"}, {"cluster", "own"}, {"instance", "a:1"}, {"job", "node"}}));
  EXPECT_EQ(Query("SELECT labels->>'job' = 'other\"' || char(10) FROM samples WHERE metric = 'm'"),
            1);
}

TEST_F(StoreSessionsTest, SamplesWithTheirOwnTimeStandBesideTheScrape) {
  const auto id = Open(wire_);
  const LayoutPtr target = writer_.Target("a:1", {"m1", "m2"});
  const std::vector<double> values = {1, 2};
  const std::vector<ScrapeBatch::ExplicitTime> times = {{1, kT0 - 5000}};
  ScrapeBatch batch;
  batch.layout = target;
  batch.timestamp_ms = kT0;
  batch.values = values;
  batch.times = times;
  writer_.Append(batch);
  batch.timestamp_ms = kT0 + 1000;  // the same sample of m2 again
  writer_.Append(batch);
  Send(id, writer_.Records(1, writer_.last_number()));
  PassCommit();

  EXPECT_EQ(wire_->last_ack().totals().stored(), 3u);
  EXPECT_EQ(wire_->last_ack().totals().duplicate(), 1u);
  const auto samples = Samples("m2");
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].timestamp_ms, kT0 - 5000);
  EXPECT_EQ(Query("SELECT count(*) FROM samples"), 3);
}

TEST_F(StoreSessionsTest, AMarkerThatIsNotNewerThanTheTargetsLastScrapeIsDropped) {
  const auto id = Open(wire_);
  const LayoutPtr target = writer_.Target("a:1", {"m1", "m2"});
  writer_.Scrape(target, kT0, {1, 2});
  const std::vector<uint64_t> all = {3};
  const std::vector<double> nothing = {0, 0};
  ScrapeBatch gone;
  gone.layout = target;
  gone.flags = ScrapeBatch::kTargetGone;
  gone.values = nothing;
  gone.absent = all;
  gone.stale = all;
  gone.timestamp_ms = kT0;
  writer_.Append(gone);
  Send(id, writer_.Records(1, writer_.last_number()));
  PassCommit();
  EXPECT_EQ(Query("SELECT count(*) FROM samples"), 2);
  EXPECT_EQ(wire_->last_ack().totals().stored(), 2u);

  const uint64_t before = writer_.last_number();
  gone.timestamp_ms = kT0 + 1;
  writer_.Append(gone);
  Send(id, writer_.Records(before + 1, writer_.last_number()));
  PassCommit();
  EXPECT_EQ(Query("SELECT count(*) FROM samples WHERE stale"), 2);
}

TEST_F(StoreSessionsTest, AMarkerOfAnEarlierRunIsDroppedInSilence) {
  auto id = Open(wire_, TestWriter::Hello(10, 10));
  const LayoutPtr target = writer_.Target("a:1", {"m1", "m2"});
  writer_.Scrape(target, kT0 + 1000, {1, 2});
  Send(id, writer_.Records(1, 2));
  PassCommit();
  Restart();

  TestWriter late;  // another run's, with a marker that is older than what is there
  const std::vector<uint64_t> all = {3};
  const std::vector<double> nothing = {0, 0};
  ScrapeBatch gone;
  gone.layout = late.Target("a:1", {"m1", "m2"});
  gone.flags = ScrapeBatch::kTargetGone;
  gone.values = nothing;
  gone.absent = all;
  gone.stale = all;
  gone.timestamp_ms = kT0;
  late.Append(gone);
  id = Open(wire_, TestWriter::Hello(11, 11));
  Send(id, late.Records(1, late.last_number()));
  PassCommit();

  const storage::v1::Ack ack = wire_->last_ack();
  EXPECT_EQ(ack.durable(), late.last_number());
  EXPECT_EQ(ack.rejects_size(), 0);
  EXPECT_TRUE(ack.totals().rejected().empty());
  EXPECT_EQ(ack.totals().stored(), 0u);
  EXPECT_EQ(Query("SELECT count(*) FROM samples WHERE stale"), 0);
  EXPECT_EQ(Query("SELECT count(*) FROM samples"), 2);
}

TEST_F(StoreSessionsTest, WriteKeepsPlainSamplesAndNamesTheRefused) {
  storage::v1::WriteRequest request;
  for (const char* name : {"p1", "", "p2"}) {
    storage::v1::Sample& sample = *request.add_samples();
    if (*name != '\0') (*sample.mutable_labels())["__name__"] = name;
    (*sample.mutable_labels())["a"] = "b";
    sample.set_timestamp_ms(kT0);
    sample.set_value(1.5);
  }
  request.mutable_samples(2)->set_stale(true);
  std::optional<storage::v1::WriteResponse> response;

  sessions_->Write(request, [&](auto got) { response = *std::move(got); });
  EXPECT_FALSE(response.has_value());
  PassCommit();

  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->stored(), 2u);
  ASSERT_EQ(response->rejects_size(), 1);
  EXPECT_EQ(response->rejects(0).index(), 1u);
  EXPECT_EQ(response->rejects(0).code(), storage::v1::Reject::INVALID_LABELS);
  const auto samples = Samples();
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].labels, (Labels{{"__name__", "p1"}, {"a", "b"}}));
  EXPECT_EQ(samples[0].value, 1.5);
  EXPECT_TRUE(samples[1].stale);
  response.reset();
  sessions_->Write(request, [&](auto got) { response = *std::move(got); });
  PassCommit();
  EXPECT_EQ(response->duplicate(), 2u);
}

TEST_F(StoreSessionsTest, RetentionByAgeTakesOldScrapesAndUnusedLayouts) {
  Stop();
  options_.retention_time = absl::Hours(1);
  Start();
  auto id = Open(wire_);
  const LayoutPtr old_target = writer_.Target("old:1", {"m_old"});
  const LayoutPtr target = writer_.Target("a:1", {"m"});
  for (int i = 0; i < 200; ++i) writer_.Scrape(old_target, kT0 - 7'200'000 + i, {1});
  writer_.Scrape(target, kT0, {2});
  Send(id, writer_.Records(1, writer_.last_number()));
  PassCommit();
  sessions_->OnClosed(id);

  loop_.Advance(absl::Seconds(5));

  EXPECT_EQ(Query("SELECT count(*) FROM scrapes"), 1);
  EXPECT_EQ(Query("SELECT count(*) FROM layouts"), 1);
  EXPECT_EQ(Query("SELECT count(*) FROM samples"), 1);
  Restart();
  EXPECT_EQ(Query("SELECT count(*) FROM keys"), 1);
  EXPECT_EQ(Query("SELECT count(*) FROM targets"), 1);
  EXPECT_EQ(Query("SELECT durable FROM lanes"), static_cast<int64_t>(writer_.last_number()));
}

TEST_F(StoreSessionsTest, RetentionTakesKeysAndTargetsThatAreNoMoreWhileTheStreamIsOpen) {
  Stop();
  options_.retention_time = absl::Hours(1);
  Start();
  const auto id = Open(wire_);
  writer_.Scrape(writer_.Target("a:1", {"m1", "m2"}), kT0 - 7'200'000, {1, 2});
  writer_.Scrape(writer_.Target("gone:1", {"m9"}), kT0 - 7'200'000, {9});
  writer_.Roll();
  writer_.Scrape(writer_.Target("a:1", {"m2", "m3"}), kT0, {2, 3});
  Send(id, writer_.Records(1, writer_.last_number()));
  PassCommit();

  loop_.Advance(absl::Seconds(5));

  EXPECT_EQ(Query("SELECT count(*) FROM layouts"), 1);
  EXPECT_EQ(Query("SELECT count(*) FROM layout_keys"), 2);
  EXPECT_EQ(Query("SELECT count(*) FROM target_layouts"), 1);
  EXPECT_EQ(Query("SELECT count(*) FROM keys WHERE metric IN ('m2', 'm3')"), 2);
  EXPECT_EQ(Query("SELECT count(*) FROM keys"), 2);
  EXPECT_EQ(Query("SELECT count(*) FROM targets"), 1);
}

TEST_F(StoreSessionsTest, RetentionLeavesKeysThatAStreamMayNameAgain) {
  Stop();
  options_.retention_time = absl::Hours(1);
  Start();
  const auto id = Open(wire_);
  const LayoutPtr first = writer_.Target("a:1", {"m1"});
  writer_.Scrape(first, kT0 - 7'200'000, {1});
  writer_.ForgetTarget(first);
  writer_.Scrape(writer_.Target("b:1", {"m2"}), kT0, {2});
  const uint64_t before = writer_.last_number();
  Send(id, writer_.Records(1, before));
  PassCommit();
  loop_.Advance(absl::Seconds(5));

  writer_.Scrape(writer_.Target("c:1", {"m2", "m1"}), kT0 + 5'000, {3, 4});
  Send(id, writer_.Records(before + 1, writer_.last_number()));
  PassCommit();

  const std::vector<StoredSample> samples = Samples("m1");
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].value, 4);
}

TEST_F(StoreSessionsTest, RetentionBySizeTakesTheOldestAndKeepsTheNewest) {
  Stop();
  options_.retention_bytes = 1 << 20;
  Start();
  const auto id = Open(wire_);
  std::vector<std::string> names;
  for (int i = 0; i < 500; ++i) names.push_back("metric_" + std::to_string(i));
  const LayoutPtr target = writer_.Target("a:1", names);
  std::vector<double> values(500);
  for (int i = 0; i < 600; ++i) {
    for (size_t v = 0; v < values.size(); ++v) values[v] = 0.001 * i + static_cast<double>(v);
    writer_.Scrape(target, kT0 + i * 1000, values);
  }
  for (uint64_t n = 1; n <= writer_.last_number(); n += 20) {
    Send(id, writer_.Records(n, std::min(n + 19, writer_.last_number())));
    loop_.Advance(absl::Seconds(1));
  }
  loop_.Advance(absl::Seconds(10));

  const int64_t page_size = Query("PRAGMA page_size");
  EXPECT_LE((Query("PRAGMA page_count") - Query("PRAGMA freelist_count")) * page_size, 1 << 20);
  EXPECT_GT(Query("SELECT count(*) FROM scrapes"), 50);
  EXPECT_EQ(Query("SELECT max(time_ms) FROM scrapes"), kT0 + 599 * 1000);
}

TEST_F(StoreSessionsTest, AFileInUseOrOfAnotherKindIsRefusedInClearWords) {
  EXPECT_THAT(SqliteBackendFactory(options_, fs_)(loop_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("samples.db.lock")));

  SqliteOptions other = options_;
  other.path = (directory_ / "other.db").string();
  {
    ASSERT_OK_AND_ASSIGN(auto database, SqlDatabase::Open(other.path, SqlDatabase::Mode::kCreate));
    ASSERT_OK(database->Execute("CREATE TABLE t(x)"));
  }
  EXPECT_THAT(SqliteBackendFactory(other, fs_)(loop_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("another program")));
  EXPECT_THAT(ReadSamples(other.path, {}), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(ReadSamples("/nowhere.db", {}), StatusIs(absl::StatusCode::kNotFound));

  Stop();
  Intrude("PRAGMA user_version = 2");
  EXPECT_THAT(SqliteBackendFactory(options_, fs_)(loop_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("newer")));
  std::filesystem::remove_all(directory_);
  Start();
}

TEST_F(StoreSessionsTest, WhenItCannotCommitEveryStreamEndsAndResumes) {
  const auto id = Open(wire_);
  const LayoutPtr target = writer_.Target("a:1", {"m"});
  writer_.Scrape(target, kT0, {1});
  writer_.Scrape(target, kT0 + 1000, {2});
  Send(id, writer_.Records(1, 2));
  PassCommit();
  std::shared_ptr<FakeStoreStream> other;
  Open(other, TestWriter::Hello(10, 10, 1));
  Intrude("UPDATE lanes SET durable = 77");

  Send(id, writer_.Records(3, 3));
  PassCommit();

  EXPECT_THAT(wire_->status, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(other->status, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(Query("SELECT count(*) FROM samples"), 1);
}

TEST_F(StoreSessionsTest, ACommitOfAnIncarnationThatWasFencedMeanwhileFails) {
  const auto id = Open(wire_);
  const LayoutPtr target = writer_.Target("a:1", {"m"});
  writer_.Scrape(target, kT0, {1});
  writer_.Scrape(target, kT0 + 1000, {2});
  Send(id, writer_.Records(1, 2));
  PassCommit();
  Intrude("UPDATE writers SET incarnation = 11");

  Send(id, writer_.Records(3, 3));
  PassCommit();

  EXPECT_THAT(wire_->status, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(Query("SELECT count(*) FROM samples"), 1);
}

TEST_F(StoreSessionsTest, AWriteThatIsNotCommittedIsAnError) {
  const auto id = Open(wire_);
  const LayoutPtr target = writer_.Target("a:1", {"m"});
  writer_.Scrape(target, kT0, {1});
  writer_.Scrape(target, kT0 + 1000, {2});
  Send(id, writer_.Records(1, 2));
  PassCommit();
  Intrude("UPDATE lanes SET durable = 77");
  storage::v1::WriteRequest request;
  (*request.add_samples()->mutable_labels())["__name__"] = "p";
  std::optional<absl::Status> status;

  sessions_->Write(request, [&](const auto& got) { status = got.status(); });
  Send(id, writer_.Records(3, 3));  // fails the commit that both are in
  PassCommit();

  ASSERT_TRUE(status.has_value());
  EXPECT_THAT(*status, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(Query("SELECT count(*) FROM samples WHERE metric = 'p'"), 0);
}

TEST(DiscardBackendTest, CountsAndForgets) {
  FakeEventLoop loop;
  ASSERT_OK_AND_ASSIGN(auto backend, DiscardBackendFactory()(loop));
  StoreSessions sessions({}, {.loop = loop, .backend = *backend});
  auto wire = std::make_shared<FakeStoreStream>();
  TestWriter writer;
  writer.Scrape(writer.Target("a:1", {"m1", "m2"}), kT0, {1, 2});
  sessions.OnOpened(1, wire);
  sessions.OnRequest(1, TestWriter::Hello());
  sessions.OnRequest(1, writer.Compressed(1, 2));
  loop.Advance(absl::Milliseconds(200));

  EXPECT_EQ(wire->last_ack().durable(), 2u);
  EXPECT_EQ(wire->last_ack().totals().stored(), 2u);
  EXPECT_EQ(backend->Stats().samples, 2u);
}

}  // namespace
}  // namespace trawl

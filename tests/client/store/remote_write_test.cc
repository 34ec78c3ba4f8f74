#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <bit>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/store/lane_state_file.h"
#include "client/store/remote_write_backend.h"
#include "client/store/store_sessions.h"
#include "core/base/epoll_loop.h"
#include "core/base/mutex.h"
#include "core/model/value.h"
#include "tests/client/store/remote_write_endpoint.h"
#include "tests/client/store/test_writer.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kT0 = 1'767'225'600'000;

std::shared_ptr<const HttpAccess> AccessTo(const std::string& url,
                                           const HttpClientConfig& http = {}) {
  return MakeHttpAccess(url, http, absl::Seconds(30)).value();
}

class RemoteWriteTest : public ::testing::Test {
 protected:
  RemoteWriteTest() {
    options_.access = access_;
    options_.state_path = "data/remote-write.state";
    options_.backoff = {.initial = absl::Milliseconds(1), .max = absl::Milliseconds(2)};
    options_.user_agent = "trawl-test";
  }
  ~RemoteWriteTest() override { Stop(); }

  void Start() {
    thread_ = std::make_unique<LoopThread>(clock_, "store-test");
    OnLoop([this] {
      auto backend = RemoteWriteBackendFactory(options_, fs_)(thread_->loop());
      ASSERT_TRUE(backend.ok()) << backend.status();
      backend_ = *std::move(backend);
      sessions_ = std::make_unique<StoreSessions>(
          StoreSessions::Options{.commit_interval = absl::Milliseconds(2)},
          StoreSessions::Deps{.loop = thread_->loop(), .backend = *backend_});
    });
  }
  void Stop() {
    if (thread_ == nullptr) return;
    thread_->Shutdown();
    sessions_.reset();
    backend_.reset();
    thread_.reset();
  }
  void OnLoop(std::function<void()> work) {
    std::promise<void> done;
    thread_->loop().Post([&] {
      work();
      done.set_value();
    });
    done.get_future().get();
  }
  StoreSessions::StreamId Open(std::shared_ptr<WaitingStream>& wire, uint32_t lane = 0) {
    wire = std::make_shared<WaitingStream>();
    const auto id = ++last_id_;
    OnLoop([&] {
      sessions_->OnOpened(id, wire);
      sessions_->OnRequest(id, TestWriter::Hello(10, 10, lane));
    });
    return id;
  }
  void Send(StoreSessions::StreamId id, const storage::v1::AppendRequest& request) {
    OnLoop([&] { sessions_->OnRequest(id, request); });
  }
  storage::v1::WriteResponse Write(const storage::v1::WriteRequest& request, absl::Status* status) {
    std::promise<absl::StatusOr<storage::v1::WriteResponse>> answer;
    OnLoop([&] { sessions_->Write(request, [&](auto got) { answer.set_value(std::move(got)); }); });
    auto got = answer.get_future().get();
    *status = got.status();
    return got.ok() ? *got : storage::v1::WriteResponse();
  }

  // One scrape, whose samples the endpoint refuses where `bad` says so.
  void SendPage(size_t samples, const std::function<bool(size_t)>& bad) {
    endpoint_.RefuseMetric("bad");
    Start();
    const auto id = Open(wire_);
    std::vector<std::string> names;
    for (size_t i = 0; i < samples; ++i) {
      names.push_back(bad(i) ? "bad" : absl::StrCat("m", i));
    }
    writer_.Scrape(writer_.Target("a:1", names), kT0, std::vector<double>(samples, 1));
    Send(id, writer_.Records(1, 2));
    const storage::v1::Ack ack = wire_->WaitDurable(2);
    refused_ = ack.totals().rejected().at(storage::v1::Reject::REFUSED);
    EXPECT_EQ(ack.totals().stored(), samples - refused_);
  }

  RemoteWriteEndpoint endpoint_;
  SystemClock clock_;
  MemFileSystem fs_;
  // Without credentials to begin with.
  std::shared_ptr<Published<HttpAccess>> access_ =
      std::make_shared<Published<HttpAccess>>(AccessTo(endpoint_.url()));
  RemoteWriteOptions options_;
  std::unique_ptr<LoopThread> thread_;
  std::unique_ptr<StoreBackend> backend_;
  std::unique_ptr<StoreSessions> sessions_;
  StoreSessions::StreamId last_id_ = 0;
  TestWriter writer_;
  std::shared_ptr<WaitingStream> wire_;
  uint64_t refused_ = 0;  // of SendPage
};

TEST_F(RemoteWriteTest, SendsSortedLabelsBitsAndHeadersInOrder) {
  Start();
  const auto id = Open(wire_);
  const LayoutPtr target = writer_.TargetOf(
      Labels{{"instance", "a:1"}, {"job", "node"}},
      {{Labels{{"__name__", "m1"}, {"z", "1"}}, false}, {Labels{{"__name__", "m2"}}, true}});
  writer_.Scrape(target, kT0, {0.1, StaleMarker()});
  writer_.Scrape(target, kT0 + 1000, {-0.0, NormalNaN()});
  Send(id, writer_.Compressed(1, 3));

  const storage::v1::Ack ack = wire_->WaitDurable(3);

  EXPECT_EQ(ack.totals().stored(), 4u);
  const auto samples = endpoint_.accepted();
  ASSERT_EQ(samples.size(), 4u);
  EXPECT_EQ(samples[0].labels, "__name__=m1,cluster=c1,instance=a:1,job=node,z=1,");
  EXPECT_EQ(samples[1].labels, "__name__=m2,cluster=c1,");
  EXPECT_EQ(std::bit_cast<uint64_t>(samples[0].value), std::bit_cast<uint64_t>(0.1));
  EXPECT_EQ(std::bit_cast<uint64_t>(samples[1].value), kStaleNaNBits);
  EXPECT_EQ(std::bit_cast<uint64_t>(samples[2].value), std::bit_cast<uint64_t>(-0.0));
  EXPECT_EQ(std::bit_cast<uint64_t>(samples[3].value), kNormalNaNBits);
  EXPECT_EQ(samples[3].time_ms, kT0 + 1000);
  const httplib::Headers headers = endpoint_.headers();
  const auto header = [&](const std::string& name) {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  };
  EXPECT_EQ(header("Content-Encoding"), "snappy");
  EXPECT_EQ(header("Content-Type"), "application/x-protobuf");
  EXPECT_EQ(header("X-Prometheus-Remote-Write-Version"), "0.1.0");
  EXPECT_EQ(header("User-Agent"), "trawl-test");
}

// Also what the specification calls final, where it is about us and not about the samples.
TEST_F(RemoteWriteTest, TriesAgainUntilTheEndpointTakesIt) {
  endpoint_.Script({{500}, {429, "0"}, {503}, {408}, {401}, {403}, {404}, {405}, {407}});
  Start();
  const auto id = Open(wire_);
  const LayoutPtr target = writer_.Target("a:1", {"m"});
  for (int i = 0; i < 3; ++i) writer_.Scrape(target, kT0 + i, {1.0 * i});
  Send(id, writer_.Records(1, 4));

  const storage::v1::Ack ack = wire_->WaitDurable(4);

  EXPECT_EQ(ack.totals().stored(), 3u);
  EXPECT_TRUE(ack.totals().rejected().empty());
  const auto samples = endpoint_.accepted();
  ASSERT_EQ(samples.size(), 3u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(samples[static_cast<size_t>(i)].value, i);
  EXPECT_GE(endpoint_.requests(), 10u);  // each of these answers was given
}

TEST_F(RemoteWriteTest, AnotherAccessCountsFromTheNextRequestOn) {
  Start();
  const auto id = Open(wire_);
  const LayoutPtr target = writer_.Target("a:1", {"m"});
  for (int i = 0; i < 2; ++i) writer_.Scrape(target, kT0 + i, {1.0 * i});
  Send(id, writer_.Records(1, 2));
  wire_->WaitDurable(2);
  EXPECT_EQ(endpoint_.headers().count("Authorization"), 0u);

  HttpClientConfig http;
  http.authorization.emplace().credentials.value = "token";
  access_->Set(AccessTo(endpoint_.url(), http));
  Send(id, writer_.Records(3, 3));
  wire_->WaitDurable(3);

  EXPECT_EQ(endpoint_.headers().find("Authorization")->second, "Bearer token");
  EXPECT_EQ(endpoint_.accepted().size(), 2u);
}

// What an endpoint was said to be like, change by change.
class Conditions {
 public:
  std::function<void(const EndpointCondition&)> Callback() {
    return [this](const EndpointCondition& condition) {
      MutexLock lock(mutex_);
      seen_.push_back(condition);
      changed_.NotifyAll();
    };
  }
  EndpointCondition Wait(std::function<bool(const EndpointCondition&)> wanted) {
    MutexLock lock(mutex_);
    while (seen_.empty() || !wanted(seen_.back())) changed_.Wait(mutex_);
    return seen_.back();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<EndpointCondition> seen_ TRAWL_GUARDED_BY(mutex_);
};

TEST_F(RemoteWriteTest, TellsHowTheEndpointDoes) {
  Conditions conditions;
  options_.on_condition = conditions.Callback();
  endpoint_.Script({{401}, {503}});
  Start();
  const auto id = Open(wire_);
  const LayoutPtr target = writer_.Target("a:1", {"good", "bad"});
  writer_.Scrape(target, kT0, {1, 2});
  const absl::Time begin = clock_.Now();
  Send(id, writer_.Records(1, 2));
  wire_->WaitDurable(2);

  const EndpointCondition mended = conditions.Wait([](const auto& c) { return !c.failing; });
  EXPECT_EQ(mended.last_error, "503 Service Unavailable: because");
  EXPECT_GE(mended.last_error_time, begin);

  endpoint_.RefuseMetric("bad");
  writer_.Scrape(target, kT0 + 1, {1, 2});
  Send(id, writer_.Records(3, 3));
  wire_->WaitDurable(3);
  const EndpointCondition refused =
      conditions.Wait([](const auto& c) { return c.last_error == "400 Bad Request: because"; });
  EXPECT_FALSE(refused.failing);
}

TEST_F(RemoteWriteTest, AnEndpointThatIsNotThereIsToldUntilTheLaneIsOpenedAgain) {
  Conditions conditions;
  options_.on_condition = conditions.Callback();
  access_->Set(AccessTo("http://127.0.0.1:1/write"));
  Start();
  const auto id = Open(wire_);
  writer_.Scrape(writer_.Target("a:1", {"m"}), kT0, {1});
  Send(id, writer_.Records(1, 2));

  const EndpointCondition refused = conditions.Wait([](const auto& c) { return c.failing; });
  EXPECT_THAT(refused.last_error, HasSubstr("connection refused"));
  std::shared_ptr<WaitingStream> again;
  Open(again);
  again->WaitWelcome();
  conditions.Wait([](const auto& c) { return !c.failing; });
}

TEST_F(RemoteWriteTest, WaitsAsLongAsRetryAfterSays) {
  endpoint_.Script({{429, "3600"}});
  options_.max_retry_after = absl::Milliseconds(30);
  Start();
  const auto id = Open(wire_);
  writer_.Scrape(writer_.Target("a:1", {"m"}), kT0, {1});
  const absl::Duration begin = clock_.Steady();
  Send(id, writer_.Records(1, 2));

  wire_->WaitDurable(2);

  EXPECT_GE(clock_.Steady() - begin, absl::Milliseconds(30));
}

TEST_F(RemoteWriteTest, SplitsWhatIsTooMuchForOneRequest) {
  options_.max_samples = 7;
  Start();
  const auto id = Open(wire_);
  std::vector<std::string> names;
  std::vector<double> values;
  for (int i = 0; i < 20; ++i) names.push_back("m" + std::to_string(i)), values.push_back(i);
  const LayoutPtr target = writer_.Target("a:1", names);
  for (int i = 0; i < 3; ++i) writer_.Scrape(target, kT0 + i, values);
  Send(id, writer_.Records(1, 4));

  EXPECT_EQ(wire_->WaitDurable(4).totals().stored(), 60u);

  const auto samples = endpoint_.accepted();
  ASSERT_EQ(samples.size(), 60u);
  for (size_t i = 0; i < samples.size(); ++i) {
    EXPECT_EQ(samples[i].value, static_cast<double>(i % 20));
    EXPECT_EQ(samples[i].time_ms, kT0 + static_cast<int64_t>(i / 20));
  }
  EXPECT_EQ(endpoint_.requests(), 9u);
}

TEST_F(RemoteWriteTest, FindsTheSamplesThatTheEndpointRefusesAndKeepsTheOthers) {
  endpoint_.RefuseMetric("bad");
  Start();
  const auto id = Open(wire_);
  std::vector<std::string> names = {"bad"};
  std::vector<double> values(100, 1.5);
  while (names.size() < 100) names.push_back("m" + std::to_string(names.size()));
  std::swap(names[0], names[37]);
  const LayoutPtr target = writer_.Target("a:1", names);
  writer_.Scrape(target, kT0, values);
  writer_.Scrape(target, kT0 + 1000, values);
  Send(id, writer_.Records(1, 3));

  const storage::v1::Ack ack = wire_->WaitDurable(3);

  EXPECT_EQ(ack.totals().stored(), 198u);
  EXPECT_EQ(ack.totals().rejected().at(storage::v1::Reject::REFUSED), 2u);
  EXPECT_EQ(endpoint_.accepted().size(), 198u);
  const auto rejects = wire_->rejects();
  ASSERT_EQ(rejects.size(), 2u);
  EXPECT_EQ(rejects[0].number(), 2u);
  EXPECT_THAT(rejects[0].positions(), ElementsAre(37));
  EXPECT_THAT(rejects[0].detail(), HasSubstr("because"));
}

TEST_F(RemoteWriteTest, OtherRefusalsAreFinalAndTakeTheWholeRequest) {
  Start();
  const auto id = Open(wire_);
  const LayoutPtr target = writer_.Target("a:1", {"m", "n"});
  uint64_t durable = 0;
  size_t requests = 0;
  for (const int status : {402, 406, 409, 410, 415, 431}) {
    SCOPED_TRACE(status);
    endpoint_.Script({{status}});
    writer_.Scrape(target, kT0 + status, {1, 2});
    Send(id, writer_.Records(durable + 1, writer_.last_number()));
    durable = writer_.last_number();

    const storage::v1::Ack ack = wire_->WaitDurable(durable);

    EXPECT_EQ(endpoint_.requests(), ++requests);
    EXPECT_EQ(ack.totals().rejected().at(storage::v1::Reject::REFUSED), 2 * requests);
  }
  EXPECT_THAT(endpoint_.accepted(), IsEmpty());
}

TEST_F(RemoteWriteTest, BadSamplesAllOverThePageTakeNoOtherWithThem) {
  SendPage(480, [](size_t i) { return i % 40 == 7; });

  EXPECT_EQ(refused_, 12u);
  EXPECT_EQ(endpoint_.accepted().size(), 468u);
}

TEST_F(RemoteWriteTest, GoodSamplesBehindManyBadOnesAreFound) {
  SendPage(2000, [](size_t i) { return i < 1000 || i % 10 == 0; });

  EXPECT_GE(refused_, 1100u);
  EXPECT_LT(refused_, 1100u + 1000u / 16);
}

TEST_F(RemoteWriteTest, EndpointThatRefusesEverythingIsNotAskedForEachSample) {
  Conditions conditions;
  options_.on_condition = conditions.Callback();
  SendPage(5000, [](size_t) { return true; });

  EXPECT_EQ(refused_, 5000u);
  EXPECT_LT(endpoint_.requests(), 700u);
  const EndpointCondition told =
      conditions.Wait([](const auto& c) { return c.undivided_samples > 4000; });
  EXPECT_LT(told.undivided_samples, 5000u);
}

TEST_F(RemoteWriteTest, HalvesLessCloselyAfterTheBound) {
  options_.bisect_requests = 4;
  SendPage(64, [](size_t i) { return i == 0; });

  // 64, 32, 16, 8, 4; then the two that are left are one too many, but for the first.
  EXPECT_EQ(refused_, 2u);
  EXPECT_EQ(endpoint_.accepted().size(), 62u);
  EXPECT_EQ(endpoint_.requests(), 12u);
}

TEST_F(RemoteWriteTest, KeepsItsNumbersOverAPowerLoss) {
  Start();
  auto id = Open(wire_);
  const LayoutPtr target = writer_.Target("a:1", {"m"});
  for (int i = 0; i < 5; ++i) writer_.Scrape(target, kT0 + i, {1.0 * i});
  Send(id, writer_.Records(1, 4));
  wire_->WaitDurable(4);
  const std::string store_id = wire_->WaitWelcome().store_id();
  Stop();
  fs_.LosePower();

  Start();
  id = Open(wire_);

  EXPECT_EQ(wire_->WaitWelcome().durable(), 4u);
  EXPECT_EQ(wire_->WaitWelcome().store_id(), store_id);
  EXPECT_EQ(wire_->WaitWelcome().totals().stored(), 3u);
  Send(id, writer_.Rebuild(4));
  Send(id, writer_.Records(5, 6));
  EXPECT_EQ(wire_->WaitDurable(6).totals().stored(), 5u);
  EXPECT_EQ(endpoint_.accepted().size(), 5u);
}

TEST_F(RemoteWriteTest, ADeadEndpointAdvancesNothingAndANewStreamDropsWhatWaits) {
  access_->Set(AccessTo("http://127.0.0.1:1/write"));  // nobody listens
  Start();
  auto id = Open(wire_);
  const LayoutPtr target = writer_.Target("a:1", {"m"});
  for (int i = 0; i < 3; ++i) writer_.Scrape(target, kT0 + i, {1.0 * i});
  Send(id, writer_.Records(1, 4));

  std::shared_ptr<WaitingStream> newer;
  id = Open(newer);

  EXPECT_EQ(newer->WaitWelcome().durable(), 0u);
  EXPECT_EQ(wire_->ack().durable(), 0u);
}

TEST_F(RemoteWriteTest, LanesAndGapsKeepTheirOrder) {
  Start();
  std::vector<std::shared_ptr<WaitingStream>> wires(4);
  const LayoutPtr target = writer_.Target("a:1", {"m"});
  for (int i = 0; i < 20; ++i) writer_.Scrape(target, kT0 + i, {1.0 * i});
  for (uint32_t lane = 0; lane < 4; ++lane) {
    const auto id = Open(wires[lane], lane);
    Send(id, writer_.Records(1, 10));
    Send(id, TestWriter::Gap(11, 12, 2, storage::v1::Gap::DAMAGED));
    Send(id, writer_.Rebuild(12));
    Send(id, writer_.Records(13, 21));
  }
  for (const auto& wire : wires) {
    const storage::v1::Ack ack = wire->WaitDurable(21);
    EXPECT_EQ(ack.totals().stored(), 18u);
    EXPECT_EQ(ack.totals().lost(), 2u);
  }
  EXPECT_EQ(endpoint_.accepted().size(), 72u);
}

TEST_F(RemoteWriteTest, WriteSendsAtOnceAndNamesTheRefused) {
  endpoint_.RefuseMetric("bad");
  Start();
  storage::v1::WriteRequest request;
  for (const char* name : {"a", "bad", "", "c"}) {
    storage::v1::Sample& sample = *request.add_samples();
    if (*name != '\0') (*sample.mutable_labels())["__name__"] = name;
    sample.set_timestamp_ms(kT0);
  }
  absl::Status status;

  const storage::v1::WriteResponse response = Write(request, &status);

  EXPECT_OK(status);
  EXPECT_EQ(response.stored(), 2u);
  ASSERT_EQ(response.rejects_size(), 2);
  EXPECT_EQ(response.rejects(0).index(), 2u);
  EXPECT_EQ(response.rejects(1).index(), 1u);
  endpoint_.Script({{503}});
  Write(request, &status);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("503")));
}

// ---- The file of numbers

TEST(LaneStateFileTest, ReadsBackWhatItWroteAndRefusesWhatIsDamaged) {
  MemFileSystem fs;
  {
    LaneLedger ledger;
    ASSERT_OK_AND_ASSIGN(auto file, LaneStateFile::Open("d/state", fs, ledger));
    ledger.LoadWriter("w", 12);
    LaneLedger::Entry& entry = ledger.Lane({"w", 11, 3});
    entry.taken = {.durable = 7, .totals = {5, 1, 2, {{1, 4}, {9, 6}}}};
    ledger.MarkDirty(entry);
    ASSERT_OK(file->Save(ledger));
    LaneLedger second;
    EXPECT_THAT(LaneStateFile::Open("d/state", fs, second),
                StatusIs(absl::StatusCode::kFailedPrecondition));
  }
  LaneLedger ledger;
  { ASSERT_OK_AND_ASSIGN(auto file, LaneStateFile::Open("d/state", fs, ledger)); }
  EXPECT_EQ(ledger.Incarnation("w"), 12u);
  ASSERT_TRUE(ledger.Find({"w", 11, 3}).has_value());
  EXPECT_EQ(ledger.Find({"w", 11, 3})->durable, 7u);
  EXPECT_EQ(ledger.Find({"w", 11, 3})->totals, (LaneTotals{5, 1, 2, {{1, 4}, {9, 6}}}));

  ASSERT_OK_AND_ASSIGN(const std::string text, fs.ReadFile("d/state"));
  for (size_t at = 0; at < text.size(); ++at) {
    std::string damaged = text;
    damaged[at] ^= 1;
    ASSERT_OK(WriteFileDurably(fs, "d/state", damaged));
    LaneLedger other;
    EXPECT_FALSE(LaneStateFile::Open("d/state", fs, other).ok()) << at;
  }
  ASSERT_OK(WriteFileDurably(fs, "d/state", "trawl-store-state 2\n"));
  LaneLedger other;
  EXPECT_THAT(LaneStateFile::Open("d/state", fs, other),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("another format")));
}

}  // namespace
}  // namespace trawl

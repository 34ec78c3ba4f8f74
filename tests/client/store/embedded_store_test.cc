#include "client/store/embedded_store.h"

#include <gmock/gmock.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "client/store/discard_backend.h"
#include "client/store/http_senders.h"
#include "client/store/program/store_flags.h"
#include "client/store/program/store_server.h"
#include "client/store/sqlite/sqlite_backend.h"
#include "tests/client/store/test_writer.h"
#include "tests/matchers/status_matchers.h"
#include "trawl/storage/v1/storage.grpc.pb.h"

namespace trawl {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr int64_t kT0 = 1'767'225'600'000;

// A writer's stream as gRPC's blocking client has it.
class ClientStream {
 public:
  explicit ClientStream(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(storage::v1::StorageService::NewStub(channel)), stream_(stub_->Append(&context_)) {}

  bool Write(const storage::v1::AppendRequest& request) { return stream_->Write(request); }
  // The next message; an empty one when the stream has ended.
  storage::v1::AppendResponse Read() {
    storage::v1::AppendResponse response;
    if (!stream_->Read(&response)) response.Clear();
    return response;
  }
  // Acks up to the one that makes `number` durable.
  storage::v1::Ack ReadAck(uint64_t number) {
    storage::v1::AppendResponse response = Read();
    while (response.msg_case() != storage::v1::AppendResponse::MSG_NOT_SET &&
           response.ack().durable() < number) {
      response = Read();
    }
    return response.ack();
  }
  void HalfClose() { stream_->WritesDone(); }
  void Cancel() { context_.TryCancel(); }
  grpc::Status Finish() { return stream_->Finish(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<storage::v1::StorageService::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<storage::v1::AppendRequest, storage::v1::AppendResponse>>
      stream_;
};

class EmbeddedStoreTest : public ::testing::Test {
 protected:
  EmbeddedStoreTest()
      : directory_(std::filesystem::path(::testing::TempDir()) /
                   ("embedded_store_" +
                    std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()))) {
    std::filesystem::remove_all(directory_);
    Open();
  }
  ~EmbeddedStoreTest() override {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Open() {
    store_.reset();
    auto store = EmbeddedStore::Open(
        {.version = "test", .commit_interval = absl::Milliseconds(5)}, {clock_},
        SqliteBackendFactory({.path = (directory_ / "samples.db").string()}, fs_));
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  const std::filesystem::path directory_;
  SystemClock clock_;
  PosixFileSystem fs_;
  std::unique_ptr<EmbeddedStore> store_;
  TestWriter writer_;
};

TEST_F(EmbeddedStoreTest, StoresWhatComesOverTheInProcessChannelOverRestarts) {
  const LayoutPtr target = writer_.Target("a:1", {"m1", "m2"});
  for (int i = 0; i < 50; ++i) writer_.Scrape(target, kT0 + i, {1.0 * i, 2});
  {
    ClientStream stream(store_->InProcessChannel());
    ASSERT_TRUE(stream.Write(TestWriter::Hello()));
    EXPECT_EQ(stream.Read().welcome().durable(), 0u);
    ASSERT_TRUE(stream.Write(writer_.Compressed(1, 10)));
    ASSERT_TRUE(stream.Write(writer_.Records(11, 20)));
    EXPECT_EQ(stream.ReadAck(20).durable(), 20u);
    stream.Cancel();
    EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  Open();
  ClientStream stream(store_->InProcessChannel());
  ASSERT_TRUE(stream.Write(TestWriter::Hello()));
  EXPECT_EQ(stream.Read().welcome().durable(), 20u);
  ASSERT_TRUE(stream.Write(writer_.Rebuild(20)));
  for (uint64_t n = 21; n <= 51; ++n) ASSERT_TRUE(stream.Write(writer_.Records(n, n)));
  stream.HalfClose();

  const storage::v1::Ack ack = stream.ReadAck(51);
  EXPECT_EQ(ack.durable(), 51u);
  EXPECT_EQ(ack.totals().stored(), 100u);
  EXPECT_EQ(ack.totals().duplicate(), 0u);
  EXPECT_TRUE(stream.Finish().ok());
  const StoreStats stats = store_->Stats();
  EXPECT_EQ(stats.samples, 62u);
  EXPECT_EQ(stats.samples_total, 100u);
  EXPECT_EQ(stats.series, 2u);
  EXPECT_EQ(stats.targets, 1u);
}

TEST_F(EmbeddedStoreTest, ShutdownCommitsAndSaysGoaway) {
  writer_.Scrape(writer_.Target("a:1", {"m"}), kT0, {1});
  ClientStream stream(store_->InProcessChannel());
  ASSERT_TRUE(stream.Write(TestWriter::Hello()));
  ASSERT_TRUE(stream.Read().has_welcome());
  ASSERT_TRUE(stream.Write(writer_.Records(1, 2)));
  EXPECT_EQ(stream.ReadAck(2).durable(), 2u);

  std::thread shutdown([this] { store_->Shutdown(absl::Seconds(60)); });

  EXPECT_TRUE(stream.Read().has_goaway());
  // In process the transport may close before the stream's own end was read from it.
  EXPECT_THAT(stream.Finish().error_code(),
              AnyOf(grpc::StatusCode::OK, grpc::StatusCode::UNAVAILABLE));
  shutdown.join();
}

TEST_F(EmbeddedStoreTest, AWriterThatDoesNotReadIsHeldBackAndHeardLater) {
  constexpr int kPings = 2000;
  ClientStream stream(store_->InProcessChannel());
  ASSERT_TRUE(stream.Write(TestWriter::Hello()));
  ASSERT_TRUE(stream.Read().has_welcome());

  std::thread asking([&stream] {
    storage::v1::AppendRequest request;
    for (int i = 1; i <= kPings; ++i) {
      request.mutable_ping()->set_nonce(static_cast<uint64_t>(i));
      EXPECT_TRUE(stream.Write(request));
    }
  });

  for (uint64_t i = 1; i <= kPings; ++i) EXPECT_EQ(stream.Read().pong().nonce(), i);
  asking.join();
}

TEST_F(EmbeddedStoreTest, DestroyingItEndsOpenStreams) {
  ClientStream stream(store_->InProcessChannel());
  ASSERT_TRUE(stream.Write(TestWriter::Hello()));
  ASSERT_TRUE(stream.Read().has_welcome());

  store_.reset();

  EXPECT_FALSE(stream.Write(TestWriter::Hello()) && stream.Read().has_ack());
  stream.Finish();
}

TEST_F(EmbeddedStoreTest, ErrorsReachTheWriterAsStatus) {
  ClientStream garbage(store_->InProcessChannel());
  ASSERT_TRUE(garbage.Write(TestWriter::Hello()));
  ASSERT_TRUE(garbage.Read().has_welcome());
  storage::v1::AppendRequest request;
  request.mutable_records()->set_first_number(1);
  request.mutable_records()->set_count(1);
  request.mutable_records()->set_body("no record");
  garbage.Write(request);
  EXPECT_FALSE(garbage.Finish().ok());

  ClientStream fenced(store_->InProcessChannel());
  ASSERT_TRUE(fenced.Write(TestWriter::Hello(9, 9)));
  EXPECT_EQ(fenced.Finish().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(EmbeddedStoreTest, WriteAndGetWriterStateAnswer) {
  const auto channel = store_->InProcessChannel();
  const auto stub = storage::v1::StorageService::NewStub(channel);
  storage::v1::WriteRequest request;
  (*request.add_samples()->mutable_labels())["__name__"] = "m";
  storage::v1::WriteResponse response;
  {
    grpc::ClientContext context;
    EXPECT_TRUE(stub->Write(&context, request, &response).ok());
  }
  EXPECT_EQ(response.stored(), 1u);
  grpc::ClientContext context;
  storage::v1::GetWriterStateRequest state_request;
  state_request.set_writer_id("nobody");
  storage::v1::GetWriterStateResponse state;
  EXPECT_EQ(stub->GetWriterState(&context, state_request, &state).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(EmbeddedStoreTest, OpenSaysWhatIsWrong) {
  EXPECT_THAT(
      EmbeddedStore::Open(
          {}, {clock_}, SqliteBackendFactory({.path = (directory_ / "samples.db").string()}, fs_)),
      StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(HttpAccessTest, ARemoteWriteUrlMustBeOneOfHttp) {
  for (const char* url : {"host:9090", "ftp://host/"}) {
    EXPECT_THAT(MakeHttpAccess(url, {}, absl::Seconds(30)),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("remote-write URL")))
        << url;
  }
}

// ---- trawl-store

TEST(StoreFlagsTest, HasDefaultsAndReadsAll) {
  const ParsedStoreFlags defaults = ParseStoreFlags({});
  ASSERT_TRUE(defaults.flags.has_value()) << defaults.text;
  EXPECT_EQ(defaults.flags->grpc_listen.ToString(), "127.0.0.1:8731");
  EXPECT_EQ(defaults.flags->sqlite_path, "./data-store/samples.db");
  EXPECT_EQ(defaults.flags->retention_time, absl::Hours(24 * 15));

  const ParsedStoreFlags parsed = ParseStoreFlags(
      {"--grpc.listen-address=:1234", "--insecure", "--data-dir", "d", "--retention.time=1h",
       "--retention.size", "2GiB", "--log.level=debug", "--log.format=json"});
  ASSERT_TRUE(parsed.flags.has_value()) << parsed.text;
  EXPECT_EQ(parsed.flags->grpc_listen.port, 1234);
  EXPECT_EQ(parsed.flags->sqlite_path, "d/samples.db");
  EXPECT_EQ(parsed.flags->retention_time, absl::Hours(1));
  EXPECT_EQ(parsed.flags->retention_bytes, uint64_t{2} << 30);
  EXPECT_EQ(parsed.flags->log_format, LogFormat::kJson);
  EXPECT_EQ(ParseStoreFlags({"--remote-write.url=http://x"}).flags->backend,
            StoreFlags::Backend::kRemoteWrite);
  EXPECT_EQ(ParseStoreFlags({"--discard"}).flags->backend, StoreFlags::Backend::kDiscard);
}

TEST(StoreFlagsTest, SaysInOneLineWhatIsWrong) {
  for (const char* flag :
       {"--nonsense", "--log.level=loud", "--retention.time=5", "extra", "--retention.size=1XB",
        "--grpc.listen-address=nowhere", "--remote-write.url=foo"}) {
    const ParsedStoreFlags parsed = ParseStoreFlags({flag});
    EXPECT_FALSE(parsed.flags.has_value()) << flag;
    EXPECT_EQ(parsed.exit_code, 2) << flag;
    EXPECT_THAT(parsed.text, HasSubstr("trawl-store: "));
    EXPECT_EQ(parsed.text.find('\n'), std::string::npos) << parsed.text;
  }
  EXPECT_EQ(ParseStoreFlags({"--discard", "--sqlite.path=x"}).exit_code, 2);
  EXPECT_EQ(ParseStoreFlags({"--grpc.listen-address=0.0.0.0:1"}).exit_code, 2);
  EXPECT_THAT(ParseStoreFlags({"--grpc.listen-address=:1"}).text, HasSubstr("say --insecure"));
  EXPECT_TRUE(ParseStoreFlags({"--grpc.listen-address=[::1]:1"}).flags);
  EXPECT_EQ(ParseStoreFlags({"--grpc.max-connections=0"}).exit_code, 2);
  EXPECT_EQ(ParseStoreFlags({"--grpc.max-connections=7"}).flags->max_connections, 7u);
  EXPECT_EQ(ParseStoreFlags({"--help"}).exit_code, 0);
  EXPECT_THAT(ParseStoreFlags({"--help"}).text, HasSubstr("--retention.size"));
}

TEST(StoreServerTest, ServesOnAPortAndRefusesWhatIsTaken) {
  SystemClock clock;
  PosixFileSystem fs;
  StoreFlags flags;
  flags.grpc_listen = {"127.0.0.1", 0};
  flags.backend = StoreFlags::Backend::kDiscard;
  ASSERT_OK_AND_ASSIGN(auto server, StoreServer::Start(flags, {clock, fs}));
  const std::string address = "127.0.0.1:" + std::to_string(server->port());
  TestWriter writer;
  writer.Scrape(writer.Target("a:1", {"m"}), kT0, {1});
  ClientStream stream(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  ASSERT_TRUE(stream.Write(TestWriter::Hello()));
  EXPECT_TRUE(stream.Read().has_welcome());
  ASSERT_TRUE(stream.Write(writer.Records(1, 2)));
  EXPECT_EQ(stream.ReadAck(2).durable(), 2u);

  flags.grpc_listen.port = server->port();
  EXPECT_THAT(StoreServer::Start(flags, {clock, fs}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("listen tcp")));
  server->Shutdown(absl::Seconds(5));
  EXPECT_TRUE(stream.Read().has_goaway());
  EXPECT_TRUE(stream.Finish().ok());
}

}  // namespace
}  // namespace trawl

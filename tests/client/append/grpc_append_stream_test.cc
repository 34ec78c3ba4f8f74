#include "client/append/grpc_append_stream.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "client/append/storage_channel.h"
#include "core/base/mutex.h"
#include "tests/contract/append_stream_contract.h"
#include "tests/matchers/status_matchers.h"
#include "trawl/storage/v1/storage.grpc.pb.h"

namespace trawl {
namespace {

// A StorageService whose one stream at a time does what the test says.
class ScriptedService final : public storage::v1::StorageService::CallbackService {
 public:
  grpc::ServerBidiReactor<storage::v1::AppendRequest, storage::v1::AppendResponse>* Append(
      grpc::CallbackServerContext*) override {
    auto* reactor = new Reactor(*this);
    MutexLock lock(mutex_);
    newest_ = reactor;
    received_.clear();
    saw_half_close_ = false;
    return reactor;
  }

  std::vector<storage::v1::AppendRequest> Received() {
    MutexLock lock(mutex_);
    return received_;
  }
  bool SawHalfClose() {
    MutexLock lock(mutex_);
    return saw_half_close_;
  }
  void Send(const storage::v1::AppendResponse& response) { Newest().Send(response); }
  void Close(const absl::Status& status) { Newest().Close(status); }

 private:
  class Reactor final
      : public grpc::ServerBidiReactor<storage::v1::AppendRequest, storage::v1::AppendResponse> {
   public:
    explicit Reactor(ScriptedService& service) : service_(service) { StartRead(&request_); }

    void Send(const storage::v1::AppendResponse& response) {
      {
        MutexLock lock(mutex_);
        queue_.push_back(response);
      }
      Proceed();
    }
    void Close(const absl::Status& status) {
      {
        MutexLock lock(mutex_);
        if (!close_.has_value()) close_ = status;
      }
      Proceed();
    }

    void OnReadDone(bool ok) override {
      {
        MutexLock lock(service_.mutex_);
        if (ok) service_.received_.push_back(request_);
        if (!ok) service_.saw_half_close_ = true;
      }
      if (ok) StartRead(&request_);
    }
    void OnWriteDone(bool) override {
      {
        MutexLock lock(mutex_);
        writing_ = false;
      }
      Proceed();
    }
    void OnCancel() override { Close(absl::CancelledError("cancelled")); }
    void OnDone() override {
      {
        MutexLock lock(service_.mutex_);
        if (service_.newest_ == this) service_.newest_ = nullptr;
      }
      delete this;
    }

   private:
    // Starts the next operation, outside of the lock: a reaction may run inside of it.
    void Proceed() {
      std::optional<absl::Status> close;
      {
        MutexLock lock(mutex_);
        if (writing_ || finished_) return;
        if (queue_.empty() && !close_.has_value()) return;
        if (queue_.empty()) {
          finished_ = true;
          close = close_;
        } else {
          response_ = queue_.front();
          queue_.pop_front();
          writing_ = true;
        }
      }
      if (close.has_value()) {
        Finish(grpc::Status(static_cast<grpc::StatusCode>(close->code()),
                            std::string(close->message())));
      } else {
        StartWrite(&response_);
      }
    }

    ScriptedService& service_;
    storage::v1::AppendRequest request_;
    storage::v1::AppendResponse response_;
    Mutex mutex_;
    std::deque<storage::v1::AppendResponse> queue_ TRAWL_GUARDED_BY(mutex_);
    std::optional<absl::Status> close_ TRAWL_GUARDED_BY(mutex_);
    bool writing_ TRAWL_GUARDED_BY(mutex_) = false;
    bool finished_ TRAWL_GUARDED_BY(mutex_) = false;
  };

  // Waits for the call: the client's first write may be complete before the server saw it.
  Reactor& Newest() {
    while (true) {
      {
        MutexLock lock(mutex_);
        if (newest_ != nullptr) return *newest_;
      }
      std::this_thread::yield();
    }
  }

  Mutex mutex_;
  Reactor* newest_ TRAWL_GUARDED_BY(mutex_) = nullptr;
  std::vector<storage::v1::AppendRequest> received_ TRAWL_GUARDED_BY(mutex_);
  bool saw_half_close_ TRAWL_GUARDED_BY(mutex_) = false;
};

// The real stream, to a real server: in this process, or over TCP.
class GrpcRig final : public AppendStreamRig {
 public:
  explicit GrpcRig(bool in_process) {
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMaxStorageMessageBytes);
    builder.RegisterService(&service_);
    int port = 0;
    if (!in_process) {
      builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    }
    server_ = builder.BuildAndStart();
    factory_ = std::make_unique<GrpcAppendStreamFactory>(
        [this, in_process, port] {
          return in_process ? MakeInProcessStorageChannel(*server_)
                            : MakeStorageChannel("127.0.0.1:" + std::to_string(port),
                                                 grpc::InsecureChannelCredentials());
        },
        loop_);
  }
  ~GrpcRig() override {
    factory_.reset();
    server_->Shutdown(std::chrono::system_clock::now());
  }

  AppendStreamFactory& factory() override { return *factory_; }
  std::vector<storage::v1::AppendRequest> Received() override { return service_.Received(); }
  bool StoreSawHalfClose() override { return service_.SawHalfClose(); }
  void StoreSends(const storage::v1::AppendResponse& response) override { service_.Send(response); }
  void StoreCloses(const absl::Status& status) override { service_.Close(status); }
  FakeEventLoop& loop() override { return loop_; }
  // gRPC's threads post to the loop: it is run again and again.
  bool RunUntil(const std::function<bool()>& done) override {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    for (loop_.RunUntilIdle(); !done(); loop_.RunUntilIdle()) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      std::this_thread::yield();
    }
    return true;
  }

 private:
  FakeEventLoop loop_;
  ScriptedService service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<GrpcAppendStreamFactory> factory_;
};

INSTANTIATE_TEST_SUITE_P(
    Grpc, AppendStreamContractTest,
    ::testing::Values(AppendStreamKind{"InProcess", [] { return std::make_unique<GrpcRig>(true); }},
                      AppendStreamKind{"Tcp", [] { return std::make_unique<GrpcRig>(false); }}),
    [](const auto& kind) { return kind.param.name; });

// Notes how a stream does.
class NotingObserver final : public AppendStream::Observer {
 public:
  void OnMessage(const storage::v1::AppendResponse&) override { ++messages; }
  void OnWritten() override { written = true; }
  void OnClosed(const absl::Status& s) override { status = s; }
  int messages = 0;
  bool written = false;
  std::optional<absl::Status> status;
};

void RunWhile(FakeEventLoop& loop, const std::function<bool()>& condition) {
  while (condition()) {
    loop.RunUntilIdle();
    std::this_thread::yield();
  }
}

storage::v1::AppendRequest HelloOf(const std::string& writer) {
  storage::v1::AppendRequest hello;
  hello.mutable_hello()->set_writer_id(writer);
  return hello;
}

std::function<std::shared_ptr<grpc::Channel>()> ChannelsTo(int port) {
  return [address = "127.0.0.1:" + std::to_string(port)] {
    return MakeStorageChannel(address, grpc::InsecureChannelCredentials());
  };
}

TEST(GrpcAppendStreamTest, StoreThatIsNotThereIsToldAtOnce) {
  NotingObserver observer;
  FakeEventLoop loop;
  GrpcAppendStreamFactory factory(ChannelsTo(1), loop);  // nobody listens on port 1
  std::unique_ptr<AppendStream> stream = factory.Open(observer);
  stream->Write(HelloOf("w"));

  RunWhile(loop, [&] { return !observer.status.has_value(); });

  EXPECT_THAT(*observer.status, StatusIs(absl::StatusCode::kUnavailable));
}

// A channel that failed would refuse the stream for as long as its own back-off lasts.
TEST(GrpcAppendStreamTest, StoreThatIsBackIsReachedByTheNextStream) {
  FakeEventLoop loop;
  ScriptedService service;
  auto serve = [&service](int port) {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service);
    int bound = 0;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(),
                             &bound);
    std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    return std::make_pair(std::move(server), bound);
  };
  auto [server, port] = serve(0);
  server->Shutdown(std::chrono::system_clock::now());
  server.reset();
  GrpcAppendStreamFactory factory(ChannelsTo(port), loop);
  for (int attempt = 0; attempt < 3; ++attempt) {
    NotingObserver away;
    std::unique_ptr<AppendStream> stream = factory.Open(away);
    RunWhile(loop, [&] { return !away.status.has_value(); });
    ASSERT_THAT(*away.status, StatusIs(absl::StatusCode::kUnavailable));
  }

  server = serve(port).first;
  ASSERT_NE(server, nullptr);
  NotingObserver back;
  std::unique_ptr<AppendStream> stream = factory.Open(back);
  stream->Write(HelloOf("w"));
  RunWhile(loop, [&] { return !back.written && !back.status.has_value(); });
  ASSERT_EQ(back.status, std::nullopt);
  service.Send({});
  RunWhile(loop, [&] { return back.messages == 0 && !back.status.has_value(); });

  EXPECT_EQ(back.status, std::nullopt);
  service.Close(absl::OkStatus());
  RunWhile(loop, [&] { return !back.status.has_value(); });
  stream.reset();
  server->Shutdown(std::chrono::system_clock::now());
}

TEST(GrpcAppendStreamTest, FactoryCanGoWhileTheLoopStandsStill) {
  auto rig = std::make_unique<GrpcRig>(false);
  NotingObserver observer;
  std::unique_ptr<AppendStream> stream = rig->factory().Open(observer);
  stream->Write({});

  stream.reset();
  rig.reset();  // would hang if it needed the loop
}

}  // namespace
}  // namespace trawl

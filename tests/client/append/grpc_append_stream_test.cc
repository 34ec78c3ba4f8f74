#include "client/append/grpc_append_stream.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <deque>
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
        in_process ? MakeInProcessStorageChannel(*server_)
                   : MakeStorageChannel("127.0.0.1:" + std::to_string(port),
                                        grpc::InsecureChannelCredentials(), true),
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

TEST(GrpcAppendStreamTest, StoreThatIsNotThereIsToldAtOnce) {
  class Closed final : public AppendStream::Observer {
   public:
    void OnMessage(const storage::v1::AppendResponse&) override {}
    void OnWritten() override {}
    void OnClosed(const absl::Status& s) override { status = s; }
    std::optional<absl::Status> status;
  } observer;
  FakeEventLoop loop;
  // Port 1 of the loopback: nobody listens there.
  GrpcAppendStreamFactory factory(
      MakeStorageChannel("127.0.0.1:1", grpc::InsecureChannelCredentials()), loop);
  std::unique_ptr<AppendStream> stream = factory.Open(observer);
  storage::v1::AppendRequest hello;
  hello.mutable_hello()->set_writer_id("w");
  stream->Write(hello);

  while (!observer.status.has_value()) {
    loop.RunUntilIdle();
    std::this_thread::yield();
  }

  EXPECT_THAT(*observer.status, StatusIs(absl::StatusCode::kUnavailable));
}

TEST(GrpcAppendStreamTest, FactoryCanGoWhileTheLoopStandsStill) {
  auto rig = std::make_unique<GrpcRig>(false);
  class Deaf final : public AppendStream::Observer {
   public:
    void OnMessage(const storage::v1::AppendResponse&) override {}
    void OnWritten() override {}
    void OnClosed(const absl::Status&) override {}
  } observer;
  std::unique_ptr<AppendStream> stream = rig->factory().Open(observer);
  stream->Write({});

  stream.reset();
  rig.reset();  // would hang if it needed the loop
}

}  // namespace
}  // namespace trawl

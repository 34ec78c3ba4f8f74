#include "client/append/grpc_append_stream.h"

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <utility>

#include "core/base/mutex.h"

namespace trawl {
namespace {

absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

}  // namespace

// Counts the calls that gRPC still knows. Thread-safe.
class GrpcAppendStreamFactory::OpenCalls {
 public:
  void Add() {
    MutexLock lock(mutex_);
    ++count_;
  }
  void Remove() {
    MutexLock lock(mutex_);
    if (--count_ == 0) none_.NotifyAll();
  }
  void WaitForNone() {
    MutexLock lock(mutex_);
    while (count_ != 0) none_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar none_;
  int count_ TRAWL_GUARDED_BY(mutex_) = 0;
};

// One call, from Open until gRPC has told that it is done with it. gRPC's reactions do nothing
// but post to the loop, where all the state is.
//
// The hold lets operations start outside of reactions: as long as it is there, OnDone does not
// come. It goes when the stream is destroyed, or when a read has told the call's end.
class GrpcAppendStreamFactory::Call final
    : public grpc::ClientBidiReactor<storage::v1::AppendRequest, storage::v1::AppendResponse> {
 public:
  Call(EventLoop& loop, AppendStream::Observer& observer, std::shared_ptr<OpenCalls> open_calls)
      : loop_(loop), open_calls_(std::move(open_calls)), observer_(&observer) {}

  void Start(storage::v1::StorageService::Stub& stub, std::shared_ptr<Call> self) {
    self_ = std::move(self);
    open_calls_->Add();
    stub.async()->Append(&context_, this);
    AddHold();
    StartRead(&response_);
    StartCall();
  }

  // ---- On the loop, called by the stream

  void Write(storage::v1::AppendRequest request) {
    if (!held_) return;  // ended: OnClosed is on its way
    request_ = std::move(request);
    writing_ = true;
    StartWrite(&request_);
  }

  void HalfClose() {
    half_closed_ = true;
    FinishWrites();
  }

  void Cancel() { context_.TryCancel(); }

  void Abandon() {
    observer_ = nullptr;
    context_.TryCancel();
    ReleaseHold();
  }

  // ---- Reactions, on gRPC's threads

  void OnReadDone(bool ok) override {
    loop_.Post([call = self_, ok] { ok ? call->TellMessage() : call->ReleaseHold(); });
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return;  // the call's end is told by the read
    loop_.Post([call = self_] { call->TellWritten(); });
  }

  // The call is released on the loop: its context may have the channel's last reference.
  void OnDone(const grpc::Status& status) override {
    const std::shared_ptr<OpenCalls> open_calls = open_calls_;
    loop_.Post([call = std::move(self_), status] { call->TellClosed(FromGrpc(status)); });
    open_calls->Remove();
  }

 private:
  // On the loop.
  void TellMessage() {
    if (observer_ == nullptr) return;
    observer_->OnMessage(response_);
    if (held_) StartRead(&response_);
  }

  void TellWritten() {
    writing_ = false;
    FinishWrites();
    if (observer_ != nullptr) observer_->OnWritten();
  }

  void TellClosed(const absl::Status& status) {
    if (observer_ != nullptr) observer_->OnClosed(status);
  }

  void FinishWrites() {
    if (!half_closed_ || writing_ || !held_ || writes_done_) return;
    writes_done_ = true;
    StartWritesDone();
  }

  void ReleaseHold() {
    if (!held_) return;
    held_ = false;
    RemoveHold();
  }

  // Constant after Start.
  EventLoop& loop_;
  const std::shared_ptr<OpenCalls> open_calls_;
  grpc::ClientContext context_;
  std::shared_ptr<Call> self_;  // until OnDone

  // The loop's; messages are gRPC's while an operation has them.
  AppendStream::Observer* observer_;  // null: the stream is destroyed
  bool held_ = true;
  bool writing_ = false;
  bool half_closed_ = false;
  bool writes_done_ = false;
  storage::v1::AppendRequest request_;
  storage::v1::AppendResponse response_;
};

class GrpcAppendStreamFactory::Stream final : public AppendStream {
 public:
  explicit Stream(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  ~Stream() override { call_->Abandon(); }

  void Write(storage::v1::AppendRequest message) override { call_->Write(std::move(message)); }
  void HalfClose() override { call_->HalfClose(); }
  void Cancel() override { call_->Cancel(); }

 private:
  const std::shared_ptr<Call> call_;
};

GrpcAppendStreamFactory::GrpcAppendStreamFactory(std::shared_ptr<grpc::Channel> channel,
                                                 EventLoop& loop)
    : channel_(std::move(channel)),
      stub_(storage::v1::StorageService::NewStub(channel_)),
      loop_(loop),
      open_calls_(std::make_shared<OpenCalls>()) {}

GrpcAppendStreamFactory::~GrpcAppendStreamFactory() { open_calls_->WaitForNone(); }

std::unique_ptr<AppendStream> GrpcAppendStreamFactory::Open(AppendStream::Observer& observer) {
  auto call = std::make_shared<Call>(loop_, observer, open_calls_);
  call->Start(*stub_, call);
  return std::make_unique<Stream>(std::move(call));
}

}  // namespace trawl

#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "client/stream/grpc_calls.h"
#include "core/base/event_loop.h"
#include "core/base/message_stream.h"

namespace trawl {

// Opens streams over gRPC, for one event loop.
//
// A broken connection is told at once (no waiting for it to be ready): who opens streams does so
// with a back-off. Messages are read one at a time: a server can't fill the loop with answers.
//
// Open is for the loop's thread. The streams must be destroyed before the factory, the factory
// before the loop. The destructor waits for gRPC to be done with all calls, which were cancelled
// by then; the loop need not run any more. Never destroy it inside a gRPC callback.
template <typename Request, typename Response>
class GrpcMessageStreamFactory : public MessageStreamFactory<Request, Response> {
 public:
  using Reactor = grpc::ClientBidiReactor<Request, Response>;
  // Starts the method's call on a stub. Owns the channel: its last reference must not go inside
  // a gRPC callback, and so goes with the factory or with a call that is released on the loop.
  using StartMethod = std::function<void(grpc::ClientContext* context, Reactor* reactor)>;

  GrpcMessageStreamFactory(StartMethod start, EventLoop& loop)
      : start_(std::move(start)), loop_(loop), open_calls_(std::make_shared<OpenCalls>()) {}
  ~GrpcMessageStreamFactory() override { open_calls_->WaitForNone(); }

  std::unique_ptr<MessageStream<Request, Response>> Open(
      typename MessageStream<Request, Response>::Observer& observer) override {
    auto call = std::make_shared<Call>(loop_, observer, open_calls_);
    call->Start(start_, call);
    return std::make_unique<Stream>(std::move(call));
  }

 private:
  class Call;
  class Stream;

  const StartMethod start_;
  EventLoop& loop_;
  const std::shared_ptr<OpenCalls> open_calls_;
};

// One call, from Open until gRPC has told that it is done with it. gRPC's reactions do nothing
// but post to the loop, where all the state is.
//
// The hold lets operations start outside of reactions: as long as it is there, OnDone does not
// come. It goes when the stream is destroyed, or when a read has told the call's end.
template <typename Request, typename Response>
class GrpcMessageStreamFactory<Request, Response>::Call final : public Reactor {
 public:
  using Observer = typename MessageStream<Request, Response>::Observer;

  Call(EventLoop& loop, Observer& observer, std::shared_ptr<OpenCalls> open_calls)
      : loop_(loop), open_calls_(std::move(open_calls)), observer_(&observer) {}

  void Start(const StartMethod& start, std::shared_ptr<Call> self) {
    self_ = std::move(self);
    open_calls_->Add();
    start(&context_, this);
    this->AddHold();
    this->StartRead(&response_);
    this->StartCall();
  }

  // ---- On the loop, called by the stream

  void Write(Request request) {
    if (!held_) return;  // ended: OnClosed is on its way
    request_ = std::move(request);
    writing_ = true;
    this->StartWrite(&request_);
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
    if (held_) this->StartRead(&response_);
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
    this->StartWritesDone();
  }

  void ReleaseHold() {
    if (!held_) return;
    held_ = false;
    this->RemoveHold();
  }

  // Constant after Start.
  EventLoop& loop_;
  const std::shared_ptr<OpenCalls> open_calls_;
  grpc::ClientContext context_;
  std::shared_ptr<Call> self_;  // until OnDone

  // The loop's; messages are gRPC's while an operation has them.
  Observer* observer_;  // null: the stream is destroyed
  bool held_ = true;
  bool writing_ = false;
  bool half_closed_ = false;
  bool writes_done_ = false;
  Request request_;
  Response response_;
};

template <typename Request, typename Response>
class GrpcMessageStreamFactory<Request, Response>::Stream final
    : public MessageStream<Request, Response> {
 public:
  explicit Stream(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  ~Stream() override { call_->Abandon(); }

  void Write(Request message) override { call_->Write(std::move(message)); }
  void HalfClose() override { call_->HalfClose(); }
  void Cancel() override { call_->Cancel(); }

 private:
  const std::shared_ptr<Call> call_;
};

}  // namespace trawl

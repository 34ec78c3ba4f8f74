#include "client/store/storage_service.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "core/base/mutex.h"

namespace trawl {

class GrpcStorageService::OpenStreams {
 public:
  void Add() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++count_;
  }
  void Remove() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (--count_ == 0) none_.notify_all();
  }
  void AwaitNone(absl::Duration deadline) {
    std::unique_lock<std::mutex> lock(mutex_);
    none_.wait_for(lock, absl::ToChronoNanoseconds(deadline), [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;  // not Mutex: its CondVar has no deadline
  std::condition_variable none_;
  int count_ = 0;
};

namespace {

using storage::v1::AppendRequest;
using storage::v1::AppendResponse;

// A writer that asks (by Ping, say) and reads no answers is not heard beyond so many.
constexpr size_t kMaxUnsent = 64;

grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

// One Append stream: gRPC's callbacks on one side, the store thread on the other. Both may hold it;
// it lives until gRPC and the sessions have let go.
// Calls of gRPC are made under the lock: its reactions never run inside of them (they are not
// inlined for reads and writes), and Finish can't overtake a read or write that is just started.
class AppendReactor final : public grpc::ServerBidiReactor<AppendRequest, AppendResponse>,
                            public StoreStream {
 public:
  struct Options {
    StoreSessions::StreamId id;
    size_t max_unprocessed_bytes;
    std::shared_ptr<GrpcStorageService::OpenStreams> open;
  };

  AppendReactor(const Options& options, EventLoop& loop, StoreSessions& sessions)
      : options_(options), loop_(loop), sessions_(sessions) {}

  static AppendReactor* Open(const Options& options, EventLoop& loop, StoreSessions& sessions) {
    auto reactor = std::make_shared<AppendReactor>(options, loop, sessions);
    reactor->self_ = reactor;
    options.open->Add();
    loop.Post([&sessions, reactor] { sessions.OnOpened(reactor->options_.id, reactor); });
    MutexLock lock(reactor->mutex_);
    reactor->StartRead(&reactor->request_);
    return reactor.get();
  }

  // StoreStream, store thread.
  void Send(AppendResponse message) override {
    MutexLock lock(mutex_);
    if (closing_) return;
    queue_.push_back(std::move(message));
    WriteNext();
  }

  void Finish(const absl::Status& status) override {
    MutexLock lock(mutex_);
    if (closing_) return;
    closing_ = true;
    final_ = ToGrpc(status);
    WriteNext();
  }

  // gRPC's callbacks.
  void OnReadDone(bool ok) override {
    const StoreSessions::StreamId id = options_.id;
    if (!ok) {
      loop_.Post([&sessions = sessions_, id] { sessions.OnHalfClosed(id); });
      return;
    }
    const size_t bytes = request_.ByteSizeLong();
    loop_.Post([self = self_, request = std::move(request_), bytes] {
      self->sessions_.OnRequest(self->options_.id, request);
      self->OnProcessed(bytes);
    });
    request_.Clear();
    MutexLock lock(mutex_);
    unprocessed_bytes_ += bytes;
    reading_ = false;
    ReadNext();
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(mutex_);
    writing_ = false;
    if (!ok) queue_.clear();
    WriteNext();
    ReadNext();
  }

  void OnCancel() override {
    loop_.Post([&sessions = sessions_, id = options_.id] { sessions.OnClosed(id); });
    Finish(absl::CancelledError("the writer cancelled"));
  }

  void OnDone() override {
    loop_.Post([&sessions = sessions_, id = options_.id] { sessions.OnClosed(id); });
    {
      MutexLock lock(mutex_);
      closing_ = true;
    }
    options_.open->Remove();
    const std::shared_ptr<AppendReactor> last = std::move(self_);
  }

 private:
  void OnProcessed(size_t bytes) {
    MutexLock lock(mutex_);
    unprocessed_bytes_ -= bytes;
    ReadNext();
  }

  void ReadNext() TRAWL_REQUIRES(mutex_) {
    if (reading_ || closing_ || unprocessed_bytes_ > options_.max_unprocessed_bytes) return;
    if (queue_.size() > kMaxUnsent) return;
    reading_ = true;
    StartRead(&request_);
  }

  void WriteNext() TRAWL_REQUIRES(mutex_) {
    if (writing_ || finished_) return;
    if (!queue_.empty()) {
      response_ = std::move(queue_.front());
      queue_.pop_front();
      writing_ = true;
      StartWrite(&response_);
    } else if (closing_) {
      finished_ = true;
      ServerBidiReactor::Finish(final_);
    }
  }

  const Options options_;
  EventLoop& loop_;
  StoreSessions& sessions_;

  // Held until OnDone; gRPC's callbacks, which come one after the other, alone touch it.
  std::shared_ptr<AppendReactor> self_;
  AppendRequest request_;  // the read's that is under way

  Mutex mutex_;
  bool reading_ TRAWL_GUARDED_BY(mutex_) = true;
  bool writing_ TRAWL_GUARDED_BY(mutex_) = false;
  bool closing_ TRAWL_GUARDED_BY(mutex_) = false;   // nothing more is queued
  bool finished_ TRAWL_GUARDED_BY(mutex_) = false;  // gRPC's Finish was called
  grpc::Status final_ TRAWL_GUARDED_BY(mutex_);
  AppendResponse response_ TRAWL_GUARDED_BY(mutex_);  // the write's that is under way
  std::deque<AppendResponse> queue_ TRAWL_GUARDED_BY(mutex_);
  size_t unprocessed_bytes_ TRAWL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

GrpcStorageService::GrpcStorageService(const Options& options, const Deps& deps)
    : options_(options),
      loop_(deps.loop),
      sessions_(deps.sessions),
      open_(std::make_shared<OpenStreams>()) {}
GrpcStorageService::~GrpcStorageService() = default;

void GrpcStorageService::AwaitStreams(absl::Duration deadline) { open_->AwaitNone(deadline); }

grpc::ServerBidiReactor<AppendRequest, AppendResponse>* GrpcStorageService::Append(
    grpc::CallbackServerContext*) {
  return AppendReactor::Open({.id = next_stream_.fetch_add(1),
                              .max_unprocessed_bytes = options_.max_unprocessed_bytes,
                              .open = open_},
                             loop_, sessions_);
}

grpc::ServerUnaryReactor* GrpcStorageService::Write(grpc::CallbackServerContext* context,
                                                    const storage::v1::WriteRequest* request,
                                                    storage::v1::WriteResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  loop_.Post([&sessions = sessions_, request, response, reactor] {
    sessions.Write(*request, [response, reactor](absl::StatusOr<storage::v1::WriteResponse> got) {
      const grpc::Status status = ToGrpc(got.status());
      if (got.ok()) *response = *std::move(got);
      reactor->Finish(status);
    });
  });
  return reactor;
}

grpc::ServerUnaryReactor* GrpcStorageService::GetWriterState(
    grpc::CallbackServerContext* context, const storage::v1::GetWriterStateRequest* request,
    storage::v1::GetWriterStateResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  loop_.Post([&sessions = sessions_, request, response, reactor] {
    auto got = sessions.WriterState(request->writer_id());
    const grpc::Status status = ToGrpc(got.status());
    if (got.ok()) *response = *std::move(got);
    reactor->Finish(status);
  });
  return reactor;
}

}  // namespace trawl

#include "client/store/embedded_store.h"

#include <grpcpp/channel.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <future>
#include <utility>

#include "client/store/storage_service.h"
#include "client/store/store_sessions.h"
#include "core/base/epoll_loop.h"
#include "core/base/mutex.h"

namespace trawl {
namespace {

// Above the largest record (32 MiB) and what is around it in a message.
constexpr int kMaxMessageBytes = 40 << 20;

// Runs `work` on the loop's thread and waits for it.
template <typename F>
auto RunOn(EventLoop& loop, F work) -> decltype(work()) {
  std::promise<decltype(work())> result;
  loop.Post([&] { result.set_value(work()); });
  return result.get_future().get();
}

}  // namespace

// Destroyed from the edge inwards, but for the thread, which ends before (Shutdown).
struct EmbeddedStore::Parts {
  Parts(const Clock& clock, const std::string& thread_name) : thread(clock, thread_name) {}

  absl::Status Open(const Options& options, StoreBackendFactory& factory);

  LoopThread thread;
  std::unique_ptr<StoreBackend> backend;    // store thread
  std::unique_ptr<StoreSessions> sessions;  // store thread
  std::unique_ptr<GrpcStorageService> service;
  std::unique_ptr<grpc::Server> server;

  Mutex mutex;  // EndStreams, Shutdown and Stats
  bool shut_down TRAWL_GUARDED_BY(mutex) = false;
};

absl::Status EmbeddedStore::Parts::Open(const Options& options, StoreBackendFactory& factory) {
  auto made = factory(thread.loop());
  if (!made.ok()) return made.status();
  backend = *std::move(made);
  StoreSessions::Options session_options;
  session_options.version = options.version;
  session_options.commit_interval = options.commit_interval;
  sessions = std::make_unique<StoreSessions>(
      session_options, StoreSessions::Deps{.loop = thread.loop(), .backend = *backend});
  return absl::OkStatus();
}

EmbeddedStore::EmbeddedStore(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
EmbeddedStore::~EmbeddedStore() { Shutdown(absl::ZeroDuration()); }

absl::StatusOr<std::unique_ptr<EmbeddedStore>> EmbeddedStore::Open(const Options& options,
                                                                   const Deps& deps,
                                                                   StoreBackendFactory backend) {
  auto parts = std::make_unique<Parts>(deps.clock, options.thread_name);
  EventLoop& loop = parts->thread.loop();
  absl::Status opened = RunOn(loop, [&] { return parts->Open(options, backend); });
  if (!opened.ok()) return opened;
  parts->service = std::make_unique<GrpcStorageService>(
      GrpcStorageService::Options{},
      GrpcStorageService::Deps{.loop = loop, .sessions = *parts->sessions});
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  builder.RegisterService(parts->service.get());
  parts->server = builder.BuildAndStart();
  if (parts->server == nullptr) {
    RunOn(loop, [&] { return parts->sessions.reset(), parts->backend.reset(), true; });
    return absl::InternalError("cannot start the server of the embedded store");
  }
  return std::unique_ptr<EmbeddedStore>(new EmbeddedStore(std::move(parts)));
}

std::shared_ptr<grpc::Channel> EmbeddedStore::InProcessChannel() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  return parts_->server->InProcessChannel(arguments);
}

grpc::Service& EmbeddedStore::service() { return *parts_->service; }

void EmbeddedStore::EndStreams() {
  MutexLock lock(parts_->mutex);
  if (parts_->shut_down) return;
  RunOn(parts_->thread.loop(), [&] { return parts_->sessions->Shutdown(), true; });
}

void EmbeddedStore::Shutdown(absl::Duration deadline) {
  MutexLock lock(parts_->mutex);
  if (parts_->shut_down) return;
  parts_->shut_down = true;
  EventLoop& loop = parts_->thread.loop();
  RunOn(loop, [&] { return parts_->sessions->Shutdown(), true; });
  parts_->service->AwaitStreams(deadline);
  parts_->server->Shutdown(absl::ToChronoTime(loop.clock().Now() + deadline));
  parts_->server->Wait();
  // First the thread: what is posted still refers to the sessions.
  parts_->thread.Shutdown();
  parts_->sessions.reset();
  parts_->backend.reset();
}

StoreStats EmbeddedStore::Stats() {
  MutexLock lock(parts_->mutex);
  if (parts_->shut_down) return {};
  return RunOn(parts_->thread.loop(), [&] { return parts_->backend->Stats(); });
}

}  // namespace trawl

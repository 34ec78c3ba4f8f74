#include "client/store/program/store_server.h"

#include <utility>

#include "client/store/discard_backend.h"
#include "client/store/embedded_store.h"
#include "client/store/remote_write_backend.h"
#include "client/store/sqlite/sqlite_backend.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "server/reflection_service.h"
#include "server/rpc_server.h"
#include "server/version.h"
#include "trawl/storage/v1/storage.grpc.pb.h"

namespace trawl {
namespace {

// Above the largest record (32 MiB) and what is around it in a message.
constexpr int kMaxMessageBytes = 40 << 20;
constexpr absl::Duration kRemoteWriteTimeout = absl::Seconds(30);

absl::StatusOr<StoreBackendFactory> RemoteWriteFactory(const StoreFlags& flags, FileSystem& fs) {
  ASSIGN_OR_RETURN(auto access, MakeHttpAccess(flags.remote_write_url, {}, kRemoteWriteTimeout));
  return RemoteWriteBackendFactory(
      {.access = std::make_shared<Published<HttpAccess>>(std::move(access)),
       .state_path = flags.data_dir + "/remote-write.state",
       .user_agent = "trawl-store/" + GetBuildInfo().version},
      fs);
}

absl::StatusOr<StoreBackendFactory> FactoryFor(const StoreFlags& flags, FileSystem& fs) {
  switch (flags.backend) {
    case StoreFlags::Backend::kRemoteWrite:
      return RemoteWriteFactory(flags, fs);
    case StoreFlags::Backend::kDiscard:
      return DiscardBackendFactory();
    case StoreFlags::Backend::kSqlite:
      break;
  }
  return SqliteBackendFactory({.path = flags.sqlite_path,
                               .retention_time = flags.retention_time,
                               .retention_bytes = flags.retention_bytes},
                              fs);
}

// Both keep a samples.db and a remote-write state in their directory, under locks of other names.
absl::Status CheckNotTrawlds(FileSystem& fs, const std::string& directory) {
  if (!fs.ReadFile(directory + "/writer-id").ok()) return absl::OkStatus();
  return absl::FailedPreconditionError("data directory " + directory +
                                       " is trawld's: give trawl-store a --data-dir of its own");
}

}  // namespace

struct StoreServer::Parts {
  std::unique_ptr<FileLock> lock;
  std::unique_ptr<EmbeddedStore> store;
  std::unique_ptr<ReflectionService> reflection;
  std::unique_ptr<RpcServer> server;
  bool shut_down = false;
};

StoreServer::StoreServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
StoreServer::~StoreServer() { Shutdown(absl::ZeroDuration()); }

absl::StatusOr<std::unique_ptr<StoreServer>> StoreServer::Start(const StoreFlags& flags,
                                                                const Deps& deps) {
  auto parts = std::make_unique<Parts>();
  ASSIGN_OR_RETURN(ListenSockets sockets, ListenSockets::Open(flags.grpc_listen));
  if (flags.backend != StoreFlags::Backend::kDiscard) {
    RETURN_IF_ERROR(deps.fs.CreateDirectory(flags.data_dir));
    RETURN_IF_ERROR(CheckNotTrawlds(deps.fs, flags.data_dir));
    ASSIGN_OR_RETURN(parts->lock, deps.fs.Lock(flags.data_dir + "/trawl-store.lock"));
  }
  EmbeddedStore::Options options;
  options.version = "trawl-store " + GetBuildInfo().version;
  ASSIGN_OR_RETURN(StoreBackendFactory backend, FactoryFor(flags, deps.fs));
  ASSIGN_OR_RETURN(parts->store, EmbeddedStore::Open(options, {deps.clock}, std::move(backend)));
  parts->reflection = std::make_unique<ReflectionService>(std::vector<std::string>{
      storage::v1::StorageService::service_full_name(), ReflectionService::HealthServiceName()});

  RpcServer::Options rpc;
  rpc.max_message_bytes = kMaxMessageBytes;
  rpc.max_connections = flags.max_connections;
  rpc.health_services = {storage::v1::StorageService::service_full_name()};
  ASSIGN_OR_RETURN(parts->server,
                   RpcServer::Start(rpc, std::move(sockets),
                                    {&parts->store->service(), &parts->reflection->v1(),
                                     &parts->reflection->v1alpha()}));
  parts->server->SetServing(true);
  return std::unique_ptr<StoreServer>(new StoreServer(std::move(parts)));
}

uint16_t StoreServer::port() const { return parts_->server->port(); }

void StoreServer::Shutdown(absl::Duration deadline) {
  if (std::exchange(parts_->shut_down, true)) return;
  parts_->server->StopAccepting();
  parts_->server->SetServing(false);
  // The streams' ends first: with them open the server would wait until the deadline.
  parts_->store->EndStreams();
  parts_->server->Shutdown(deadline);
  parts_->store->Shutdown(deadline);
}

}  // namespace trawl

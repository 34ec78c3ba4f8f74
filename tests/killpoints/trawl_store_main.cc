// trawl-store with SQLite that kills itself at a named point (killer.h): the same store behind a
// plain gRPC server, with a SQLite and a gRPC that know the points at which a crash leaves
// something different behind. It ends by signals alone. For tests/e2e/test_kill_points.py.

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/append/storage_channel.h"
#include "client/store/embedded_store.h"
#include "client/store/program/store_flags.h"
#include "client/store/sqlite/sqlite_backend.h"
#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "server/grpc_compat.h"
#include "tests/killpoints/append_kill_points.h"
#include "tests/killpoints/killer.h"
#include "tests/killpoints/sql_kill_points.h"

int main(int argc, char** argv) {
  const trawl::ParsedStoreFlags parsed =
      trawl::ParseStoreFlags(std::vector<std::string>(argv + 1, argv + argc));
  if (!parsed.flags.has_value()) {
    std::fprintf(stderr, "%s\n", parsed.text.c_str());
    return parsed.exit_code;
  }
  trawl::Killer killer;
  trawl::TellOfSqlStatements(std::ref(killer));
  const trawl::SystemClock clock;
  trawl::PosixFileSystem files;
  const auto store = trawl::EmbeddedStore::Open(
      {}, {clock}, trawl::SqliteBackendFactory({.path = parsed.flags->sqlite_path}, files));
  if (!store.ok()) {
    std::fprintf(stderr, "%s\n", store.status().ToString().c_str());
    return 1;
  }
  grpc::ServerBuilder builder;
  trawl::SetServerDefaults(builder, trawl::kMaxStorageMessageBytes);
  trawl::SetInterceptors(builder, trawl::MakeStoreKillPoints(std::ref(killer)));
  builder.AddListeningPort(parsed.flags->grpc_listen.ToString(), grpc::InsecureServerCredentials());
  builder.RegisterService(&(*store)->service());
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  server->Wait();
  return 0;
}

// trawld that kills itself at a named point (killer.h): as server/main.cc makes it, but over a file
// system and a gRPC that know the points at which a crash leaves something different behind. For
// tests/e2e/test_kill_points.py.

#include <functional>

#include "server/run_trawld.h"
#include "tests/killpoints/append_kill_points.h"
#include "tests/killpoints/kill_point_file_system.h"
#include "tests/killpoints/killer.h"

int main(int argc, char** argv) {
  trawl::Killer killer;
  trawl::PosixFileSystem disk;
  trawl::KillPointFileSystem files(disk, std::ref(killer));
  const auto streams = trawl::MakeWriterKillPoints(std::ref(killer));
  grpc::experimental::RegisterGlobalClientInterceptorFactory(streams.get());
  return trawl::RunTrawld(argc, argv, files);
}

#include <signal.h>
#include <string.h>

#include <iostream>
#include <string>
#include <vector>

#include "client/store/program/store_flags.h"
#include "client/store/program/store_server.h"
#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/log.h"
#include "server/version.h"

namespace {

constexpr absl::Duration kDrain = absl::Seconds(8);

// Blocked before the first thread starts, so that only sigwait sees them.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

int Run(const trawl::StoreFlags& flags) {
  const sigset_t signals = BlockSignals();
  trawl::ConfigureLogging(flags.log_level, flags.log_format);
  const trawl::SystemClock clock;
  trawl::PosixFileSystem fs;
  auto server = trawl::StoreServer::Start(flags, {clock, fs});
  if (!server.ok()) {
    std::cerr << "trawl-store: " << server.status().message() << "\n";
    return 1;
  }
  trawl::ListenAddress address = flags.grpc_listen;
  address.port = (*server)->port();
  trawl::LogInfo("Store is ready", {{"version", trawl::GetBuildInfo().version},
                                    {"address", address.ToString()},
                                    {"data_dir", flags.data_dir}});
  if (!address.IsLoopback()) {
    trawl::LogWarn("others can reach the storage service, without TLS",
                   {{"address", address.ToString()}});
  }
  int signal = 0;
  sigwait(&signals, &signal);
  trawl::LogInfo("Stopping", {{"signal", strsignal(signal)}});
  (*server)->Shutdown(kDrain);
  trawl::LogInfo("Stopped");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const trawl::ParsedStoreFlags parsed =
      trawl::ParseStoreFlags(std::vector<std::string>(argv + 1, argv + argc));
  if (parsed.flags.has_value()) return Run(*parsed.flags);
  if (parsed.exit_code != 0) {
    std::cerr << parsed.text << "\n";
  } else {
    std::cout << parsed.text;
  }
  return parsed.exit_code;
}

#include "server/run_trawld.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_split.h"
#include "core/base/log.h"
#include "server/app.h"
#include "server/flags.h"

namespace trawl {
namespace {

// Before the first thread: they inherit it. App reads the signals from a descriptor.
void BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGHUP, SIGINT, SIGTERM}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

std::optional<std::string> Environment(std::string_view name) {
  const char* value = std::getenv(std::string(name).c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

}  // namespace

int RunTrawld(int argc, char** argv, FileSystem& files) {
  ParsedFlags parsed = ParseFlags(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
  if (!parsed.flags) {
    std::fputs(parsed.text.c_str(), parsed.exit_code == 0 ? stdout : stderr);
    return parsed.exit_code;
  }
  BlockSignals();
  ConfigureLogging(parsed.flags->log_level, parsed.flags->log_format);
  absl::StatusOr<std::unique_ptr<App>> app = App::Start(*parsed.flags, Environment, files);
  if (!app.ok()) {
    // Of a configuration each problem has a line.
    for (const std::string_view line : absl::StrSplit(app.status().message(), '\n')) {
      std::fprintf(stderr, "trawld: %s\n", std::string(line).c_str());
    }
    return absl::IsInvalidArgument(app.status()) ? 2 : 1;
  }
  (*app)->Run();
  return 0;
}

}  // namespace trawl

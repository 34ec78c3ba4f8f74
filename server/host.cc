#include "server/host.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/log.h"

namespace trawl {

std::string Hostname() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0) return "localhost";
  return name;
}

int64_t RaiseDescriptorLimit() {
  constexpr rlim_t kPlenty = 1 << 30;  // RLIM_INFINITY is larger than an int64_t
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return kPlenty;
  const rlim_t before = std::exchange(limit.rlim_cur, limit.rlim_max);
  if (before != limit.rlim_max && setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    LogWarn("Can't raise the limit of open files", {{"err", std::strerror(errno)}});
    limit.rlim_cur = before;
  }
  return static_cast<int64_t>(std::min(limit.rlim_cur, kPlenty));
}

int64_t OpenDescriptors() {
  DIR* const directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  int64_t entries = 0;
  while (readdir(directory) != nullptr) ++entries;
  closedir(directory);
  return std::max<int64_t>(0, entries - 3);  // ".", ".." and the directory itself
}

}  // namespace trawl

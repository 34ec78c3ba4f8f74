#include "server/open_connections.h"

#include <sys/stat.h>

#include <algorithm>

namespace trawl {

void OpenConnections::Add(int fd) {
  struct stat status = {};
  if (fstat(fd, &status) != 0) return;
  MutexLock lock(mutex_);
  // Also where nobody counts those that are over don't pile up.
  if (connections_.size() >= sweep_at_) Sweep();
  connections_.push_back({fd, status.st_ino});
}

size_t OpenConnections::AtMost() const {
  MutexLock lock(mutex_);
  return connections_.size();
}

size_t OpenConnections::Count() {
  MutexLock lock(mutex_);
  Sweep();
  return connections_.size();
}

void OpenConnections::Sweep() {
  std::erase_if(connections_, [](const Connection& connection) { return !IsOpen(connection); });
  sweep_at_ = std::max<size_t>(64, 2 * connections_.size());
}

// The kernel gives each socket an inode of its own.
bool OpenConnections::IsOpen(const Connection& connection) {
  struct stat status = {};
  return fstat(connection.fd, &status) == 0 && status.st_ino == connection.inode;
}

}  // namespace trawl

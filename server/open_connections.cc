#include "server/open_connections.h"

#include <sys/stat.h>

namespace trawl {

void OpenConnections::Add(int fd) {
  struct stat status = {};
  if (fstat(fd, &status) != 0) return;
  MutexLock lock(mutex_);
  connections_.push_back({fd, status.st_ino});
}

size_t OpenConnections::AtMost() const {
  MutexLock lock(mutex_);
  return connections_.size();
}

size_t OpenConnections::Count() {
  MutexLock lock(mutex_);
  std::erase_if(connections_, [](const Connection& connection) { return !IsOpen(connection); });
  return connections_.size();
}

// The kernel gives each socket an inode of its own.
bool OpenConnections::IsOpen(const Connection& connection) {
  struct stat status = {};
  return fstat(connection.fd, &status) == 0 && status.st_ino == connection.inode;
}

}  // namespace trawl

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string_view>
#include <vector>

#include "core/base/mutex.h"

namespace trawl {

// How many sockets are open of those that were given to somebody who closes them without a word,
// as gRPC does. One is over when its descriptor is closed, or stands for another file by now.
//
// Thread-safe.
class OpenConnections {
 public:
  // Before the socket is given away.
  void Add(int fd);
  // At most this many are open: some that are over may be among them.
  size_t AtMost() const;
  // Looks at each of them: a system call a connection.
  size_t Count();
  // Breaks off the one whose other end is `peer`, as gRPC writes it ("ipv4:127.0.0.1:4711",
  // "ipv6:%5B::1%5D:4711"); its owner closes it then. False: there is none.
  bool ShutDown(std::string_view peer);

 private:
  struct Connection {
    int fd;
    ino_t inode;
  };
  static bool IsOpen(const Connection& connection);
  void Sweep() TRAWL_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::vector<Connection> connections_ TRAWL_GUARDED_BY(mutex_);
  size_t sweep_at_ TRAWL_GUARDED_BY(mutex_) = 0;
};

}  // namespace trawl

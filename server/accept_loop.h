#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "server/listen_address.h"

namespace trawl {

// A thread that accepts connections and hands them on. It goes on when the process has run out of
// descriptors for a while, which gRPC 1.51's own listener does not (CVE-2023-4785).
//
// Not thread-safe; `on_connection` runs on the loop's thread and takes the socket over.
class AcceptLoop {
 public:
  AcceptLoop(ListenSockets sockets, std::function<void(int fd)> on_connection);
  // As Stop.
  ~AcceptLoop();

  // Idempotent; waits for the thread. The sockets stop listening.
  void Stop();
  uint16_t port() const { return port_; }

 private:
  void Run();
  // False: no descriptor was left, or another reason to rest a while.
  bool AcceptAll(int listener);

  const uint16_t port_;
  const std::function<void(int)> on_connection_;
  std::vector<int> fds_;  // of sockets_
  std::unique_ptr<ListenSockets> sockets_;
  int wake_fd_ = -1;
  std::thread thread_;
};

}  // namespace trawl

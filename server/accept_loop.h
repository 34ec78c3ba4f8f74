#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "server/listen_address.h"
#include "server/open_connections.h"

namespace trawl {

// A thread that accepts connections and hands them on. It goes on when the process has run out of
// descriptors for a while, which gRPC 1.51's own listener does not (CVE-2023-4785). A connection
// beyond `max_connections` is closed at once.
//
// Not thread-safe, but for connections and ShutDown; `on_connection` and `on_refused` run on the loop's thread.
// The former takes the socket over.
class AcceptLoop {
 public:
  struct Options {
    std::string name = "accept";  // of the thread, as operators see it
    size_t max_connections = std::numeric_limits<size_t>::max();
    std::function<void()> on_refused;  // one was closed; may be null
  };

  AcceptLoop(Options options, ListenSockets sockets, std::function<void(int fd)> on_connection);
  // As Stop.
  ~AcceptLoop();

  // Idempotent; waits for the thread. The sockets stop listening.
  void Stop();
  uint16_t port() const { return port_; }
  // That are open.
  size_t connections() { return open_.Count(); }
  // As OpenConnections::ShutDown.
  bool ShutDown(std::string_view peer) { return open_.ShutDown(peer); }

 private:
  void Run();
  bool HasRoom();
  void Refuse(int fd);
  // False: no descriptor was left, or another reason to rest a while.
  bool AcceptAll(int listener);

  const Options options_;
  const uint16_t port_;
  const std::function<void(int)> on_connection_;
  std::vector<int> fds_;  // of sockets_
  std::unique_ptr<ListenSockets> sockets_;
  int wake_fd_ = -1;
  OpenConnections open_;
  bool full_ = false;  // a refusal was logged since there was room for many
  std::thread thread_;
};

}  // namespace trawl

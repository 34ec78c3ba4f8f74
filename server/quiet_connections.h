#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "core/base/event_loop.h"

namespace trawl {

class HttpStream;  // its library's header defines macros that others stumble over

// Connections whose client has not said yet what it wants: nothing, or half of a request. They wait
// here, for no thread of their own; one whose request's head is complete is handed on. One that
// isn't for too long is closed, or earlier when there are too many connections and it is the
// oldest: whoever opens connections and says too little keeps nobody else out.
//
// Loop's thread only, but for OnOver.
class QuietConnections {
 public:
  struct Options {
    // Those that were handed on and are not over included.
    size_t max_connections = 512;
    absl::Duration max_wait = absl::Seconds(10);  // from the connection to the end of the head
  };
  struct Deps {
    EventLoop& loop;
    FdWatcher& watcher;
  };
  struct Callbacks {
    std::function<void(std::unique_ptr<HttpStream>)> heard;  // OnOver follows
    std::function<void()> closed;                            // one was closed unheard
  };

  QuietConnections(const Options& options, const Deps& deps, Callbacks callbacks);
  // As CloseAll.
  ~QuietConnections();

  void Add(std::unique_ptr<HttpStream> stream);
  // A connection that was handed on is over. Thread-safe.
  void OnOver() { handed_on_.fetch_sub(1); }
  // Those that wait.
  void CloseAll();

 private:
  struct Quiet {
    std::unique_ptr<HttpStream> stream;
    TimerId timer;
  };

  void OnReady(int fd);
  void CloseUnheard(int fd);
  // Ends the wait.
  std::unique_ptr<HttpStream> Leave(int fd);

  const Options options_;
  EventLoop& loop_;
  FdWatcher& watcher_;
  const Callbacks callbacks_;
  std::list<Quiet> quiet_;  // the oldest first
  absl::flat_hash_map<int, std::list<Quiet>::iterator> by_fd_;
  std::atomic<size_t> handed_on_{0};
};

}  // namespace trawl

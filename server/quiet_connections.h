#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <list>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "core/base/event_loop.h"

namespace trawl {

// Connections whose client has said nothing yet. They wait here, for no thread of their own; one
// that speaks is handed on. One that stays silent is closed after a while, or earlier when there
// are too many connections and it is the oldest: whoever opens connections and says nothing
// keeps nobody else out.
//
// Loop's thread only, but for OnOver.
class QuietConnections {
 public:
  struct Options {
    // Those that were handed on and are not over included.
    size_t max_connections = 512;
    absl::Duration max_silence = absl::Seconds(10);
  };
  struct Deps {
    EventLoop& loop;
    FdWatcher& watcher;
  };
  struct Callbacks {
    std::function<void(int fd)> speaks;  // takes the socket over; OnOver follows
    std::function<void()> closed;        // one was closed unheard
  };

  QuietConnections(const Options& options, const Deps& deps, Callbacks callbacks)
      : options_(options), loop_(deps.loop), watcher_(deps.watcher), callbacks_(callbacks) {}
  // As CloseAll.
  ~QuietConnections() { CloseAll(); }

  // Takes the socket over.
  void Add(int fd);
  // A connection that was handed on is over. Thread-safe.
  void OnOver() { handed_on_.fetch_sub(1); }
  // Those that wait.
  void CloseAll();

 private:
  struct Quiet {
    int fd;
    TimerId timer;
  };

  void OnSpeaks(int fd);
  void CloseUnheard(int fd);
  // Ends the wait.
  void Leave(int fd);

  const Options options_;
  EventLoop& loop_;
  FdWatcher& watcher_;
  const Callbacks callbacks_;
  std::list<Quiet> quiet_;  // the oldest first
  absl::flat_hash_map<int, std::list<Quiet>::iterator> by_fd_;
  std::atomic<size_t> handed_on_{0};
};

}  // namespace trawl

#include "server/accept_loop.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/log.h"

namespace trawl {

AcceptLoop::AcceptLoop(Options options, ListenSockets sockets,
                       std::function<void(int)> on_connection)
    : options_(std::move(options)),
      port_(sockets.port()),
      on_connection_(std::move(on_connection)),
      fds_(sockets.fds()),
      sockets_(std::make_unique<ListenSockets>(std::move(sockets))),
      wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), options_.name.c_str());
}

AcceptLoop::~AcceptLoop() {
  Stop();
  close(wake_fd_);
}

void AcceptLoop::Stop() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof one);
  thread_.join();
  sockets_.reset();
}

void AcceptLoop::Run() {
  std::vector<pollfd> watched = {{wake_fd_, POLLIN, 0}};
  for (const int fd : fds_) watched.push_back({fd, POLLIN, 0});
  bool rest = false;
  while (true) {
    // At rest only the wake-up is looked at: a full backlog must not make the loop spin.
    const int ready = rest ? poll(watched.data(), 1, 50) : poll(watched.data(), watched.size(), -1);
    rest = false;
    if (ready < 0 && errno != EINTR)
      return LogError("poll failed", {{"err", std::strerror(errno)}});
    if (watched[0].revents != 0) return;
    for (size_t i = 1; i < watched.size(); ++i) rest |= !AcceptAll(watched[i].fd);
  }
}

bool AcceptLoop::AcceptAll(int listener) {
  while (true) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 && !HasRoom()) {
      Refuse(fd);
      continue;
    }
    if (fd >= 0) {
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      open_.Add(fd);
      on_connection_(fd);
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    return errno == EAGAIN || errno == EWOULDBLOCK;
  }
}

bool AcceptLoop::HasRoom() {
  if (open_.AtMost() < options_.max_connections) return true;
  const size_t open = open_.Count();
  // One that comes and goes at the limit is no news.
  if (open < options_.max_connections / 4 * 3) full_ = false;
  return open < options_.max_connections;
}

void AcceptLoop::Refuse(int fd) {
  close(fd);
  if (options_.on_refused != nullptr) options_.on_refused();
  if (std::exchange(full_, true)) return;
  LogWarn("Connections are closed as they come: as many as may be are open",
          {{"port", port_}, {"max_connections", options_.max_connections}});
}

}  // namespace trawl

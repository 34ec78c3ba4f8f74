#include "core/fetch/curl_cell.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "core/fetch/tls_context.h"

namespace trawl {
namespace {

// Connections beyond one an endpoint, before libcurl closes the oldest.
constexpr long kSlackConnections = 32;
// Old enough that what a transfer under way was given is never pruned under it.
constexpr long kPrunedDnsAgeSeconds = 3600;

}  // namespace

CurlCell::CurlCell(const Options& options, Deps deps)
    : options_(options),
      loop_(deps.loop),
      watcher_(deps.watcher),
      budget_(deps.budget),
      tls_(std::move(deps.tls)),
      on_done_(deps.on_done) {
  MakeMulti();
}

CurlCell::~CurlCell() {
  curl_multi_cleanup(multi_);
  loop_.Cancel(timer_);
  budget_.ReturnOverhead(kOwnDescriptors);
}

void CurlCell::MakeMulti() {
  multi_ = curl_multi_init();
  const auto set = [this](CURLMoption option, auto value) {
    curl_multi_setopt(multi_, option, value);
  };
  set(CURLMOPT_SOCKETFUNCTION, &CurlCell::OnSocket);
  set(CURLMOPT_SOCKETDATA, this);
  set(CURLMOPT_TIMERFUNCTION, &CurlCell::OnTimer);
  set(CURLMOPT_TIMERDATA, this);
  set(CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
  // The default is sized by the transfers under way and closes the connections of all others.
  set(CURLMOPT_MAXCONNECTS, static_cast<long>(options_.max_endpoints) + kSlackConnections);
}

void CurlCell::RemoveEndpoint() {
  --endpoints_;
  prune_dns_ = true;
}

void CurlCell::Start(CurlEasy& easy) {
  CURL* handle = easy.handle();
  curl_easy_setopt(handle, CURLOPT_CLOSESOCKETFUNCTION, &CurlCell::OnCloseSocket);
  curl_easy_setopt(handle, CURLOPT_CLOSESOCKETDATA, this);
  SetDnsPruning(easy);
  ++transfers_;
  curl_multi_add_handle(multi_, handle);
}

// Any time but -1 makes libcurl walk its whole cache after the transfer: done only when there
// is something to forget.
void CurlCell::SetDnsPruning(CurlEasy& easy) {
  const long timeout = prune_dns_ ? kPrunedDnsAgeSeconds : -1;
  curl_easy_setopt(easy.handle(), CURLOPT_DNS_CACHE_TIMEOUT, timeout);
  prune_dns_ = false;
}

void CurlCell::Remove(CurlEasy& easy) {
  --transfers_;
  curl_multi_remove_handle(multi_, easy.handle());
}

int CurlCell::OpenSocket(const curl_sockaddr& address, std::shared_ptr<CurlEndpoint> endpoint) {
  const int fd = socket(address.family, address.socktype | SOCK_CLOEXEC, address.protocol);
  if (fd < 0) return -1;
  ++endpoint->sockets;
  sockets_[fd].endpoint = std::move(endpoint);
  return fd;
}

void CurlCell::CloseConnections() {
  curl_multi_cleanup(multi_);
  loop_.Cancel(timer_);
  timer_ = 0;
  MakeMulti();
}

void CurlCell::SetTimer(long timeout_ms) {
  loop_.Cancel(timer_);
  timer_ = 0;
  if (timeout_ms < 0) return;
  timer_ = loop_.RunAfter(absl::Milliseconds(timeout_ms), [this] {
    timer_ = 0;
    Act(CURL_SOCKET_TIMEOUT, 0);
  });
}

void CurlCell::WatchSocket(int fd, int what) {
  uint32_t events = 0;
  if ((what & CURL_POLL_IN) != 0) events |= FdWatcher::kReadable;
  if ((what & CURL_POLL_OUT) != 0) events |= FdWatcher::kWritable;
  bool& watched = sockets_[fd].watched;
  if (watched) return watcher_.SetEvents(fd, events);
  watched = true;
  watcher_.Watch(fd, events, [this, fd](uint32_t ready) {
    int mask = 0;
    if ((ready & FdWatcher::kReadable) != 0) mask |= CURL_CSELECT_IN;
    if ((ready & FdWatcher::kWritable) != 0) mask |= CURL_CSELECT_OUT;
    if ((ready & FdWatcher::kError) != 0) mask |= CURL_CSELECT_ERR;
    Act(fd, mask);
  });
}

void CurlCell::Unwatch(int fd) {
  const auto found = sockets_.find(fd);
  if (found == sockets_.end() || !found->second.watched) return;
  found->second.watched = false;
  watcher_.Unwatch(fd);
}

void CurlCell::Act(int fd, int events) {
  int running = 0;
  curl_multi_socket_action(multi_, fd, events, &running);
  TellDone();
}

void CurlCell::TellDone() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    CurlEasy* easy = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &easy);
    on_done_(*easy, code);
  }
}

int CurlCell::OnSocket(CURL*, curl_socket_t fd, int what, void* self, void*) {
  auto& cell = *static_cast<CurlCell*>(self);
  if (what == CURL_POLL_REMOVE) {
    cell.Unwatch(fd);
  } else if (cell.sockets_.contains(fd)) {
    cell.WatchSocket(fd, what);
  }
  return 0;
}

int CurlCell::OnTimer(CURLM*, long timeout_ms, void* self) {
  static_cast<CurlCell*>(self)->SetTimer(timeout_ms);
  return 0;
}

int CurlCell::OnCloseSocket(void* self, curl_socket_t fd) {
  auto& cell = *static_cast<CurlCell*>(self);
  cell.Unwatch(fd);
  close(fd);
  const auto found = cell.sockets_.find(fd);
  if (found == cell.sockets_.end()) return 0;
  --found->second.endpoint->sockets;
  cell.sockets_.erase(found);
  cell.budget_.Release();
  return 0;
}

}  // namespace trawl

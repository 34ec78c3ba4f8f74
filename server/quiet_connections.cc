#include "server/quiet_connections.h"

#include <utility>

#include "server/http_stream.h"

namespace trawl {

QuietConnections::QuietConnections(const Options& options, const Deps& deps, Callbacks callbacks)
    : options_(options),
      loop_(deps.loop),
      watcher_(deps.watcher),
      callbacks_(std::move(callbacks)) {}

QuietConnections::~QuietConnections() { CloseAll(); }

void QuietConnections::Add(std::unique_ptr<HttpStream> stream) {
  if (quiet_.size() + handed_on_.load() >= options_.max_connections) {
    if (quiet_.empty()) return callbacks_.closed();
    CloseUnheard(quiet_.front().stream->socket());
  }
  const int fd = stream->socket();
  const TimerId timer = loop_.RunAfter(options_.max_wait, [this, fd] { CloseUnheard(fd); });
  by_fd_[fd] = quiet_.insert(quiet_.end(), {std::move(stream), timer});
  watcher_.Watch(fd, FdWatcher::kReadable, [this, fd](uint32_t) { OnReady(fd); });
}

void QuietConnections::OnReady(int fd) {
  switch (by_fd_.at(fd)->stream->Listen()) {
    case HttpStream::Heard::kReadMore:
      return watcher_.SetEvents(fd, FdWatcher::kReadable);
    case HttpStream::Heard::kWriteMore:
      return watcher_.SetEvents(fd, FdWatcher::kWritable);
    case HttpStream::Heard::kFailed:
      Leave(fd);
      return;
    case HttpStream::Heard::kAll:
      handed_on_.fetch_add(1);
      callbacks_.heard(Leave(fd));
  }
}

void QuietConnections::CloseAll() {
  while (!quiet_.empty()) Leave(quiet_.front().stream->socket());
}

void QuietConnections::CloseUnheard(int fd) {
  const std::unique_ptr<HttpStream> stream = Leave(fd);
  callbacks_.closed();  // before its client sees it
}

std::unique_ptr<HttpStream> QuietConnections::Leave(int fd) {
  watcher_.Unwatch(fd);
  const auto found = by_fd_.find(fd);
  loop_.Cancel(found->second->timer);
  std::unique_ptr<HttpStream> stream = std::move(found->second->stream);
  quiet_.erase(found->second);
  by_fd_.erase(found);
  return stream;
}

}  // namespace trawl

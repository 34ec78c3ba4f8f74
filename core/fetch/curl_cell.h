#pragma once

#include <curl/curl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "core/base/event_loop.h"
#include "core/fetch/curl_easy.h"
#include "core/fetch/descriptor_budget.h"

namespace trawl {

class CurlCell;
class TlsContext;

// An endpoint (scheme, host, port, and trust) and the cell its connections live in.
struct CurlEndpoint {
  std::string name;
  CurlCell* cell = nullptr;
  int sockets = 0;    // open, whether in use or kept
  int transfers = 0;  // under way
  absl::Duration last_used;
  absl::Duration keep_for;  // forgotten when it was idle for longer

  // libcurl may find a connection to use again.
  bool HasIdleConnection() const { return sockets > transfers; }
};

// A libcurl multi handle on an event loop: the connections of up to a fixed number of
// endpoints. Many small cells instead of a big one, because the cost of a transfer in libcurl
// 7.88 grows with the number of connections its multi handle keeps.
// Loop's thread only.
class CurlCell {
 public:
  // The pair of sockets by which another thread could wake libcurl. Taken from the budget by whom
  // makes the cell, and given back by the cell.
  static constexpr int64_t kOwnDescriptors = 2;

  struct Options {
    size_t max_endpoints = 128;
  };
  struct Deps {
    EventLoop& loop;
    FdWatcher& watcher;
    DescriptorBudget& budget;
    // All connections of a cell are made with one TLS context; null in cells without https.
    std::shared_ptr<const TlsContext> tls;
    absl::AnyInvocable<void(CurlEasy&, CURLcode)>& on_done;
  };
  CurlCell(const Options& options, Deps deps);
  ~CurlCell();
  CurlCell(const CurlCell&) = delete;
  CurlCell& operator=(const CurlCell&) = delete;

  const TlsContext* tls() const { return tls_.get(); }
  size_t endpoints() const { return endpoints_; }
  bool full() const { return endpoints_ >= options_.max_endpoints; }
  void AddEndpoint() { ++endpoints_; }
  // Its addresses leave libcurl's cache with a later transfer.
  void RemoveEndpoint();

  // The transfer's end is told through on_done, never from inside Start; unless it is removed.
  void Start(CurlEasy& easy);
  void Remove(CurlEasy& easy);
  size_t transfers() const { return transfers_; }
  size_t sockets() const { return sockets_.size(); }

  // A socket, paid for from the budget already, that counts for `endpoint`; -1 with errno set.
  int OpenSocket(const curl_sockaddr& address, std::shared_ptr<CurlEndpoint> endpoint);

  // Closes all connections. Only while no transfer is under way.
  void CloseConnections();

 private:
  struct Socket {
    std::shared_ptr<CurlEndpoint> endpoint;
    bool watched = false;
  };

  void MakeMulti();
  void SetDnsPruning(CurlEasy& easy);
  void SetTimer(long timeout_ms);
  void WatchSocket(int fd, int what);
  void Unwatch(int fd);
  void Act(int fd, int events);
  void TellDone();

  static int OnSocket(CURL* easy, curl_socket_t fd, int what, void* self, void* socket);
  static int OnTimer(CURLM* multi, long timeout_ms, void* self);
  static int OnCloseSocket(void* self, curl_socket_t fd);

  // Constant after construction.
  const Options options_;
  EventLoop& loop_;
  FdWatcher& watcher_;
  DescriptorBudget& budget_;
  const std::shared_ptr<const TlsContext> tls_;
  absl::AnyInvocable<void(CurlEasy&, CURLcode)>& on_done_;

  CURLM* multi_ = nullptr;
  TimerId timer_ = 0;
  size_t endpoints_ = 0;
  size_t transfers_ = 0;
  bool prune_dns_ = false;
  absl::flat_hash_map<int, Socket> sockets_;
};

}  // namespace trawl

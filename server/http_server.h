#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/append/sink.h"
#include "core/base/clock.h"
#include "core/base/epoll_loop.h"
#include "core/scrape/pool_status.h"
#include "core/telemetry/metrics.h"
#include "server/accept_loop.h"
#include "server/access/web_guard.h"
#include "server/listen_address.h"
#include "server/quiet_connections.h"
#include "server/target_inspector.h"
#include "server/worker_pool.h"
#include "trawl/status/v1/status.pb.h"

namespace trawl {

// What people and probes read over HTTP: /metrics, /-/healthy, /-/ready, Prometheus'
// /api/v1/targets, /api/v1/scrape_pools and /api/v1/status/config, TargetApi, TargetsPages; with
// enable_lifecycle also /-/reload and /-/quit. Reads published snapshots only, on a few threads of
// its own, which serve connections whose client has said what it wants. Wraps cpp-httplib.
//
// Start and Stop from one thread; handlers run on the server's threads.
class HttpServer {
 public:
  struct Options {
    ListenAddress address;
    std::string hostname;  // by which others reach this machine
    bool enable_lifecycle = false;
    bool enable_admin_api = false;  // what else acts: scraping out of turn
    size_t threads = 4;
    // Beyond them the oldest that has not said what it wants is closed, or the new one.
    size_t max_connections = 512;
    absl::Duration max_wait = absl::Seconds(10);    // until a client has said what it wants
    absl::Duration max_answer = absl::Seconds(30);  // until it has taken the answer
  };
  // All thread-safe.
  struct Deps {
    const Clock& clock;
    Metrics& metrics;
    std::function<std::shared_ptr<const PoolsSnapshot>()> pools;
    std::function<std::vector<std::shared_ptr<const LaneStatus>>()> lanes;
    std::function<absl::StatusOr<status::v1::GetConfigResponse>(
        const status::v1::GetConfigRequest&)>
        config;
    std::function<bool()> ready;
    // Always calls back, on any thread.
    std::function<void(absl::AnyInvocable<void(absl::Status)>)> reload;
    std::function<void()> quit;
    // Who may come in, and whether by TLS. Null: everybody, and no TLS. Outlives the server.
    WebGuard* guard = nullptr;
    // Outlives the server. Null: no look at single targets.
    TargetInspector* inspector = nullptr;
  };

  // Binds and serves. `listen tcp …: address already in use`; or what is wrong with TLS.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const Options& options, Deps deps);
  // As Stop.
  ~HttpServer();

  // Idempotent; waits for requests under way.
  void Stop();
  uint16_t port() const;

 private:
  class Routes;
  class Library;
  struct Tls;
  HttpServer(const Options& options, Deps deps);
  absl::Status SetUpTls();
  void SetUpLibrary();
  void Accept(ListenSockets sockets);
  std::unique_ptr<HttpStream> MakeStream(int fd) const;
  void Serve(std::shared_ptr<HttpStream> stream);

  const Options options_;
  const Clock& clock_;
  WebGuard* const guard_;
  prometheus::Counter& closed_unheard_;
  const std::unique_ptr<Routes> routes_;
  const std::unique_ptr<Library> library_;
  std::unique_ptr<Tls> tls_;  // null: without
  bool stopped_ = false;

  // A connection's way: accepted, waiting for its request, served.
  std::unique_ptr<QuietConnections> quiet_;
  LoopThread waiting_thread_;
  WorkerPool workers_;
  std::unique_ptr<AcceptLoop> accept_loop_;
};

}  // namespace trawl

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/scrape/pool_status.h"
#include "core/telemetry/metrics.h"
#include "server/access/web_guard.h"
#include "server/listen_address.h"
#include "server/target_inspector.h"
#include "trawl/status/v1/status.pb.h"

namespace trawl {

// What people and probes read over HTTP: /metrics, /-/healthy, /-/ready, Prometheus'
// /api/v1/targets, /api/v1/scrape_pools and /api/v1/status/config, TargetApi, a page of the
// targets; with enable_lifecycle also
// /-/reload and /-/quit. Reads published snapshots only, on a few threads of its own; connections
// beyond `max_waiting` wait in the kernel. Wraps cpp-httplib.
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
    size_t max_waiting = 64;  // connections accepted and not yet served
  };
  // All thread-safe.
  struct Deps {
    const Clock& clock;
    Metrics& metrics;
    std::function<std::shared_ptr<const PoolsSnapshot>()> pools;
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
  uint16_t port() const { return port_; }

 private:
  class Routes;
  struct Library;
  HttpServer(const Options& options, Deps deps);
  absl::Status SetUp();
  absl::Status Listen();
  void Serve();

  const Options options_;
  WebGuard* const guard_;
  const std::unique_ptr<Routes> routes_;
  const std::unique_ptr<Library> library_;
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace trawl

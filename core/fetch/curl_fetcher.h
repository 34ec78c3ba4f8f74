#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/base/event_loop.h"
#include "core/fetch/body_budget.h"
#include "core/fetch/descriptor_budget.h"
#include "core/fetch/fetcher.h"
#include "core/fetch/resolver.h"

namespace trawl {

class CurlTransferTable;

// The Fetcher over libcurl, with kept connections.
//
// An endpoint (scheme, host, port) has its place in one of many small multi handles ("cells"),
// so that its connection is found again without the cost of one big connection cache. Names are
// resolved by the Resolver, never by libcurl: one hung name stalls libcurl's whole loop.
// Redirects (at most 10) are followed here, for the same reason; credentials don't go along to
// another host, nor from https to http, and stay off for the rest of the chain (spec 7.5).
//
// A fetch that needs a new connection waits inside its timeout while the descriptor budget or
// the number of TLS handshakes under way is exhausted; fetches over kept connections pass by.
// While somebody waits for a descriptor, connections are closed after use. So does a fetch whose
// body finds no memory left in the budget: what its target sends waits in the kernel.
//
// Loop's thread only, but for totals(). Made and destroyed there (or while the loop does not run);
// fetches under way are then dropped without a callback. Not destroyed from inside a fetch's
// callback.
class CurlFetcher final : public Fetcher {
 public:
  struct Options {
    size_t max_cell_endpoints = 128;
    // A handshake takes about 1.2 ms of CPU: more at once would only make all of them late.
    size_t max_tls_handshakes = 16;
    int max_redirects = 10;
    std::string user_agent = "trawl";
    // An endpoint idle for longer than this and three intervals is forgotten.
    absl::Duration min_endpoint_idle = absl::Minutes(5);
  };
  struct Deps {
    EventLoop& loop;
    FdWatcher& watcher;
    Resolver& resolver;
    DescriptorBudget& budget;
    BodyBudget& bodies;
  };
  // What it holds now: for metrics and tests.
  struct Stats {
    size_t fetches = 0;  // under way, waiting ones included
    size_t waiting_for_descriptor = 0;
    size_t waiting_for_handshake = 0;
    size_t endpoints = 0;
    size_t cells = 0;
    size_t sockets = 0;
  };
  // What there was since the start. Any thread reads.
  struct Totals {
    uint64_t connections_opened = 0;
    uint64_t descriptor_waits = 0;  // fetches that had to wait for a descriptor
  };

  CurlFetcher(Options options, Deps deps);
  ~CurlFetcher() override;

  FetchId Fetch(FetchRequest request, Callback callback) override;
  void Cancel(FetchId id) override;

  Stats stats() const;
  Totals totals() const;

 private:
  const std::unique_ptr<CurlTransferTable> table_;
};

}  // namespace trawl

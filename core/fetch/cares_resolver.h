#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "core/base/event_loop.h"
#include "core/fetch/resolver.h"

namespace trawl {

// The Resolver over c-ares: /etc/hosts, then DNS with the system's servers and search domains,
// IPv4 and IPv6, sorted as RFC 6724 says. /etc/resolv.conf is read again when it has changed.
//
// Answers are kept for their records' time to live (between 1 s and 5 min), failures for 1 s. An
// answer that ran out is still given, for up to an hour, when it cannot be had anew: a scrape over
// a kept connection must not fail for a name server. Questions for one name at the same time
// are asked once. `localhost` and names under it need no DNS.
//
// Loop's thread only, but for totals().
class CaresResolver final : public Resolver {
 public:
  struct Options {
    size_t max_cached_names = 10'000;
    absl::Duration min_ttl = absl::Seconds(1);
    absl::Duration max_ttl = absl::Minutes(5);
    absl::Duration failure_ttl = absl::Seconds(1);
    absl::Duration stale_for = absl::Hours(1);
    // Of one question to one server; after 3 tries the name has failed.
    absl::Duration query_timeout = absl::Seconds(2);
    // "127.0.0.1:5353,…" instead of the system's servers.
    std::string servers;
  };
  struct Deps {
    EventLoop& loop;
    FdWatcher& watcher;
  };

  // Of questions to DNS (and /etc/hosts); what the cache knows asks none. Any thread reads.
  struct Totals {
    uint64_t answered = 0;
    uint64_t not_found = 0;  // there is no such name
    uint64_t failed = 0;     // no server said anything of use
  };

  CaresResolver(Options options, Deps deps);
  ~CaresResolver() override;

  ResolveId Resolve(const std::string& host, Callback callback) override;
  void Cancel(ResolveId id) override;

  size_t cached_names() const;
  size_t queries_sent() const;
  Totals totals() const;

 private:
  class Engine;
  const std::unique_ptr<Engine> engine_;
};

}  // namespace trawl

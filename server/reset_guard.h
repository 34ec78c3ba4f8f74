#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/base/mutex.h"

namespace trawl {

// Tells who opens calls and resets them faster than anybody does who wants an answer: HTTP/2 rapid
// reset (CVE-2023-44487). gRPC 1.51 queues such calls, and no setting of its own bounds them.
//
// Thread-safe.
class ResetGuard {
 public:
  struct Options {
    size_t max_resets = 200;  // of a peer in a second
    // Once a second at most for a peer that exceeds it, on a thread of gRPC's.
    std::function<void(std::string_view peer)> on_flood;
  };

  ResetGuard(Options options, const Clock& clock) : options_(std::move(options)), clock_(clock) {}

  // A call of `peer`, as gRPC names it, was given up by the client.
  void OnReset(std::string_view peer);
  // Calls OnReset for a server's calls; it must outlive the server.
  std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> Interceptors();

 private:
  // True with the first reset that is too many in its second.
  bool TooMany(std::string_view peer);

  const Options options_;
  const Clock& clock_;
  Mutex mutex_;
  int64_t second_ TRAWL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, size_t> resets_ TRAWL_GUARDED_BY(mutex_);  // in second_
};

}  // namespace trawl

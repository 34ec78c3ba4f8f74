#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "client/store/endpoint_condition.h"
#include "client/store/http_senders.h"
#include "client/store/store_backend.h"
#include "core/base/backoff.h"
#include "core/base/file_system.h"
#include "core/base/published.h"

namespace trawl {

// Sends samples on to a Prometheus remote-write 1.0 endpoint. A record is durable when the
// endpoint accepted it, or refused it for good; lanes' numbers stand in a small file that is
// synced before they are acked. Delivery is at-least-once.
//
// A lane has one request under way, so a series' order is its lane's order; lanes are sent in
// parallel, on threads of their own. Network errors, 5xx, 429, 408 and what a person must mend
// (401, 403, 404, 405, 407: the endpoint refused us, not the data) are tried again with back-off
// (or after Retry-After) for ever; other 4xx refuse the data: the request is halved until the bad
// samples stand alone (RemoteWriteQueue tells the bound), and these are counted as rejects.
struct RemoteWriteOptions {
  // May be set anew while the back end is open; counts from the next request on. Also with another
  // URL: lanes' numbers are the sink's, wherever its endpoint is.
  std::shared_ptr<const Published<HttpAccess>> access;
  // Sent with each request.
  std::map<std::string, std::string> headers;
  // Holds the numbers of lanes. Its directory is created.
  std::string state_path;
  size_t max_samples = 10'000;         // of one request
  size_t max_bytes = size_t{1} << 20;  // of one request before compression; one sample always goes
  size_t senders = 4;                  // requests at a time
  // Refusals in a row after which the samples that made the endpoint refuse are looked for half as
  // closely.
  size_t bisect_requests = 64;
  Backoff::Options backoff;
  // Bound of what Retry-After may ask for.
  absl::Duration max_retry_after = absl::Minutes(5);
  // Of each stream: bounds the memory over a dead endpoint.
  uint64_t window_bytes = uint64_t{1} << 20;
  std::string user_agent = "trawl";
  // Hears of each change, on the store thread. May be null.
  std::function<void(const EndpointCondition&)> on_condition;
};

// Errors of the factory: kDataLoss (state file),
// kFailedPrecondition (state file in use by another process), others of the file system.
// `fs` must outlive the back end.
StoreBackendFactory RemoteWriteBackendFactory(RemoteWriteOptions options, FileSystem& fs);

}  // namespace trawl

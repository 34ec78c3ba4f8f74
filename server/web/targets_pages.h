#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/append/sink.h"
#include "core/base/clock.h"
#include "core/scrape/pool_status.h"

namespace httplib {
struct Request;
struct Response;
}  // namespace httplib

namespace trawl {

// The page that a person looks at the targets on: its files, which the program carries, and what
// it asks for again and again.
//
//   GET /targets, /targets.css, /targets.js     (/ leads to the first)
//   GET /api/v1/targets/overview                TargetsOverviewJson
//
// The page needs nothing from elsewhere and runs no script but its own (Content-Security-Policy).
// Thread-safe.
class TargetsPages {
 public:
  using Pools = std::function<std::shared_ptr<const PoolsSnapshot>()>;
  using Lanes = std::function<std::vector<std::shared_ptr<const LaneStatus>>()>;
  // All are thread-safe and outlive the object.
  TargetsPages(const Clock& clock, Pools pools, Lanes lanes)
      : clock_(clock), pools_(std::move(pools)), lanes_(std::move(lanes)) {}

  // False: it is none of these paths, or not a GET.
  bool Handle(const httplib::Request& request, httplib::Response& response) const;

 private:
  const Clock& clock_;
  const Pools pools_;
  const Lanes lanes_;
};

}  // namespace trawl

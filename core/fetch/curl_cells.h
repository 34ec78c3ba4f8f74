#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "core/base/event_loop.h"
#include "core/fetch/curl_cell.h"
#include "core/fetch/fetch_url.h"

namespace trawl {

// The cells of one fetcher: finds an endpoint's place, gives new ones a place in a cell of the
// same trust that has room, and forgets what was not used for long. Without descriptors for
// another cell those that are there take more than they should: slower, and without a limit.
// Loop's thread only.
class CurlCells {
 public:
  struct Deps {
    EventLoop& loop;
    FdWatcher& watcher;
    DescriptorBudget& budget;
    absl::AnyInvocable<void(CurlEasy&, CURLcode)> on_done;
  };
  CurlCells(const CurlCell::Options& options, Deps deps);
  ~CurlCells();

  // `tls` is null for http.
  std::shared_ptr<CurlEndpoint> Find(const FetchUrl& url,
                                     const std::shared_ptr<const TlsContext>& tls);

  // Closes the kept connections of one cell that has no transfer under way, the largest.
  void CloseSomeIdle();

  size_t endpoints() const { return endpoints_.size(); }
  size_t cells() const { return cells_.size(); }
  size_t sockets() const;

 private:
  CurlCell* CellWithRoom(const std::shared_ptr<const TlsContext>& tls);
  CurlCell* MakeCell(const std::shared_ptr<const TlsContext>& tls);
  void ScheduleSweep();
  void Sweep();

  const CurlCell::Options options_;
  Deps deps_;
  TimerId sweep_timer_ = 0;
  std::vector<std::unique_ptr<CurlCell>> cells_;
  absl::flat_hash_map<std::string, std::shared_ptr<CurlEndpoint>> endpoints_;
};

}  // namespace trawl

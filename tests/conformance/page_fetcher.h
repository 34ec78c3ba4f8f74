#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/time/time.h"
#include "core/base/event_loop.h"
#include "core/fetch/fetcher.h"

namespace trawl {

// What a target serves, whatever path it is asked for.
struct Page {
  int status = 200;
  std::string content_type = "text/plain;version=0.0.4";
  absl::Duration delay;
  bool refused = false;
  std::string body;
};

// A Fetcher that answers with the page of the URL's address (as it is when the fetch begins), and
// refuses the others. Not thread-safe; the fetches end on the loop.
class PageFetcher final : public Fetcher {
 public:
  explicit PageFetcher(EventLoop& loop) : loop_(loop) {}

  void Serve(const std::string& address, Page page) { pages_[address] = std::move(page); }
  // The URLs that were asked for, and not refused, since the last call.
  std::set<std::string> TakeRequests() { return std::exchange(requests_, {}); }

  FetchId Fetch(FetchRequest request, Callback callback) override;
  void Cancel(FetchId id) override;

 private:
  EventLoop& loop_;
  std::map<std::string, Page, std::less<>> pages_;
  std::set<std::string> requests_;
  std::set<FetchId> under_way_;  // ids are those of the loop's timers
};

}  // namespace trawl

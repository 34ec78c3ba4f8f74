#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "absl/time/time.h"
#include "core/base/event_loop.h"
#include "core/fetch/fetcher.h"

namespace trawl {

// What a page of `slots` series says: each slot has one series at a time, and a hundredth of the
// slots get another one each minute, in turn. So everything about a page follows from the minute
// and from how often the target was scraped.
struct ChurningPage {
  static constexpr const char* kScrapes = "churn_scrapes_total";  // a series that stays: how often
  static constexpr const char* kMinute = "churn_minute";          // likewise: the minute
  static constexpr int kStaying = 2;

  int slots = 100;

  // How many series were replaced in all, by this minute.
  int64_t Replaced(int64_t minute) const { return minute * slots / 100; }
  // How often the slot has got another series.
  int64_t Generation(int slot, int64_t minute) const {
    return (Replaced(minute) + slots - 1 - slot) / slots;
  }
  static double Value(int slot, int64_t scrape) { return static_cast<double>(scrape * 10 + slot); }

  std::string Text(int64_t minute, int64_t scrape) const;
};

// A Fetcher whose every URL is a target with such a page.
class ChurningPages final : public Fetcher {
 public:
  ChurningPages(EventLoop& loop, const ChurningPage& page);

  FetchId Fetch(FetchRequest request, Callback callback) override;
  void Cancel(FetchId id) override { under_way_.erase(id); }

  // Answered, of all targets.
  int64_t scrapes() const { return scrapes_; }

 private:
  int64_t Minute() const;

  EventLoop& loop_;
  const ChurningPage page_;
  const absl::Time start_;
  FetchId last_id_ = 0;
  std::set<FetchId> under_way_;
  std::map<std::string, int64_t> scrapes_of_;  // by URL
  int64_t scrapes_ = 0;
};

}  // namespace trawl

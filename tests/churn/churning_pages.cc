#include "tests/churn/churning_pages.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace trawl {

std::string ChurningPage::Text(int64_t minute, int64_t scrape) const {
  std::string text = absl::StrCat(kScrapes, " ", scrape, "\n", kMinute, " ", minute, "\n");
  for (int slot = 0; slot < slots; ++slot) {
    absl::StrAppend(&text, "churn_value{slot=\"", slot, "\",pod=\"backend-7f9c-",
                    Generation(slot, minute), "\"} ", scrape * 10 + slot, "\n");
  }
  return text;
}

ChurningPages::ChurningPages(EventLoop& loop, const ChurningPage& page)
    : loop_(loop), page_(page), start_(loop.clock().Now()) {}

int64_t ChurningPages::Minute() const { return absl::ToInt64Minutes(loop_.clock().Now() - start_); }

Fetcher::FetchId ChurningPages::Fetch(FetchRequest request, Callback callback) {
  const FetchId id = ++last_id_;
  under_way_.insert(id);
  loop_.Post([this, id, url = std::move(request.url), callback = std::move(callback)]() mutable {
    if (under_way_.erase(id) == 0) return;
    ++scrapes_;
    const std::string body = page_.Text(Minute(), ++scrapes_of_[url]);
    FetchOutcome outcome;
    outcome.response.status_code = 200;
    outcome.response.status_line = "200 OK";
    outcome.response.content_type = "text/plain; version=0.0.4";
    outcome.response.body = body;
    callback(outcome);
  });
  return id;
}

}  // namespace trawl

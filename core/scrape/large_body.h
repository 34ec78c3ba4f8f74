#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/exposition/inflate.h"
#include "core/fetch/body_budget.h"
#include "core/scrape/scrape_body.h"
#include "core/scrape/scrape_result.h"
#include "core/scrape/scrape_scratch.h"
#include "core/scrape/series_cache.h"

namespace trawl {

// A body of more than a mebibyte on its way to a batch, in slices between which the thread does
// other things. Has buffers of its own, as other scrapes use the shard's meanwhile.
//
//   LargeBody large({bytes, content_type, gzip, limit});
//   while (!*large.StepInflate()) yield;
//   large.BeginIngest(cache, timestamp_ms, now_ms);
//   while (!large.StepIngest()) yield;
//   ScrapeResult result = large.Finish();  // the batch is in scratch()
//
// Shard's thread only.
class LargeBody {
 public:
  struct Input {
    std::string bytes;  // as sent
    std::string content_type;
    bool gzip = false;
    uint64_t limit = 0;  // body_size_limit
  };

  // Its bytes count in `bodies` for as long as it is there.
  LargeBody(Input input, BodyBudget& bodies);
  ~LargeBody();

  // True when the whole text is there. Errors: those of SlicedGunzip and CheckBodySize.
  absl::StatusOr<bool> StepInflate();
  std::string_view text() { return input_.gzip ? scratch_.body().view() : input_.bytes; }
  const std::string& content_type() const { return input_.content_type; }

  void BeginIngest(SeriesCache& cache, int64_t timestamp_ms, int64_t now_ms,
                   ScrapeBody::Observer* observer = nullptr);
  bool ingesting() const { return body_.has_value(); }
  bool StepIngest(size_t max_bytes = kSliceBytes) { return body_->Step(max_bytes); }
  ScrapeResult Finish();

  ScrapeScratch& scratch() { return scratch_; }

 private:
  const Input input_;
  BodyBudget::Share share_;
  ScrapeScratch scratch_;
  std::optional<SlicedGunzip> gunzip_;
  std::optional<ScrapeBody> body_;
  bool finished_ = false;
};

}  // namespace trawl

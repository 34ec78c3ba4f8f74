#include "core/scrape/large_body.h"

#include <string>
#include <utility>

#include "core/base/status_macros.h"

namespace trawl {

LargeBody::LargeBody(Input input, BodyBudget& bodies) : input_(std::move(input)), share_(bodies) {
  share_.Grow(input_.bytes.size());
  if (input_.gzip) gunzip_.emplace(input_.bytes, input_.limit, scratch_.body());
}

// What was begun must be finished: the cache is in the middle of it.
LargeBody::~LargeBody() {
  if (ingesting() && !finished_) Finish();
}

absl::StatusOr<bool> LargeBody::StepInflate() {
  if (input_.gzip) return gunzip_->Step(kSliceBytes);
  RETURN_IF_ERROR(CheckBodySize(input_.bytes.size(), input_.limit));
  return true;
}

void LargeBody::BeginIngest(SeriesCache& cache, int64_t timestamp_ms, int64_t now_ms,
                            ScrapeBody::Observer* observer) {
  body_.emplace(cache, scratch_, ScrapeBody::Input{text(), timestamp_ms, now_ms, observer});
}

ScrapeResult LargeBody::Finish() {
  finished_ = true;
  return body_->Finish();
}

}  // namespace trawl

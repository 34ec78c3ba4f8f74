#pragma once

#include <functional>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "core/scrape/scrape_manager.h"
#include "trawl/status/v1/status.pb.h"

namespace trawl {

// Looks closely at single targets, for the status service and the HTTP pages: how one came to be,
// and what it says when it is asked now. Thread-safe.
class TargetInspector {
 public:
  using ScrapeCallback = absl::AnyInvocable<void(absl::StatusOr<status::v1::ScrapeNowResponse>)>;

  explicit TargetInspector(ScrapeManager& manager) : manager_(manager) {}

  absl::StatusOr<status::v1::ExplainTargetResponse> Explain(
      const status::v1::ExplainTargetRequest& request) const;
  // Never waits: the answer comes later, on another thread, and always comes.
  void ScrapeNow(const status::v1::ScrapeNowRequest& request, ScrapeCallback done);

 private:
  ScrapeManager& manager_;
};

}  // namespace trawl

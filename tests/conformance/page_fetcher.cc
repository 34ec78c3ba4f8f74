#include "tests/conformance/page_fetcher.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace trawl {
namespace {

// What HTTP calls the statuses that scenarios have.
std::string_view ReasonOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 404:
      return "Not Found";
    case 500:
      return "Internal Server Error";
    default:
      return "Service Unavailable";
  }
}

std::pair<std::string, std::string> Split(std::string_view url) {
  url = absl::StripPrefix(url, "http://");
  const size_t slash = url.find_first_of("/?");
  if (slash == std::string_view::npos) return {std::string(url), "/"};
  return {std::string(url.substr(0, slash)), std::string(url.substr(slash))};
}

FetchOutcome Failed(const FetchRequest& request, absl::StatusCode code, FailureReason reason,
                    std::string_view message) {
  FetchOutcome outcome;
  outcome.error.reason = reason;
  outcome.error.status = absl::Status(code, absl::StrCat("Get \"", request.url, "\": ", message));
  return outcome;
}

FetchOutcome Served(const Page& page) {
  FetchOutcome outcome;
  outcome.response.status_code = page.status;
  outcome.response.status_line = absl::StrCat(page.status, " ", ReasonOf(page.status));
  outcome.response.content_type = page.content_type;
  outcome.response.body = page.body;
  return outcome;
}

}  // namespace

Fetcher::FetchId PageFetcher::Fetch(FetchRequest request, Callback callback) {
  const auto [address, path] = Split(request.url);
  const auto found = pages_.find(absl::StripSuffix(address, ":80"));
  const Page page = found == pages_.end() ? Page{.refused = true} : found->second;
  if (!page.refused) requests_.insert(absl::StrCat("http://", address, path));
  const absl::Duration delay = std::min(page.delay, request.timeout);
  const auto id = std::make_shared<FetchId>();
  *id = loop_.RunAfter(delay, [this, id, page, request = std::move(request),
                               callback = std::move(callback)]() mutable {
    under_way_.erase(*id);
    if (page.refused) {
      callback(Failed(request, absl::StatusCode::kUnavailable, FailureReason::kConnectionRefused,
                      "connect: connection refused"));
    } else if (page.delay >= request.timeout) {
      callback(Failed(request, absl::StatusCode::kDeadlineExceeded, FailureReason::kTimeoutResponse,
                      "context deadline exceeded"));
    } else {
      callback(Served(page));
    }
  });
  under_way_.insert(*id);
  return *id;
}

void PageFetcher::Cancel(FetchId id) {
  if (under_way_.erase(id) > 0) loop_.Cancel(id);
}

}  // namespace trawl

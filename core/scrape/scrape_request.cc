#include "core/scrape/scrape_request.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/base/text.h"
#include "core/exposition/inflate.h"

namespace trawl {
namespace {

FailureReason ReasonOfStatusCode(int code) {
  if (code >= 300 && code < 400) return FailureReason::kHttpStatus3xx;
  if (code >= 400 && code < 500) return FailureReason::kHttpStatus4xx;
  if (code >= 500 && code < 600) return FailureReason::kHttpStatus5xx;
  return FailureReason::kHttpStatusOther;
}

// More compressed bytes than this cannot be the body of a text under the limit: gzip makes what
// it cannot compress larger by a few bytes for each block.
uint64_t MaxWireBytes(const JobSettings& settings) {
  const uint64_t limit = BodyLimit(settings);
  return limit + limit / 1024 + 1024;
}

ScrapeFailure TooLarge(const JobSettings& settings) {
  constexpr std::string_view kBodySizeLimit = "body size limit exceeded";
  if (settings.body_size_limit != 0) {
    return {absl::ResourceExhaustedError(kBodySizeLimit), FailureReason::kBodySizeLimit};
  }
  return {absl::ResourceExhaustedError(absl::StrCat(kBodySizeLimit, ": never more than ",
                                                    kMaxBodyBytes >> 20, " MiB are read")),
          FailureReason::kBodySizeLimit};
}

}  // namespace

uint64_t BodyLimit(const JobSettings& settings) {
  const uint64_t limit = settings.body_size_limit;
  return limit == 0 ? kMaxBodyBytes : std::min(limit, kMaxBodyBytes);
}

FetchRequest MakeScrapeRequest(const JobSettings& settings, const Target& target) {
  FetchRequest request;
  request.client = settings.client;
  request.url = target.url;
  request.headers = settings.headers;
  request.headers.push_back(absl::StrCat("X-Prometheus-Scrape-Timeout-Seconds: ",
                                         FormatGoFloat(absl::ToDoubleSeconds(target.timeout))));
  request.timeout = target.timeout;
  request.max_wire_bytes = MaxWireBytes(settings);
  request.interval = target.interval;
  return request;
}

ScrapeFailure FailureOf(const FetchError& error, const JobSettings& settings) {
  const bool too_large = error.status.code() == absl::StatusCode::kResourceExhausted &&
                         error.reason != FailureReason::kDescriptors;
  return too_large ? TooLarge(settings) : ScrapeFailure{error.status, error.reason};
}

ScrapeFailure FailureOfStatus(const FetchResponse& response) {
  return {
      absl::UnavailableError(absl::StrCat("server returned HTTP status ", response.status_line)),
      ReasonOfStatusCode(response.status_code)};
}

ScrapeFailure FailureOfInflate(const absl::Status& status, const JobSettings& settings) {
  if (status.code() == absl::StatusCode::kResourceExhausted) return TooLarge(settings);
  return {status, FailureReason::kContentEncoding};
}

}  // namespace trawl

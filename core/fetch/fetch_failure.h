#pragma once

#include <curl/curl.h>

#include <string>

#include "absl/status/status.h"
#include "core/base/failure_reason.h"
#include "core/fetch/curl_easy.h"
#include "core/fetch/fetch_url.h"

namespace trawl {

struct FetchFailure {
  absl::Status status;
  FailureReason reason = FailureReason::kOther;
};

// `Get "URL": …`, as Go's HTTP client puts it before what went wrong until a head was read.
FetchFailure RequestFailure(const char* method, const FetchUrl& url, FetchFailure cause);

// The failure of a transfer that libcurl ended, in Go's words where it has them.
FetchFailure TransferFailure(const char* method, const CurlEasy& easy, CURLcode code,
                             const FetchUrl& url);

// A transfer ran out of time: `context deadline exceeded`, with the phase it was in.
FetchFailure TimeoutFailure(const char* method, const CurlEasy& easy, const FetchUrl& url);

}  // namespace trawl

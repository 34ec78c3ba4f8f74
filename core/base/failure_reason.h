#pragma once

#include <cstdint>
#include <string_view>

namespace trawl {

// Why a scrape failed: a closed list, the same word in RPCs, logs, pages and the metric
// trawl_scrape_failures_total{reason}. On the wire it is trawl.status.v1.Failure.Reason.
enum class FailureReason : uint8_t {
  kNone = 0,
  kOther,
  kDns,
  kConnectionRefused,
  kConnectionFailed,  // reset, unreachable, closed early
  kTls,
  kTimeoutDns,
  kTimeoutConnect,
  kTimeoutTls,
  kTimeoutResponse,  // connected, no head of a response
  kTimeoutBody,
  kHttpStatus3xx,
  kHttpStatus4xx,
  kHttpStatus5xx,
  kHttpStatusOther,
  kHttpProtocol,  // no valid HTTP
  kTooManyRedirects,
  kContentType,
  kContentEncoding,  // corrupt gzip
  kBodySizeLimit,
  kSampleLimit,
  kLabelLimit,
  kTargetLimit,
  kParse,
  kInvalidLabels,  // after relabeling: no name, invalid names, duplicate names
  kTooLarge,       // the scrape's record is over 32 MiB
  kCredentials,    // a file with a secret could not be read
  kDescriptors,    // out of file descriptors
  kInvalidTarget,  // interval or timeout label, url
  kAppend,         // the queue refused the record
};

// The word, which is the wire's name in lower case: "dns", "connect_refused", "connect_timeout",
// "http_4xx", …; "none" for kNone.
std::string_view FailureReasonName(FailureReason reason);

}  // namespace trawl

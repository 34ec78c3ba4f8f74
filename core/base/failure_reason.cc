#include "core/base/failure_reason.h"

namespace trawl {

std::string_view FailureReasonName(FailureReason reason) {
  switch (reason) {
    case FailureReason::kNone:
      return "none";
    case FailureReason::kOther:
      return "other";
    case FailureReason::kDns:
      return "dns";
    case FailureReason::kConnectionRefused:
      return "connection_refused";
    case FailureReason::kConnectionFailed:
      return "connection_failed";
    case FailureReason::kTls:
      return "tls";
    case FailureReason::kTimeoutDns:
      return "timeout_dns";
    case FailureReason::kTimeoutConnect:
      return "timeout_connect";
    case FailureReason::kTimeoutTls:
      return "timeout_tls";
    case FailureReason::kTimeoutResponse:
      return "timeout_response";
    case FailureReason::kTimeoutBody:
      return "timeout_body";
    case FailureReason::kHttpStatus3xx:
      return "http_status_3xx";
    case FailureReason::kHttpStatus4xx:
      return "http_status_4xx";
    case FailureReason::kHttpStatus5xx:
      return "http_status_5xx";
    case FailureReason::kHttpStatusOther:
      return "http_status_other";
    case FailureReason::kHttpProtocol:
      return "http_protocol";
    case FailureReason::kTooManyRedirects:
      return "too_many_redirects";
    case FailureReason::kContentType:
      return "content_type";
    case FailureReason::kContentEncoding:
      return "content_encoding";
    case FailureReason::kBodySizeLimit:
      return "body_size_limit";
    case FailureReason::kSampleLimit:
      return "sample_limit";
    case FailureReason::kLabelLimit:
      return "label_limit";
    case FailureReason::kTargetLimit:
      return "target_limit";
    case FailureReason::kParse:
      return "parse";
    case FailureReason::kInvalidLabels:
      return "invalid_labels";
    case FailureReason::kTooLarge:
      return "too_large";
    case FailureReason::kCredentials:
      return "credentials";
    case FailureReason::kDescriptors:
      return "descriptors";
    case FailureReason::kInvalidTarget:
      return "invalid_target";
    case FailureReason::kAppend:
      return "append";
  }
  return "other";
}

}  // namespace trawl

#include "core/base/failure_reason.h"

namespace trawl {

std::string_view FailureReasonName(FailureReason reason) {
  switch (reason) {
    case FailureReason::kNone:
      return "none";
    case FailureReason::kOther:
      return "internal";
    case FailureReason::kDns:
      return "dns";
    case FailureReason::kConnectionRefused:
      return "connect_refused";
    case FailureReason::kConnectionFailed:
      return "connect";
    case FailureReason::kTls:
      return "tls";
    case FailureReason::kTimeoutDns:
      return "dns_timeout";
    case FailureReason::kTimeoutConnect:
      return "connect_timeout";
    case FailureReason::kTimeoutTls:
      return "tls_timeout";
    case FailureReason::kTimeoutResponse:
      return "first_byte_timeout";
    case FailureReason::kTimeoutBody:
      return "transfer_timeout";
    case FailureReason::kHttpStatus3xx:
      return "http_3xx";
    case FailureReason::kHttpStatus4xx:
      return "http_4xx";
    case FailureReason::kHttpStatus5xx:
      return "http_5xx";
    case FailureReason::kHttpStatusOther:
      return "http_2xx";
    case FailureReason::kHttpProtocol:
      return "http_protocol";
    case FailureReason::kTooManyRedirects:
      return "redirect";
    case FailureReason::kContentType:
      return "content_type";
    case FailureReason::kContentEncoding:
      return "decompress";
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
      return "invalid_sample";
    case FailureReason::kTooLarge:
      return "too_large";
    case FailureReason::kCredentials:
      return "credentials";
    case FailureReason::kDescriptors:
      return "descriptor_limit";
    case FailureReason::kInvalidTarget:
      return "invalid_target";
    case FailureReason::kAppend:
      return "append";
  }
  return "internal";
}

}  // namespace trawl

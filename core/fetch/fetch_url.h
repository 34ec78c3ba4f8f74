#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace trawl {

// A URL taken apart as libcurl does it: one parser decides, so that the name that is resolved
// is the name that is connected to.
struct FetchUrl {
  std::string text;    // absolute, without fragment; its host as punycode too
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case, IPv6 without brackets, other alphabets as punycode
  uint16_t port = 0;
  bool literal = false;  // host is an IP address

  bool https() const { return scheme == "https"; }
  // "http://host:port": what a connection belongs to.
  std::string Endpoint() const;
};

// Whether `host` is an IPv4 or IPv6 address (no brackets, no zone).
bool IsAddress(const std::string& host);

// A port without a host means localhost; dot segments of the path stay.
// kInvalidArgument in Go's words: `unsupported protocol scheme "file"`.
absl::StatusOr<FetchUrl> ParseFetchUrl(const std::string& url);

// Where a Location header leads, relative to `from`, without dot segments.
absl::StatusOr<FetchUrl> ResolveRedirect(const FetchUrl& from, const std::string& location);

// Whether credentials meant for `from` may follow a redirect to `to`: the same host, and not
// from https down to http (spec 7.5). Another port of the host is fine: http → https.
bool MayForwardCredentials(const FetchUrl& from, const FetchUrl& to);

// As Go's url.Error shows a URL: the password as `***`.
std::string RedactUrl(std::string_view url);

}  // namespace trawl

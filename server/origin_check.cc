#include "server/origin_check.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "core/fetch/fetch_url.h"

namespace trawl {
namespace {

// Without the port, and the brackets of an IPv6 address.
std::string_view NameOf(std::string_view host) {
  if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.rfind(':'));
}

}  // namespace

bool MayAct(std::string_view host, std::string_view origin, std::string_view hostname) {
  if (origin.empty()) return true;
  const size_t scheme = origin.find("://");
  if (scheme == std::string_view::npos || host.empty()) return false;  // "null" is a page of nobody
  if (!absl::EqualsIgnoreCase(origin.substr(scheme + 3), host)) return false;
  const std::string name(NameOf(host));
  return IsAddress(name) || absl::EqualsIgnoreCase(name, "localhost") ||
         (!hostname.empty() && absl::EqualsIgnoreCase(name, hostname));
}

}  // namespace trawl

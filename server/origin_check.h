#pragma once

#include <string_view>

namespace trawl {

// Whether a request that acts may have been meant by whoever sent it. Programs send no Origin and
// are believed. A browser does, with whatever page made it send the request: that page must be one
// of this server's, by a name that nobody else can point at it: an address, "localhost" or the
// machine's own name. Headers as sent, "" if absent; `hostname` is the machine's. Pure.
bool MayAct(std::string_view host, std::string_view origin, std::string_view hostname);

}  // namespace trawl

#pragma once

#include <string>
#include <string_view>

#include "core/scrape/pool_status.h"

namespace trawl {

// Where globalUrl leads: what a person elsewhere would put into a browser instead of localhost.
struct ExternalAddress {
  std::string scheme = "http";
  std::string host;      // "example.org:8730", of the server's own URL
  std::string own_port;  // that this server listens on
};

// The bodies of Prometheus' HTTP API, byte by byte as its Go code writes them (spec 9): fields in
// its order, maps sorted, &, < and > escaped where it does. Pure.

// GET /api/v1/targets. `state` and `pool` as in the query, "" if absent.
std::string TargetsJson(const PoolsSnapshot& pools, std::string_view state, std::string_view pool,
                        const ExternalAddress& external);
// GET /api/v1/scrape_pools
std::string ScrapePoolsJson(const PoolsSnapshot& pools);
// GET /api/v1/status/config
std::string ConfigJson(std::string_view yaml);
// `{"status":"error","errorType":…,"error":…}`
std::string ErrorJson(std::string_view type, std::string_view error);

// `url` with a host that only means something on this machine replaced; as Prometheus 3 does, whose
// older versions took a host without a port for an error.
std::string MakeGlobalUrl(const std::string& url, const ExternalAddress& external);

// As the API's encoder (json-iterator) writes a field, quotes included; and a float64.
std::string GoJsonString(std::string_view text);
std::string GoJsonFloat(double value);

}  // namespace trawl

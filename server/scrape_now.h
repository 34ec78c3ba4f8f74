#pragma once

#include "core/scrape/scrape_probe.h"
#include "trawl/status/v1/status.pb.h"

namespace trawl {

// What the request asks for, cut to what an answer can hold. Pure.
ScrapeProbe::Limits ProbeLimits(const status::v1::ScrapeNowRequest& request);

// Header values that may hold a secret are masked. Pure.
status::v1::ScrapeNowResponse ToProto(const ProbeResult& result);

}  // namespace trawl

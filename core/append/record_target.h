#pragma once

#include <cstdint>
#include <string>

#include "core/append/record_log.h"

namespace trawl {

// The target that a record is a scrape of, as its labels: {instance="…", job="…"}. Reads the
// segment's definitions. "" for a D record, and if it can't be told.
std::string DescribeTarget(RecordSource& log, uint64_t number);

}  // namespace trawl

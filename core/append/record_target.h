#pragma once

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "core/append/record_log.h"
#include "core/model/labels.h"

namespace trawl {

// The labels of the target that a record is a scrape of. Reads the segment's definitions. Empty for
// a D record, and if it can't be told.
Labels TargetOfRecord(RecordSource& log, uint64_t number);

// When the scrape that a record is of began. Nothing for a D record, and if it can't be told.
std::optional<absl::Time> TimeOfRecord(RecordSource& log, uint64_t number);

}  // namespace trawl

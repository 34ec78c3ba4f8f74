#pragma once

#include <cstdint>
#include <memory>

#include "core/model/labels.h"
#include "core/relabel/relabel.h"

namespace trawl {

// What a job says about the samples of its targets. Plain values; immutable once shared.
struct SampleOptions {
  bool honor_labels = false;
  bool honor_timestamps = true;
  bool track_timestamps_staleness = false;
  // May be null: no rules. Compiled with `name_validation`.
  std::shared_ptr<const RelabelRules> metric_relabel_rules;
  NameValidation name_validation = NameValidation::kUtf8;
  bool extra_scrape_metrics = false;
  // Limits; 0 is none.
  uint64_t sample_limit = 0;
  uint64_t label_limit = 0;
  uint64_t label_name_length_limit = 0;   // bytes
  uint64_t label_value_length_limit = 0;  // bytes
};

}  // namespace trawl

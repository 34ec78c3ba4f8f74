#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/failure_reason.h"
#include "core/model/labels.h"
#include "core/model/metadata.h"
#include "core/model/series_key.h"
#include "core/scrape/sample_options.h"

namespace trawl {

// What happens to a series' labels between the page and storage (spec 2.7, 4.5). Pure functions.

// Merges the exposed labels (as parsed: any order, values may be empty) with the target's, by
// honor_labels and its rule for conflicts.
void MergeSampleLabels(const SampleOptions& options, const Labels& target_labels,
                       const std::vector<Label>& exposed, LabelsBuilder* labels);

// The same, runs the metric rules, and checks the name, validity and limits of what is left. False:
// dropped. Errors: kInvalidArgument with Prometheus' texts; `reason` says which kind.
absl::StatusOr<bool> LabelSample(const SampleOptions& options, const Labels& target_labels,
                                 const std::vector<Label>& exposed, LabelsBuilder* labels,
                                 FailureReason* reason);

// `labels` without the target's, or complete when they do not simply extend the target's.
// The family is left 0.
SeriesKey MakeSeriesKey(const std::vector<Label>& labels, const Labels& target_labels);

// Whether metadata of the family is about a series of that metric name (spec 4.13).
bool IsSeriesOfFamily(std::string_view metric_name, const MetricFamily& family);

}  // namespace trawl

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/model/labels.h"

namespace trawl {

// A target as a scrape loop needs it: where, how often, and what its series are labelled with.
// Everything is fixed for its life: a target whose labels or parameters change is another target.
// Immutable, shared between the manager's thread and a shard's.
struct Target {
  uint64_t hash = 0;  // over all labels and the URL (spec 3.8): the target's identity in its job
  uint64_t public_hash = 0;  // over the public labels: where it lives (ShardOf), what it continues
  std::string url;
  std::shared_ptr<const Labels> labels;  // public: without `__…`
  absl::Duration interval;
  absl::Duration timeout;
  std::string interval_text;  // the labels' texts, as given
  std::string timeout_text;
};

using QueryParams = std::map<std::string, std::vector<std::string>>;

// `scheme://__address__ + __metrics_path__ ? query`, encoded as Go's net/url does. A label
// `__param_x` replaces the first value of the parameter x, or adds it (spec 3.5).
std::string TargetUrl(const Labels& all_labels, const QueryParams& params);

// Prometheus' target hash: FNV-1a over the labels' hash as 16 decimal digits and the URL.
uint64_t TargetHash(const Labels& all_labels, std::string_view url);

// The shard of a target: by its final public labels, so that it never changes within a run.
uint32_t ShardOf(const Target& target, uint32_t shards);

}  // namespace trawl

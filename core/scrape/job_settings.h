#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/exposition/accept.h"
#include "core/fetch/fetcher.h"
#include "core/scrape/sample_options.h"

namespace trawl {

// What the scrape loops of one job have in common, made from its config once and shared.
// Immutable: a reload that changes it gives the loops another one, which they take up with their
// next scrape. Thread-safe.
struct JobSettings {
  std::string job;
  std::shared_ptr<const HttpClient> client;
  std::vector<std::string> headers;  // Accept and Accept-Encoding
  std::shared_ptr<const SampleOptions> samples;
  std::optional<ExpositionFormat> fallback_format;
  uint64_t body_size_limit = 0;  // bytes after decompression; 0: none
  uint64_t offset_seed = 0;
  // Equal numbers: series caches may be handed on from one settings to the other. Unique in the
  // process for each run of configs that allow it.
  uint64_t cache_generation = 0;
};

std::shared_ptr<const JobSettings> MakeJobSettings(const ScrapeConfig& config,
                                                   std::shared_ptr<const HttpClient> client,
                                                   uint64_t offset_seed, uint64_t cache_generation);

// The fields that a running loop looks at and that differ, as DifferentFields names them. What only
// decides which targets there are (discovery, target rules, limits on targets) is in the targets'
// labels, or no loop's concern.
std::vector<std::string> LoopFields(const ScrapeConfig& a, const ScrapeConfig& b);
// Whether there are none: a loop need not be told.
bool SameLoopSettings(const ScrapeConfig& a, const ScrapeConfig& b);

// Whether a loop may go on with its series cache (spec 2.5): nothing but interval, timeout,
// sample_limit and the HTTP client's options differ of what a running loop looks at.
bool ReusableCache(const ScrapeConfig& a, const ScrapeConfig& b);

}  // namespace trawl

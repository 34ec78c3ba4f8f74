#pragma once

#include <array>
#include <string_view>

namespace trawl {

// The series that every scrape adds about itself, in Prometheus' order (spec 4.8).
// They are the last positions of every layout.
inline constexpr std::array<std::string_view, 5> kReportSeries = {
    "up", "scrape_duration_seconds", "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling", "scrape_series_added"};

// Added behind them with extra_scrape_metrics.
inline constexpr std::array<std::string_view, 3> kExtraReportSeries = {
    "scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"};

}  // namespace trawl

#include "tests/fakes/recording_appender.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/text.h"
#include "core/model/report_series.h"
#include "core/model/value.h"

namespace trawl {
namespace {

bool IsSet(std::span<const uint64_t> bits, size_t at) {
  return at / 64 < bits.size() && ((bits[at / 64] >> (at % 64)) & 1) != 0;
}

bool IsReportName(std::string_view name) {
  return std::find(kReportSeries.begin(), kReportSeries.end(), name) != kReportSeries.end() ||
         std::find(kExtraReportSeries.begin(), kExtraReportSeries.end(), name) !=
             kExtraReportSeries.end();
}

// The report series are the last positions of the layout.
size_t ReportBegin(const Layout& layout) {
  size_t begin = layout.size();
  while (begin > 0 && layout.size() - begin < kReportSeries.size() + kExtraReportSeries.size() &&
         IsReportName(layout.SeriesLabels(begin - 1).Get(kMetricName))) {
    --begin;
  }
  return begin;
}

}  // namespace

std::string RecordedSample::ToString() const {
  std::string text(labels.Get(kMetricName));
  const char* separator = "{";
  for (const Label& label : labels) {
    if (label.name == kMetricName) continue;
    absl::StrAppend(&text, separator, label.name, "=", GoQuote(label.value));
    separator = ",";
  }
  if (*separator == ',') text += "}";
  const std::string number = IsStaleMarker(value) ? std::string("stale") : FormatGoFloat(value);
  return absl::StrCat(text, " ", number, " @", timestamp_ms);
}

absl::Status RecordingAppender::Append(const ScrapeBatch& batch) {
  if (!status_.ok()) return status_;
  Batch recorded{batch.layout->id(), batch.timestamp_ms, batch.flags, {}};
  const size_t report = ReportBegin(*batch.layout);
  size_t report_begin = 0;
  auto time = batch.times.begin();
  for (size_t p = 0; p < batch.layout->size(); ++p) {
    if (p == report) report_begin = recorded.samples.size();
    int64_t timestamp_ms = batch.timestamp_ms;
    if (time != batch.times.end() && time->position == p) timestamp_ms = (time++)->timestamp_ms;
    const bool stale = IsSet(batch.stale, p);
    if (IsSet(batch.absent, p) && !stale) continue;
    recorded.samples.push_back(
        {batch.layout->SeriesLabels(p), timestamp_ms, stale ? StaleMarker() : batch.values[p]});
  }
  batches_.push_back(std::move(recorded));
  report_begin_.push_back(report_begin);
  return absl::OkStatus();
}

void RecordingAppender::Forget(const LayoutPtr& layout) { forgotten_.push_back(layout->id()); }

std::vector<RecordedSample> RecordingAppender::samples() const {
  std::vector<RecordedSample> all;
  for (const Batch& batch : batches_) {
    all.insert(all.end(), batch.samples.begin(), batch.samples.end());
  }
  return all;
}

std::vector<std::string> RecordingAppender::LastBody() const {
  std::vector<std::string> texts;
  if (batches_.empty()) return texts;
  const std::vector<RecordedSample>& samples = batches_.back().samples;
  for (size_t i = 0; i < report_begin_.back(); ++i) texts.push_back(samples[i].ToString());
  return texts;
}

std::map<std::string, std::string> RecordingAppender::LastReport() const {
  std::map<std::string, std::string> texts;
  if (batches_.empty()) return texts;
  const std::vector<RecordedSample>& samples = batches_.back().samples;
  for (size_t i = report_begin_.back(); i < samples.size(); ++i) {
    texts[std::string(samples[i].labels.Get(kMetricName))] = samples[i].ToString();
  }
  return texts;
}

}  // namespace trawl

#include "server/scrape_now.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "core/base/text.h"
#include "server/proto_conversions.h"
#include "server/status_conversions.h"

namespace trawl {
namespace {

namespace pb = status::v1;

constexpr uint64_t kMaxShownBytes = uint64_t{1} << 20;
constexpr uint64_t kMaxShownSamples = 100'000;
constexpr size_t kMaxTextBytes = 16384;  // of one text that the target wrote

pb::ScrapedSample::Fate ToProto(SampleFate fate) {
  switch (fate) {
    case SampleFate::kKept:
      return pb::ScrapedSample::KEPT;
    case SampleFate::kDropped:
      return pb::ScrapedSample::DROPPED;
    case SampleFate::kOverLimit:
      return pb::ScrapedSample::OVER_LIMIT;
    case SampleFate::kDuplicate:
      return pb::ScrapedSample::DUPLICATE;
    case SampleFate::kOutOfOrder:
      return pb::ScrapedSample::OUT_OF_ORDER;
    case SampleFate::kOutOfBounds:
      return pb::ScrapedSample::OUT_OF_BOUNDS;
    case SampleFate::kBad:
      return pb::ScrapedSample::BAD;
  }
  return pb::ScrapedSample::FATE_UNSPECIFIED;
}

pb::ScrapedSample ToProto(const ProbedSample& sample) {
  pb::ScrapedSample out;
  out.set_text(PresentableText(sample.text, kMaxTextBytes));
  SetLabels(sample.labels, out.mutable_labels());
  out.set_value(sample.value);
  if (sample.timestamp_ms.has_value()) out.set_timestamp_ms(*sample.timestamp_ms);
  out.set_fate(ToProto(sample.fate));
  out.set_rule_index(static_cast<uint32_t>(sample.rule));
  out.set_line(static_cast<uint32_t>(sample.line));
  out.set_column(static_cast<uint32_t>(sample.column));
  out.set_detail(PresentableText(sample.detail, kMaxTextBytes));
  return out;
}

bool MayHoldASecret(std::string_view name) {
  constexpr std::array<std::string_view, 4> kNames = {"set-cookie", "cookie", "authorization",
                                                      "proxy-authorization"};
  const std::string lower = absl::AsciiStrToLower(name);
  return std::find(kNames.begin(), kNames.end(), lower) != kNames.end();
}

void AddHeader(std::string_view line, pb::ScrapeNowResponse& out) {
  const size_t colon = std::min(line.find(':'), line.size());
  const std::string_view name = line.substr(0, colon);
  const std::string_view value =
      absl::StripAsciiWhitespace(line.substr(std::min(colon + 1, line.size())));
  pb::Header& header = *out.add_headers();
  header.set_name(PresentableText(name, kMaxTextBytes));
  header.set_value(MayHoldASecret(name) ? "<secret>" : PresentableText(value, kMaxTextBytes));
}

// The timings are moments since the start, the phases lengths.
void SetPhases(const ProbeResult& result, pb::Phases& out) {
  const FetchTimings& timings = result.timings;
  absl::Duration before;
  const auto next = [&before](absl::Duration end, google::protobuf::Duration* phase) {
    SetDuration(end - before, phase);
    before = end;
  };
  if (timings.dns > before) next(timings.dns, out.mutable_dns());
  if (timings.connect > before) next(timings.connect, out.mutable_connect());
  if (timings.tls > before) next(timings.tls, out.mutable_tls());
  if (timings.first_byte > before) next(timings.first_byte, out.mutable_first_byte());
  if (result.answered) next(std::max(timings.total, before), out.mutable_transfer());
  if (result.inflated_bytes > 0) SetDuration(result.inflate, out.mutable_inflate());
  if (result.parse > absl::ZeroDuration()) SetDuration(result.parse, out.mutable_parse());
}

void SetCounts(const ScrapeResult& scrape, pb::SampleCounts& out) {
  out.set_scraped(static_cast<uint64_t>(scrape.total));
  out.set_post_relabeling(static_cast<uint64_t>(scrape.added));
  out.set_series_added(static_cast<uint64_t>(scrape.series_added));
  out.set_out_of_order(static_cast<uint64_t>(scrape.out_of_order));
  out.set_duplicate(static_cast<uint64_t>(scrape.duplicates));
  out.set_out_of_bounds(static_cast<uint64_t>(scrape.out_of_bounds));
}

void SetScrape(const ProbeResult& result, pb::Scrape& out) {
  const ScrapeResult& scrape = result.scrape;
  SetTime(result.start, out.mutable_start());
  SetDuration(result.duration, out.mutable_duration());
  SetPhases(result, *out.mutable_phases());
  out.set_body_bytes(result.body_bytes);
  out.set_inflated_bytes(result.inflated_bytes);
  SetCounts(scrape, *out.mutable_samples());
  out.set_health(scrape.status.ok() ? pb::Target::UP : pb::Target::DOWN);
  out.set_error(PresentableText(scrape.status.message(), kMaxTextBytes));
  out.set_failure_reason(trawl::ToProto(scrape.reason));
  out.set_http_status(static_cast<uint32_t>(result.http_status));
  out.set_content_type(PresentableText(result.content_type, kMaxTextBytes));
  out.set_connection_reused(result.answered && result.timings.connect == absl::ZeroDuration());
}

}  // namespace

ScrapeProbe::Limits ProbeLimits(const pb::ScrapeNowRequest& request) {
  ScrapeProbe::Limits limits;
  if (request.max_body_bytes() != 0) {
    limits.max_body_bytes = std::min(request.max_body_bytes(), kMaxShownBytes);
  }
  if (request.max_samples() != 0) {
    limits.max_samples = std::min(request.max_samples(), kMaxShownSamples);
  }
  return limits;
}

pb::ScrapeNowResponse ToProto(const ProbeResult& result) {
  pb::ScrapeNowResponse out;
  SetScrape(result, *out.mutable_scrape());
  if (!result.head.empty()) out.set_status_line(PresentableText(result.head[0], kMaxTextBytes));
  for (size_t i = 1; i < result.head.size(); ++i) AddHeader(result.head[i], out);
  out.set_body(result.body);
  out.set_body_cut(result.body_cut);
  for (const ProbedSample& sample : result.samples) *out.add_samples() = ToProto(sample);
  out.set_sample_count(static_cast<uint64_t>(result.scrape.total));
  return out;
}

}  // namespace trawl

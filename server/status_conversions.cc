#include "server/status_conversions.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/proto_conversions.h"

namespace trawl {
namespace {

namespace pb = status::v1;

void AddSamples(const ScrapeFigures& scrape, pb::SampleCounts& out) {
  out.set_scraped(scrape.samples_scraped);
  out.set_post_relabeling(scrape.samples_post_relabeling);
  out.set_series_added(scrape.series_added);
  out.set_out_of_order(scrape.out_of_order);
  out.set_duplicate(scrape.duplicates);
  out.set_out_of_bounds(scrape.out_of_bounds);
}

pb::Phases ToProto(const ScrapePhases& phases) {
  pb::Phases out;
  if (phases.dns) SetDuration(*phases.dns, out.mutable_dns());
  if (phases.connect) SetDuration(*phases.connect, out.mutable_connect());
  if (phases.tls) SetDuration(*phases.tls, out.mutable_tls());
  if (phases.first_byte) SetDuration(*phases.first_byte, out.mutable_first_byte());
  if (phases.transfer) SetDuration(*phases.transfer, out.mutable_transfer());
  if (phases.inflate) SetDuration(*phases.inflate, out.mutable_inflate());
  if (phases.parse) SetDuration(*phases.parse, out.mutable_parse());
  return out;
}

void AddReport(const ScrapeReport& report, pb::Target& out) {
  out.set_health(ToProto(report.health));
  out.set_last_error(report.last.error);
  out.set_failure_reason(ToProto(report.last.reason));
  out.set_scrapes(report.scrapes);
  out.set_failures(report.failures);
  out.set_series(report.series);
  if (report.next_scrape != absl::InfiniteFuture()) {
    SetTime(report.next_scrape, out.mutable_next_scrape());
  }
  if (report.last.start == absl::InfinitePast()) return;
  SetTime(report.last.start, out.mutable_last_scrape());
  SetDuration(report.last.duration, out.mutable_last_scrape_duration());
  SetDuration(report.last.lateness, out.mutable_last_lateness());
  AddSamples(report.last, *out.mutable_last_samples());
}

pb::Drop::Reason ToProto(DropReason reason) {
  switch (reason) {
    case DropReason::kRelabel:
      return pb::Drop::RELABEL;
    case DropReason::kNoAddress:
      return pb::Drop::NO_ADDRESS;
    case DropReason::kBadAddress:
      return pb::Drop::BAD_ADDRESS;
    case DropReason::kBadInterval:
      return pb::Drop::BAD_INTERVAL;
    case DropReason::kBadLabel:
      return pb::Drop::BAD_LABEL;
    case DropReason::kDuplicate:
      return pb::Drop::DUPLICATE;
    case DropReason::kPendingJob:
      return pb::Drop::PENDING_JOB;
    case DropReason::kSourceHeld:
      return pb::Drop::SOURCE_HELD;
  }
  return pb::Drop::REASON_UNSPECIFIED;
}

void AddOwner(std::string_view source, std::string_view key, pb::Target& out) {
  pb::Owner& owner = *out.add_owners();
  owner.set_source(std::string(source));
  owner.set_key(std::string(key));
}

void AddLosses(const SinkStatus& sink, pb::SinkLane& out) {
  std::map<int, uint64_t> lost_samples = sink.gap_samples;
  for (const auto& [reason, samples] : sink.untold_gap_samples) lost_samples[reason] += samples;
  for (const auto& [reason, samples] : lost_samples) {
    pb::Lost& lost = *out.add_lost();
    lost.set_reason(static_cast<storage::v1::Gap::Reason>(reason));
    lost.set_samples(samples);
    const auto records = sink.gap_records.find(reason);
    if (records != sink.gap_records.end()) lost.set_records(records->second);
  }
  for (const auto& [code, samples] : sink.totals.rejected) {
    pb::Rejected& rejected = *out.add_rejected();
    rejected.set_code(static_cast<storage::v1::Reject::Code>(code));
    rejected.set_samples(samples);
  }
}

// Unset: never.
void SetTimeIfAny(absl::Time time, google::protobuf::Timestamp* (pb::SinkLane::*field)(),
                  pb::SinkLane& out) {
  if (time != absl::InfinitePast()) SetTime(time, (out.*field)());
}

pb::SinkLane ToProto(const LaneStatus& lane, const SinkStatus& sink, const PoolsSnapshot& pools) {
  pb::SinkLane out;
  out.set_lane(lane.lane);
  out.set_epoch(lane.epoch);
  out.set_connected(sink.state == SinkState::kStreaming);
  out.set_durable(sink.durable);
  out.set_next_number(lane.next_number);
  out.set_stored(sink.totals.stored);
  out.set_duplicate(sink.totals.duplicate);
  AddLosses(sink, out);
  out.set_queued_bytes(sink.backlog_bytes);
  out.set_queued_samples(sink.backlog_samples);
  out.set_window_bytes(sink.window_bytes);
  out.set_last_error(std::string(sink.last_error.message()));
  SetTimeIfAny(sink.last_error_time, &pb::SinkLane::mutable_last_error_time, out);
  SetTimeIfAny(sink.durable_time, &pb::SinkLane::mutable_durable_time, out);
  SetTimeIfAny(sink.last_ack, &pb::SinkLane::mutable_last_ack, out);
  out.set_connects(sink.streams_opened);
  if (sink.stuck_number != 0) {
    pb::StuckRecord& stuck = *out.mutable_stuck();
    stuck.set_number(sink.stuck_number);
    stuck.set_attempts(static_cast<uint32_t>(sink.streams_without_progress));
    stuck.set_error(std::string(sink.last_error.message()));
    stuck.set_target_labels(StuckTargetText(sink));
    pb::TargetRef target = TargetWithLabels(pools, sink.stuck_target);
    if (!target.id().empty()) *stuck.mutable_target() = std::move(target);
  }
  return out;
}

}  // namespace

pb::Target::Health ToProto(TargetHealth health) {
  switch (health) {
    case TargetHealth::kUnknown:
      return pb::Target::UNKNOWN;
    case TargetHealth::kUp:
      return pb::Target::UP;
    case TargetHealth::kDown:
      return pb::Target::DOWN;
  }
  return pb::Target::HEALTH_UNSPECIFIED;
}

pb::Failure::Reason ToProto(FailureReason reason) {
  using Reason = FailureReason;
  switch (reason) {
    case Reason::kNone:
      return pb::Failure::REASON_UNSPECIFIED;
    case Reason::kOther:
      return pb::Failure::INTERNAL;
    case Reason::kDns:
      return pb::Failure::DNS;
    case Reason::kConnectionRefused:
      return pb::Failure::CONNECT_REFUSED;
    case Reason::kConnectionFailed:
      return pb::Failure::CONNECT;
    case Reason::kTls:
      return pb::Failure::TLS;
    case Reason::kTimeoutDns:
      return pb::Failure::DNS_TIMEOUT;
    case Reason::kTimeoutConnect:
      return pb::Failure::CONNECT_TIMEOUT;
    case Reason::kTimeoutTls:
      return pb::Failure::TLS_TIMEOUT;
    case Reason::kTimeoutResponse:
      return pb::Failure::FIRST_BYTE_TIMEOUT;
    case Reason::kTimeoutBody:
      return pb::Failure::TRANSFER_TIMEOUT;
    case Reason::kHttpStatus3xx:
      return pb::Failure::HTTP_3XX;
    case Reason::kHttpStatus4xx:
      return pb::Failure::HTTP_4XX;
    case Reason::kHttpStatus5xx:
      return pb::Failure::HTTP_5XX;
    case Reason::kHttpStatusOther:
      return pb::Failure::HTTP_2XX;
    case Reason::kHttpProtocol:
      return pb::Failure::HTTP_PROTOCOL;
    case Reason::kTooManyRedirects:
      return pb::Failure::REDIRECT;
    case Reason::kContentType:
      return pb::Failure::CONTENT_TYPE;
    case Reason::kContentEncoding:
      return pb::Failure::DECOMPRESS;
    case Reason::kBodySizeLimit:
      return pb::Failure::BODY_SIZE_LIMIT;
    case Reason::kSampleLimit:
      return pb::Failure::SAMPLE_LIMIT;
    case Reason::kLabelLimit:
      return pb::Failure::LABEL_LIMIT;
    case Reason::kTargetLimit:
      return pb::Failure::TARGET_LIMIT;
    case Reason::kParse:
      return pb::Failure::PARSE;
    case Reason::kInvalidLabels:
      return pb::Failure::INVALID_SAMPLE;
    case Reason::kTooLarge:
      return pb::Failure::TOO_LARGE;
    case Reason::kCredentials:
      return pb::Failure::CREDENTIALS;
    case Reason::kDescriptors:
      return pb::Failure::DESCRIPTOR_LIMIT;
    case Reason::kInvalidTarget:
      return pb::Failure::INVALID_TARGET;
    case Reason::kAppend:
      return pb::Failure::APPEND;
  }
  return pb::Failure::INTERNAL;
}

std::string TargetId(uint64_t hash) { return absl::StrFormat("%016x", hash); }

pb::Target ToProto(const PoolStatus& pool, const ActiveTarget& active) {
  const Target& target = *active.target;
  pb::Target out;
  out.set_id(TargetId(target.hash));
  out.set_job(pool.job);
  out.set_state(pb::Target::ACTIVE);
  SetLabels(DiscoveredLabels(pool, active), out.mutable_discovered_labels());
  SetLabels(*target.labels, out.mutable_labels());
  out.set_scrape_url(target.url);
  SetDuration(target.interval, out.mutable_scrape_interval());
  SetDuration(target.timeout, out.mutable_scrape_timeout());
  for (const TargetOwner* owner : OwnersBySource(active)) {
    AddOwner(owner->group->source, owner->group->key, out);
  }
  out.set_shard(ShardOf(target, pool.shards));
  out.set_held(IsHeld(active));
  AddReport(active.status->Get(), out);
  return out;
}

pb::Target ToProto(const std::string& job, const Target& target) {
  pb::Target out;
  out.set_id(TargetId(target.hash));
  out.set_job(job);
  out.set_state(pb::Target::ACTIVE);
  SetLabels(*target.labels, out.mutable_labels());
  out.set_scrape_url(target.url);
  SetDuration(target.interval, out.mutable_scrape_interval());
  SetDuration(target.timeout, out.mutable_scrape_timeout());
  return out;
}

pb::Scrape ToProto(const ScrapeRecord& record) {
  pb::Scrape out;
  SetTime(record.start, out.mutable_start());
  SetDuration(record.lateness, out.mutable_lateness());
  SetDuration(record.duration, out.mutable_duration());
  *out.mutable_phases() = ToProto(record.phases);
  out.set_body_bytes(record.body_bytes);
  out.set_inflated_bytes(record.inflated_bytes);
  AddSamples(record, *out.mutable_samples());
  out.set_health(record.reason == FailureReason::kNone ? pb::Target::UP : pb::Target::DOWN);
  out.set_error(record.error);
  out.set_failure_reason(ToProto(record.reason));
  out.set_http_status(static_cast<uint32_t>(record.http_status));
  out.set_content_type(record.content_type);
  out.set_connection_reused(record.connection_reused);
  return out;
}

pb::Target ToProto(const DroppedTarget& target) {
  pb::Target out;
  out.set_id(TargetId(target.hash));
  out.set_job(std::string(target.job));
  out.set_state(pb::Target::DROPPED);
  SetLabels(target.discovered_labels(), out.mutable_discovered_labels());
  AddOwner(target.source, target.key, out);
  pb::Drop& drop = *out.mutable_drop();
  drop.set_reason(ToProto(target.drop.reason));
  drop.set_detail(target.detail());
  if (target.drop.reason == DropReason::kRelabel) {
    drop.set_rule_index(target.drop.rule);
    const RelabelConfig& rule = target.config->relabel_configs[target.drop.rule];
    drop.set_action(std::string(RelabelActionName(rule.action)));
  }
  if (target.duplicate_of != nullptr) drop.set_duplicate_of(TargetId(target.duplicate_of->hash));
  return out;
}

pb::Pool ToProto(const PoolStatus& pool) {
  pb::Pool out;
  uint64_t health[3] = {};
  uint64_t samples = 0;
  uint64_t scrapes = 0;
  uint64_t failures = 0;
  for (const auto& target : pool.active) {
    const ScrapeReport report = target->status->Get();
    ++health[static_cast<int>(report.health)];
    samples += report.last.samples_post_relabeling;
    scrapes += report.scrapes;
    failures += report.failures;
  }
  out.set_job(pool.job);
  out.set_active(pool.active.size());
  out.set_dropped(pool.dropped_count);
  out.set_invalid(pool.failed_count);
  out.set_duplicates(pool.duplicate_count);
  out.set_withheld(pool.withheld_count);
  out.set_unknown(health[static_cast<int>(TargetHealth::kUnknown)]);
  out.set_up(health[static_cast<int>(TargetHealth::kUp)]);
  out.set_down(health[static_cast<int>(TargetHealth::kDown)]);
  SetDuration(pool.scrape_interval, out.mutable_scrape_interval());
  SetDuration(pool.scrape_timeout, out.mutable_scrape_timeout());
  out.set_target_limit(pool.target_limit);
  for (const auto& [source, share] : pool.sources) out.add_sources(source);
  out.set_samples(samples);
  out.set_scrapes(scrapes);
  out.set_failures(failures);
  if (pool.over_target_limit) {
    out.set_error(absl::StrCat("target_limit exceeded (number of targets: ", pool.active.size(),
                               ", limit: ", pool.target_limit, ")"));
  }
  return out;
}

pb::ListSinksResponse ToProto(std::span<const SinkDescription> sinks,
                              std::span<const std::shared_ptr<const LaneStatus>> lanes,
                              const PoolsSnapshot& pools, uint64_t max_queue_bytes) {
  pb::ListSinksResponse out;
  for (const SinkDescription& description : sinks) {
    pb::Sink& sink = *out.add_sinks();
    sink.set_name(description.name);
    sink.set_kind(description.kind);
    sink.set_address(description.address);
    sink.set_endpoint_error(description.endpoint.last_error);
    if (description.endpoint.last_error_time != absl::InfinitePast()) {
      SetTime(description.endpoint.last_error_time, sink.mutable_endpoint_error_time());
    }
    sink.set_degraded(description.endpoint.failing);
    for (const auto& lane : lanes) {
      for (const SinkStatus& status : lane->sinks) {
        if (status.name != description.name) continue;
        *sink.add_lanes() = ToProto(*lane, status, pools);
        if (status.degraded) sink.set_degraded(true);
        if (!status.store_id.empty()) sink.set_store_id(status.store_id);
      }
    }
  }
  uint64_t bytes = 0;
  for (const auto& lane : lanes) bytes += lane->log_bytes;
  out.mutable_spool()->set_state(pb::Spool::MEMORY);
  out.mutable_spool()->set_bytes(bytes);
  out.mutable_spool()->set_max_bytes(max_queue_bytes);
  return out;
}

pb::TargetRef TargetWithLabels(const PoolsSnapshot& pools, const Labels& labels) {
  pb::TargetRef ref;
  if (labels.empty()) return ref;
  const uint64_t hash = labels.Hash();
  for (const auto& pool : pools.pools) {
    for (const auto& active : pool->active) {
      if (active->target->public_hash != hash || *active->target->labels != labels) continue;
      if (!ref.id().empty()) return {};
      ref.set_job(pool->job);
      ref.set_id(TargetId(active->target->hash));
      ref.set_scrape_url(active->target->url);
    }
  }
  return ref;
}

void AddRejected(std::span<const std::shared_ptr<const LaneStatus>> lanes, pb::Target& target) {
  if (target.state() != pb::Target::ACTIVE) return;
  const auto refused = [](const auto& lane) { return lane->rejected != nullptr; };
  if (std::ranges::none_of(lanes, refused)) return;
  for (const auto& [of, samples] : RejectedOf(lanes, ToLabels(target.labels()).Hash())) {
    pb::Rejected& rejected = *target.add_rejected();
    rejected.set_sink(of.first);
    rejected.set_code(static_cast<storage::v1::Reject::Code>(of.second));
    rejected.set_samples(samples);
  }
}

pb::ConfigWarning ToProto(const ConfigWarning& warning) {
  pb::ConfigWarning out;
  out.set_file(warning.file);
  out.set_line(static_cast<uint32_t>(warning.line));
  out.set_column(static_cast<uint32_t>(warning.column));
  out.set_message(warning.message);
  return out;
}

}  // namespace trawl

#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "client/store/endpoint_condition.h"
#include "core/append/sink.h"
#include "core/base/failure_reason.h"
#include "core/config/config_problem.h"
#include "core/scrape/pool_status.h"
#include "trawl/status/v1/status.pb.h"

namespace trawl {

// From snapshots to trawl.status.v1. Pure.

status::v1::Target::Health ToProto(TargetHealth health);
status::v1::Failure::Reason ToProto(FailureReason reason);
// But for labels_shared and rejected: what a look at the target alone does not tell.
status::v1::Target ToProto(const PoolStatus& pool, const ActiveTarget& target);
status::v1::Target ToProto(const DroppedTarget& target);
// Without what comes from scraping and from discovery.
status::v1::Target ToProto(const std::string& job, const Target& target);
status::v1::Scrape ToProto(const ScrapeRecord& record);
status::v1::Pool ToProto(const PoolStatus& pool);

// 16 hex digits.
std::string TargetId(uint64_t hash);

// What a sink is, besides how it does.
struct SinkDescription {
  std::string name;
  status::v1::Sink::Kind kind = status::v1::Sink::KIND_UNSPECIFIED;
  std::string address;         // credentials masked
  EndpointCondition endpoint;  // behind a store of our own that sends samples on
};
// The targets of stuck records are looked for in `pools`.
status::v1::ListSinksResponse ToProto(std::span<const SinkDescription> sinks,
                                      std::span<const std::shared_ptr<const LaneStatus>> lanes,
                                      const PoolsSnapshot& pools, uint64_t max_queue_bytes);

// The active target with these labels; unset if none has them, or several have.
status::v1::TargetRef TargetWithLabels(const PoolsSnapshot& pools, const Labels& labels);

// What the lanes' sinks refused of an active target's samples. O(lanes) if they refused nothing.
void AddRejected(std::span<const std::shared_ptr<const LaneStatus>> lanes,
                 status::v1::Target& target);

status::v1::ConfigWarning ToProto(const ConfigWarning& warning);

}  // namespace trawl

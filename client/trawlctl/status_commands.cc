#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/trawlctl/commands.h"
#include "client/trawlctl/format.h"
#include "client/trawlctl/output.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

uint64_t LostSamples(const status::v1::SinkLane& lane) {
  uint64_t samples = 0;
  for (const auto& lost : lane.lost()) samples += lost.samples();
  return samples;
}

}  // namespace

absl::Status RunPools(Servers& servers, const std::string& job, bool json) {
  Listing listing({"JOB", "ACTIVE", "UP", "DOWN", "UNKNOWN", "DROPPED", "INTERVAL", "SAMPLES",
                   "SOURCES", "ERROR"},
                  servers, json);
  status::v1::ListPoolsRequest request;
  request.set_job(job);
  return listing.Print(servers.ForEach([&](const std::string& server, Connection& connection) {
    status::v1::ListPoolsResponse response;
    RETURN_IF_ERROR(connection.Call(
        connection.status(), &status::v1::StatusService::Stub::ListPools, request, response));
    for (const auto& pool : response.pools()) {
      RETURN_IF_ERROR(listing.Add(
          server, pool,
          {pool.job(), absl::StrCat(pool.active()), absl::StrCat(pool.up()),
           absl::StrCat(pool.down()), absl::StrCat(pool.unknown()), absl::StrCat(pool.dropped()),
           FormatShort(pool.scrape_interval()), absl::StrCat(pool.samples()),
           absl::StrJoin(pool.sources(), ","), pool.error()}));
    }
    return absl::OkStatus();
  }));
}

absl::Status RunSinks(Connection& connection, bool json) {
  status::v1::ListSinksResponse response;
  RETURN_IF_ERROR(connection.Call(connection.status(), &status::v1::StatusService::Stub::ListSinks,
                                  status::v1::ListSinksRequest(), response));
  if (json) return PrintJson(response.sinks());
  std::vector<std::vector<std::string>> rows;
  for (const auto& sink : response.sinks()) {
    for (const auto& lane : sink.lanes()) {
      rows.push_back(
          {sink.name(), status::v1::Sink::Kind_Name(sink.kind()), sink.address(),
           absl::StrCat(lane.lane()), absl::StrCat(lane.epoch()), lane.connected() ? "yes" : "no",
           absl::StrCat(lane.durable()), absl::StrCat(lane.next_number()),
           absl::StrCat(lane.stored()), absl::StrCat(LostSamples(lane)),
           lane.has_stuck() ? absl::StrCat(lane.stuck().number()) : "", lane.last_error()});
    }
  }
  Print(FormatTable({"SINK", "KIND", "ADDRESS", "LANE", "EPOCH", "CONNECTED", "DURABLE", "NEXT",
                     "STORED", "LOST", "STUCK AT", "LAST ERROR"},
                    rows));
  return absl::OkStatus();
}

absl::Status RunSkip(Connection& connection, const SkipOptions& options) {
  status::v1::SkipRecordRequest request;
  request.set_sink(options.sink);
  request.set_lane(options.lane);
  request.set_epoch(options.epoch);
  request.set_number(options.number);
  request.set_dry_run(options.dry_run);
  status::v1::SkipRecordResponse response;
  RETURN_IF_ERROR(connection.Call(connection.status(), &status::v1::StatusService::Stub::SkipRecord,
                                  request, response));
  if (options.json) return PrintJson(std::vector{response});
  Print(absl::StrCat("record ", options.number, ", ", response.samples(), " samples",
                     response.target_labels().empty() ? "" : " of ", response.target_labels(),
                     options.dry_run ? ": would be skipped\n" : ": skipped\n"));
  return absl::OkStatus();
}

absl::Status RunReload(Connection& connection, bool json) {
  status::v1::ReloadConfigResponse response;
  RETURN_IF_ERROR(connection.Call(connection.status(),
                                  &status::v1::StatusService::Stub::ReloadConfig,
                                  status::v1::ReloadConfigRequest(), response));
  if (json) return PrintJson(std::vector{response});
  Print("configuration reloaded\n");
  return absl::OkStatus();
}

absl::Status RunVersion(Connection& connection, bool json) {
  status::v1::GetBuildInfoResponse response;
  RETURN_IF_ERROR(connection.Call(connection.status(),
                                  &status::v1::StatusService::Stub::GetBuildInfo,
                                  status::v1::GetBuildInfoRequest(), response));
  if (json) return PrintJson(std::vector{response});
  Print(response.DebugString());
  return absl::OkStatus();
}

}  // namespace trawl

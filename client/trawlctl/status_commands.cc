#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/trawlctl/commands.h"
#include "client/trawlctl/format.h"
#include "client/trawlctl/output.h"
#include "client/trawlctl/program.h"
#include "core/base/clock.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

struct PoolsOptions {
  std::string job;  // "": all
  bool json = false;
};

struct PlainOptions {
  bool json = false;
};

uint64_t LostSamples(const status::v1::SinkLane& lane) {
  uint64_t samples = 0;
  for (const auto& lost : lane.lost()) samples += lost.samples();
  return samples;
}

uint64_t RejectedSamples(const status::v1::SinkLane& lane) {
  uint64_t samples = 0;
  for (const auto& rejected : lane.rejected()) samples += rejected.samples();
  return samples;
}

const char* SinkState(const status::v1::Sink& sink, const status::v1::SinkLane& lane) {
  if (sink.degraded()) return "degraded";
  return lane.connected() ? "connected" : "waiting";
}

// The newer of what the stream and the endpoint behind it ended with, and when that was.
std::string SinkError(const status::v1::Sink& sink, const status::v1::SinkLane& lane,
                      absl::Time now) {
  const auto when = [](const google::protobuf::Timestamp& time) {
    return std::pair(time.seconds(), time.nanos());
  };
  const bool of_endpoint = sink.has_endpoint_error_time() &&
                           when(sink.endpoint_error_time()) >= when(lane.last_error_time());
  const std::string& error = of_endpoint ? sink.endpoint_error() : lane.last_error();
  if (error.empty()) return "";
  const auto& time = of_endpoint ? sink.endpoint_error_time() : lane.last_error_time();
  return absl::StrCat(FormatAgo(time, true, now), ": ", error);
}

absl::Status RunPools(Servers& servers, const PoolsOptions& options) {
  Listing listing({"JOB", "ACTIVE", "UP", "DOWN", "UNKNOWN", "DROPPED", "INVALID", "INTERVAL",
                   "SAMPLES", "SOURCES", "ERROR"},
                  servers, options.json);
  status::v1::ListPoolsRequest request;
  request.set_job(options.job);
  return listing.Print(servers.ForEach([&](const std::string& server, Connection& connection) {
    status::v1::ListPoolsResponse response;
    RETURN_IF_ERROR(connection.Call(
        connection.status(), &status::v1::StatusService::Stub::ListPools, request, response));
    for (const auto& pool : response.pools()) {
      RETURN_IF_ERROR(listing.Add(
          server, pool,
          {pool.job(), absl::StrCat(pool.active()), absl::StrCat(pool.up()),
           absl::StrCat(pool.down()), absl::StrCat(pool.unknown()), absl::StrCat(pool.dropped()),
           absl::StrCat(pool.invalid()), FormatShort(pool.scrape_interval()),
           absl::StrCat(pool.samples()), absl::StrJoin(pool.sources(), ","), pool.error()}));
    }
    return absl::OkStatus();
  }));
}

absl::Status RunSinks(Connection& connection, const PlainOptions& options) {
  status::v1::ListSinksResponse response;
  RETURN_IF_ERROR(connection.Call(connection.status(), &status::v1::StatusService::Stub::ListSinks,
                                  status::v1::ListSinksRequest(), response));
  if (options.json) return PrintJson(response.sinks());
  std::vector<std::vector<std::string>> rows;
  const absl::Time now = SystemClock().Now();
  for (const auto& sink : response.sinks()) {
    for (const auto& lane : sink.lanes()) {
      rows.push_back({sink.name(), status::v1::Sink::Kind_Name(sink.kind()), sink.address(),
                      absl::StrCat(lane.lane()), absl::StrCat(lane.epoch()), SinkState(sink, lane),
                      absl::StrCat(lane.durable()), absl::StrCat(lane.next_number()),
                      absl::StrCat(lane.queued_samples()), absl::StrCat(lane.stored()),
                      absl::StrCat(LostSamples(lane)), absl::StrCat(RejectedSamples(lane)),
                      lane.has_stuck() ? absl::StrCat(lane.stuck().number()) : "",
                      SinkError(sink, lane, now)});
    }
  }
  Print(FormatTable({"SINK", "KIND", "ADDRESS", "LANE", "EPOCH", "STATE", "DURABLE", "NEXT",
                     "QUEUED", "STORED", "LOST", "REJECTED", "STUCK AT", "LAST ERROR"},
                    rows));
  return absl::OkStatus();
}

absl::Status RunReload(Connection& connection, const PlainOptions& options) {
  status::v1::ReloadConfigResponse response;
  RETURN_IF_ERROR(connection.Call(connection.status(),
                                  &status::v1::StatusService::Stub::ReloadConfig,
                                  status::v1::ReloadConfigRequest(), response));
  if (options.json) return PrintJson(std::vector{response});
  Print("configuration reloaded\n");
  return absl::OkStatus();
}

absl::Status RunVersion(Connection& connection, const PlainOptions& options) {
  status::v1::GetBuildInfoResponse response;
  RETURN_IF_ERROR(connection.Call(connection.status(),
                                  &status::v1::StatusService::Stub::GetBuildInfo,
                                  status::v1::GetBuildInfoRequest(), response));
  if (options.json) return PrintJson(std::vector{response});
  Print(response.DebugString());
  return absl::OkStatus();
}

}  // namespace

void AddStatusCommands(Program& program) {
  const auto pools = std::make_shared<PoolsOptions>();
  program.AddListing("pools", "scrape pools, one a job", pools, RunPools)
      ->add_option("--job", pools->job, "only this one");
  const auto plain = std::make_shared<PlainOptions>();
  program.Add(program.app(), "sinks", "where samples go, and how far each sink is", plain,
              RunSinks);
  program.Add(program.app(), "reload", "reload trawld's configuration", plain, RunReload);
  program.Add(program.app(), "version", "version of the running trawld", plain, RunVersion);
}

}  // namespace trawl

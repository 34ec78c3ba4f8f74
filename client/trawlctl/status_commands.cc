#include <google/protobuf/util/time_util.h>

#include <cstdio>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/trawlctl/commands.h"
#include "client/trawlctl/format.h"
#include "client/trawlctl/output.h"
#include "core/base/clock.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

using status::v1::ListTargetsRequest;
using status::v1::Target;

constexpr int kPageSize = 1000;

void Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

template <typename Repeated>
absl::Status PrintJson(const Repeated& items) {
  ASSIGN_OR_RETURN(const std::string json, FormatJsonOf(items));
  Print(json);
  return absl::OkStatus();
}

absl::StatusOr<ListTargetsRequest> MakeRequest(const TargetsOptions& options) {
  static const std::map<std::string, Target::Health> kHealth = {{"", Target::HEALTH_UNSPECIFIED},
                                                                {"up", Target::UP},
                                                                {"down", Target::DOWN},
                                                                {"unknown", Target::UNKNOWN}};
  static const std::map<std::string, Target::State> kState = {
      {"any", Target::STATE_UNSPECIFIED}, {"active", Target::ACTIVE}, {"dropped", Target::DROPPED}};
  ListTargetsRequest request;
  request.set_job(options.job);
  request.set_source(options.source);
  request.set_health(kHealth.at(options.health));
  request.set_state(kState.at(options.state));
  for (const std::string& matcher : options.matchers) request.add_matchers(matcher);
  request.set_page_size(kPageSize);
  return request;
}

std::vector<std::string> TargetRow(const Target& target, absl::Time now) {
  const bool dropped = target.state() == Target::DROPPED;
  return {target.job(),
          dropped ? "DROPPED" : Target::Health_Name(target.health()),
          dropped ? "" : target.scrape_url(),
          FormatAgo(target.last_scrape(), target.has_last_scrape(), now),
          target.has_last_scrape() ? FormatShort(target.last_scrape_duration()) : "",
          target.has_last_scrape() ? absl::StrCat(target.last_samples().post_relabeling()) : "",
          FormatLabels(dropped ? target.discovered_labels() : target.labels()),
          dropped ? target.drop().detail() : target.last_error()};
}

uint64_t LostSamples(const status::v1::SinkLane& lane) {
  uint64_t samples = 0;
  for (const auto& lost : lane.lost()) samples += lost.samples();
  return samples;
}

}  // namespace

absl::Status RunTargets(Servers& servers, const TargetsOptions& options) {
  ASSIGN_OR_RETURN(const ListTargetsRequest first, MakeRequest(options));
  Listing listing({"JOB", "HEALTH", "URL", "LAST SCRAPE", "DURATION", "SAMPLES", "LABELS", "ERROR"},
                  servers, options.json);
  const absl::Time now = SystemClock().Now();
  return listing.Print(servers.ForEach([&](const std::string& server, Connection& connection) {
    ListTargetsRequest request = first;
    do {
      status::v1::ListTargetsResponse page;
      RETURN_IF_ERROR(connection.Call(
          connection.status(), &status::v1::StatusService::Stub::ListTargets, request, page));
      for (const Target& target : page.targets()) {
        RETURN_IF_ERROR(listing.Add(server, target, TargetRow(target, now)));
      }
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return absl::OkStatus();
  }));
}

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

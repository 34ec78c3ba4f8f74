#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/append/sink.h"
#include "core/scrape/pool_status.h"
#include "server/status_conversions.h"
#include "server/target_inspector.h"
#include "server/watch_targets.h"
#include "trawl/status/v1/status.grpc.pb.h"

namespace trawl {

// trawl.status.v1.StatusService over published snapshots: it never waits for a scrape, and no
// scrape waits for it. Thread-safe.
class StatusService final : public status::v1::StatusService::CallbackService {
 public:
  using ReloadCallback = absl::AnyInvocable<void(absl::StatusOr<status::v1::ReloadConfigResponse>)>;
  using SkipCallback = absl::AnyInvocable<void(absl::StatusOr<status::v1::SkipRecordResponse>)>;
  using PlanCallback = absl::AnyInvocable<void(absl::StatusOr<status::v1::PlanConfigResponse>)>;
  // All thread-safe.
  struct Deps {
    std::function<std::shared_ptr<const PoolsSnapshot>()> pools;
    // Runs the callback later, on any thread. kFailedPrecondition: the files have errors.
    std::function<void(ReloadCallback)> reload;
    // Likewise. kInvalidArgument: the texts have errors. The last one says, until the callback has
    // run, whether the caller is gone.
    std::function<void(status::v1::PlanConfigRequest, PlanCallback, std::function<bool()>)> plan;
    std::function<std::vector<SinkDescription>()> sinks;
    std::function<std::vector<std::shared_ptr<const LaneStatus>>()> lanes;
    // Null: there is none, and records are in memory.
    std::function<status::v1::Spool()> spool;
    // Gives a record up. Runs the callback later, on any thread.
    std::function<void(const status::v1::SkipRecordRequest&, SkipCallback)> skip;
    TargetInspector& inspector;
    std::function<absl::StatusOr<status::v1::GetConfigResponse>(
        const status::v1::GetConfigRequest&)>
        config;
    TargetWatches& watches;
  };
  struct Options {
    status::v1::GetBuildInfoResponse build_info;
    uint64_t max_queue_bytes = 0;
  };

  StatusService(Options options, Deps deps);

  grpc::ServerUnaryReactor* ListPools(grpc::CallbackServerContext* context,
                                      const status::v1::ListPoolsRequest* request,
                                      status::v1::ListPoolsResponse* response) override;
  grpc::ServerUnaryReactor* ListTargets(grpc::CallbackServerContext* context,
                                        const status::v1::ListTargetsRequest* request,
                                        status::v1::ListTargetsResponse* response) override;
  grpc::ServerUnaryReactor* GetTarget(grpc::CallbackServerContext* context,
                                      const status::v1::GetTargetRequest* request,
                                      status::v1::GetTargetResponse* response) override;
  grpc::ServerWriteReactor<status::v1::WatchTargetsResponse>* WatchTargets(
      grpc::CallbackServerContext* context,
      const status::v1::WatchTargetsRequest* request) override;
  grpc::ServerUnaryReactor* ReloadConfig(grpc::CallbackServerContext* context,
                                         const status::v1::ReloadConfigRequest* request,
                                         status::v1::ReloadConfigResponse* response) override;
  grpc::ServerUnaryReactor* GetBuildInfo(grpc::CallbackServerContext* context,
                                         const status::v1::GetBuildInfoRequest* request,
                                         status::v1::GetBuildInfoResponse* response) override;
  grpc::ServerUnaryReactor* ListSinks(grpc::CallbackServerContext* context,
                                      const status::v1::ListSinksRequest* request,
                                      status::v1::ListSinksResponse* response) override;
  grpc::ServerUnaryReactor* SkipRecord(grpc::CallbackServerContext* context,
                                       const status::v1::SkipRecordRequest* request,
                                       status::v1::SkipRecordResponse* response) override;
  grpc::ServerUnaryReactor* ExplainTarget(grpc::CallbackServerContext* context,
                                          const status::v1::ExplainTargetRequest* request,
                                          status::v1::ExplainTargetResponse* response) override;
  grpc::ServerUnaryReactor* GetConfig(grpc::CallbackServerContext* context,
                                      const status::v1::GetConfigRequest* request,
                                      status::v1::GetConfigResponse* response) override;
  grpc::ServerUnaryReactor* ScrapeNow(grpc::CallbackServerContext* context,
                                      const status::v1::ScrapeNowRequest* request,
                                      status::v1::ScrapeNowResponse* response) override;
  grpc::ServerUnaryReactor* PlanConfig(grpc::CallbackServerContext* context,
                                       const status::v1::PlanConfigRequest* request,
                                       status::v1::PlanConfigResponse* response) override;

 private:
  const Options options_;
  const Deps deps_;
};

}  // namespace trawl

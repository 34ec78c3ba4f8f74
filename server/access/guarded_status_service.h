#pragma once

#include "server/access/access_control.h"
#include "trawl/status/v1/status.grpc.pb.h"

namespace trawl {

// The status service behind its access rules: a call that its caller may make is handed on. Looking
// is the viewer's; what acts, or makes trawld ask others (ScrapeNow, PlanConfig, ReloadConfig,
// SkipRecord), the operator's. Thread-safe.
class GuardedStatusService final : public status::v1::StatusService::CallbackService {
 public:
  // Both outlive the object.
  GuardedStatusService(const AccessControl& access,
                       status::v1::StatusService::CallbackService& service)
      : access_(access), service_(service) {}

  grpc::ServerUnaryReactor* ListPools(grpc::CallbackServerContext* context,
                                      const status::v1::ListPoolsRequest* request,
                                      status::v1::ListPoolsResponse* response) override;
  grpc::ServerUnaryReactor* ListTargets(grpc::CallbackServerContext* context,
                                        const status::v1::ListTargetsRequest* request,
                                        status::v1::ListTargetsResponse* response) override;
  grpc::ServerUnaryReactor* GetTarget(grpc::CallbackServerContext* context,
                                      const status::v1::GetTargetRequest* request,
                                      status::v1::GetTargetResponse* response) override;
  grpc::ServerUnaryReactor* ExplainTarget(grpc::CallbackServerContext* context,
                                          const status::v1::ExplainTargetRequest* request,
                                          status::v1::ExplainTargetResponse* response) override;
  grpc::ServerUnaryReactor* ScrapeNow(grpc::CallbackServerContext* context,
                                      const status::v1::ScrapeNowRequest* request,
                                      status::v1::ScrapeNowResponse* response) override;
  grpc::ServerUnaryReactor* PlanConfig(grpc::CallbackServerContext* context,
                                       const status::v1::PlanConfigRequest* request,
                                       status::v1::PlanConfigResponse* response) override;
  grpc::ServerUnaryReactor* ReloadConfig(grpc::CallbackServerContext* context,
                                         const status::v1::ReloadConfigRequest* request,
                                         status::v1::ReloadConfigResponse* response) override;
  grpc::ServerUnaryReactor* GetConfig(grpc::CallbackServerContext* context,
                                      const status::v1::GetConfigRequest* request,
                                      status::v1::GetConfigResponse* response) override;
  grpc::ServerUnaryReactor* GetBuildInfo(grpc::CallbackServerContext* context,
                                         const status::v1::GetBuildInfoRequest* request,
                                         status::v1::GetBuildInfoResponse* response) override;
  grpc::ServerUnaryReactor* ListSinks(grpc::CallbackServerContext* context,
                                      const status::v1::ListSinksRequest* request,
                                      status::v1::ListSinksResponse* response) override;
  grpc::ServerUnaryReactor* SkipRecord(grpc::CallbackServerContext* context,
                                       const status::v1::SkipRecordRequest* request,
                                       status::v1::SkipRecordResponse* response) override;
  grpc::ServerWriteReactor<status::v1::WatchTargetsResponse>* WatchTargets(
      grpc::CallbackServerContext* context,
      const status::v1::WatchTargetsRequest* request) override;

 private:
  const AccessControl& access_;
  status::v1::StatusService::CallbackService& service_;
};

}  // namespace trawl

#include "server/access/guarded_status_service.h"

#include "server/grpc_status.h"

namespace trawl {
namespace {

namespace pb = status::v1;

grpc::ServerUnaryReactor* Refuse(grpc::CallbackServerContext* context, const absl::Status& why) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(why));
  return reactor;
}

// A stream that is over before it begins.
class RefusedWatch final : public grpc::ServerWriteReactor<pb::WatchTargetsResponse> {
 public:
  explicit RefusedWatch(const absl::Status& why) { Finish(ToGrpcStatus(why)); }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerUnaryReactor* GuardedStatusService::ListPools(grpc::CallbackServerContext* context,
                                                          const pb::ListPoolsRequest* request,
                                                          pb::ListPoolsResponse* response) {
  const absl::Status allowed = access_.CheckView(*context);
  return allowed.ok() ? service_.ListPools(context, request, response) : Refuse(context, allowed);
}

grpc::ServerUnaryReactor* GuardedStatusService::ListTargets(grpc::CallbackServerContext* context,
                                                            const pb::ListTargetsRequest* request,
                                                            pb::ListTargetsResponse* response) {
  const absl::Status allowed = access_.CheckView(*context);
  return allowed.ok() ? service_.ListTargets(context, request, response) : Refuse(context, allowed);
}

grpc::ServerUnaryReactor* GuardedStatusService::GetTarget(grpc::CallbackServerContext* context,
                                                          const pb::GetTargetRequest* request,
                                                          pb::GetTargetResponse* response) {
  const absl::Status allowed = access_.CheckView(*context);
  return allowed.ok() ? service_.GetTarget(context, request, response) : Refuse(context, allowed);
}

grpc::ServerUnaryReactor* GuardedStatusService::ExplainTarget(
    grpc::CallbackServerContext* context, const pb::ExplainTargetRequest* request,
    pb::ExplainTargetResponse* response) {
  const absl::Status allowed = access_.CheckView(*context);
  return allowed.ok() ? service_.ExplainTarget(context, request, response)
                      : Refuse(context, allowed);
}

grpc::ServerUnaryReactor* GuardedStatusService::ScrapeNow(grpc::CallbackServerContext* context,
                                                          const pb::ScrapeNowRequest* request,
                                                          pb::ScrapeNowResponse* response) {
  const absl::Status allowed = access_.CheckOperate(*context);
  return allowed.ok() ? service_.ScrapeNow(context, request, response) : Refuse(context, allowed);
}

grpc::ServerUnaryReactor* GuardedStatusService::PlanConfig(grpc::CallbackServerContext* context,
                                                           const pb::PlanConfigRequest* request,
                                                           pb::PlanConfigResponse* response) {
  const absl::Status allowed = access_.CheckOperate(*context);
  return allowed.ok() ? service_.PlanConfig(context, request, response) : Refuse(context, allowed);
}

grpc::ServerUnaryReactor* GuardedStatusService::ReloadConfig(grpc::CallbackServerContext* context,
                                                             const pb::ReloadConfigRequest* request,
                                                             pb::ReloadConfigResponse* response) {
  const absl::Status allowed = access_.CheckOperate(*context);
  return allowed.ok() ? service_.ReloadConfig(context, request, response)
                      : Refuse(context, allowed);
}

grpc::ServerUnaryReactor* GuardedStatusService::GetConfig(grpc::CallbackServerContext* context,
                                                          const pb::GetConfigRequest* request,
                                                          pb::GetConfigResponse* response) {
  const absl::Status allowed = access_.CheckView(*context);
  return allowed.ok() ? service_.GetConfig(context, request, response) : Refuse(context, allowed);
}

grpc::ServerUnaryReactor* GuardedStatusService::GetBuildInfo(grpc::CallbackServerContext* context,
                                                             const pb::GetBuildInfoRequest* request,
                                                             pb::GetBuildInfoResponse* response) {
  const absl::Status allowed = access_.CheckView(*context);
  return allowed.ok() ? service_.GetBuildInfo(context, request, response)
                      : Refuse(context, allowed);
}

grpc::ServerUnaryReactor* GuardedStatusService::ListSinks(grpc::CallbackServerContext* context,
                                                          const pb::ListSinksRequest* request,
                                                          pb::ListSinksResponse* response) {
  const absl::Status allowed = access_.CheckView(*context);
  return allowed.ok() ? service_.ListSinks(context, request, response) : Refuse(context, allowed);
}

grpc::ServerUnaryReactor* GuardedStatusService::SkipRecord(grpc::CallbackServerContext* context,
                                                           const pb::SkipRecordRequest* request,
                                                           pb::SkipRecordResponse* response) {
  const absl::Status allowed = access_.CheckOperate(*context);
  return allowed.ok() ? service_.SkipRecord(context, request, response) : Refuse(context, allowed);
}

grpc::ServerWriteReactor<pb::WatchTargetsResponse>* GuardedStatusService::WatchTargets(
    grpc::CallbackServerContext* context, const pb::WatchTargetsRequest* request) {
  const absl::Status allowed = access_.CheckView(*context);
  if (allowed.ok()) return service_.WatchTargets(context, request);
  return new RefusedWatch(allowed);
}

}  // namespace trawl

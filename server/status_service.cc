#include "server/status_service.h"

#include <algorithm>
#include <utility>

#include "server/get_target.h"
#include "server/grpc_status.h"
#include "server/target_list.h"

namespace trawl {
namespace {

namespace pb = status::v1;

grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, grpc::Status status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(std::move(status));
  return reactor;
}

template <typename Response>
grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context,
                                 absl::StatusOr<Response> result, Response* response) {
  if (result.ok()) response->Swap(&*result);
  return Answer(context, ToGrpcStatus(result.status()));
}

// Ends a call with what it is given.
template <typename Response>
auto AnswerLater(grpc::ServerUnaryReactor* reactor, Response* response) {
  return [reactor, response](absl::StatusOr<Response> result) {
    if (result.ok()) response->Swap(&*result);
    reactor->Finish(ToGrpcStatus(result.status()));
  };
}

}  // namespace

StatusService::StatusService(Options options, Deps deps)
    : options_(std::move(options)), deps_(std::move(deps)) {}

grpc::ServerUnaryReactor* StatusService::ListPools(grpc::CallbackServerContext* context,
                                                   const pb::ListPoolsRequest* request,
                                                   pb::ListPoolsResponse* response) {
  const std::shared_ptr<const PoolsSnapshot> pools = deps_.pools();
  for (const auto& pool : pools->pools) {
    if (request->job().empty() || request->job() == pool->job) {
      *response->add_pools() = ToProto(*pool);
    }
  }
  return Answer(context, grpc::Status::OK);
}

grpc::ServerUnaryReactor* StatusService::ListTargets(grpc::CallbackServerContext* context,
                                                     const pb::ListTargetsRequest* request,
                                                     pb::ListTargetsResponse* response) {
  absl::StatusOr<pb::ListTargetsResponse> list = trawl::ListTargets(*deps_.pools(), *request);
  if (!list.ok()) return Answer(context, ToGrpcStatus(list.status()));
  const auto lanes = deps_.lanes();
  for (pb::Target& target : *list->mutable_targets()) AddRejected(lanes, target);
  response->Swap(&*list);
  return Answer(context, grpc::Status::OK);
}

grpc::ServerUnaryReactor* StatusService::GetTarget(grpc::CallbackServerContext* context,
                                                   const pb::GetTargetRequest* request,
                                                   pb::GetTargetResponse* response) {
  absl::StatusOr<pb::GetTargetResponse> found = trawl::GetTarget(*deps_.pools(), *request);
  if (found.ok()) AddRejected(deps_.lanes(), *found->mutable_target());
  return Answer(context, std::move(found), response);
}

grpc::ServerWriteReactor<pb::WatchTargetsResponse>* StatusService::WatchTargets(
    grpc::CallbackServerContext* context, const pb::WatchTargetsRequest* request) {
  return deps_.watches.Watch(*context, *request);
}

grpc::ServerUnaryReactor* StatusService::ReloadConfig(grpc::CallbackServerContext* context,
                                                      const pb::ReloadConfigRequest* /*request*/,
                                                      pb::ReloadConfigResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  deps_.reload(AnswerLater(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* StatusService::GetBuildInfo(grpc::CallbackServerContext* context,
                                                      const pb::GetBuildInfoRequest* /*request*/,
                                                      pb::GetBuildInfoResponse* response) {
  *response = options_.build_info;
  return Answer(context, grpc::Status::OK);
}

grpc::ServerUnaryReactor* StatusService::ListSinks(grpc::CallbackServerContext* context,
                                                   const pb::ListSinksRequest* request,
                                                   pb::ListSinksResponse* response) {
  std::vector<SinkDescription> sinks = deps_.sinks();
  std::erase_if(sinks, [&](const SinkDescription& sink) {
    return !request->sink().empty() && request->sink() != sink.name;
  });
  std::sort(sinks.begin(), sinks.end(),
            [](const SinkDescription& a, const SinkDescription& b) { return a.name < b.name; });
  *response = ToProto(sinks, deps_.lanes(), *deps_.pools(), options_.max_queue_bytes);
  if (deps_.spool) *response->mutable_spool() = deps_.spool();
  return Answer(context, grpc::Status::OK);
}

grpc::ServerUnaryReactor* StatusService::ExplainTarget(grpc::CallbackServerContext* context,
                                                       const pb::ExplainTargetRequest* request,
                                                       pb::ExplainTargetResponse* response) {
  return Answer(context, deps_.inspector.Explain(*request), response);
}

grpc::ServerUnaryReactor* StatusService::ScrapeNow(grpc::CallbackServerContext* context,
                                                   const pb::ScrapeNowRequest* request,
                                                   pb::ScrapeNowResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  deps_.inspector.ScrapeNow(*request, AnswerLater(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* StatusService::PlanConfig(grpc::CallbackServerContext* context,
                                                    const pb::PlanConfigRequest* request,
                                                    pb::PlanConfigResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  deps_.plan(*request, AnswerLater(reactor, response),
             [context] { return context->IsCancelled(); });
  return reactor;
}

grpc::ServerUnaryReactor* StatusService::GetConfig(grpc::CallbackServerContext* context,
                                                   const pb::GetConfigRequest* request,
                                                   pb::GetConfigResponse* response) {
  return Answer(context, deps_.config(*request), response);
}

grpc::ServerUnaryReactor* StatusService::SkipRecord(grpc::CallbackServerContext* context,
                                                    const pb::SkipRecordRequest* request,
                                                    pb::SkipRecordResponse* response) {
  if (request->sink().empty() || request->number() == 0) {
    return Answer(context, {grpc::StatusCode::INVALID_ARGUMENT, "sink and number are required"});
  }
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  deps_.skip(*request, AnswerLater(reactor, response));
  return reactor;
}

}  // namespace trawl

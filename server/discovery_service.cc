#include "server/discovery_service.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/discovery_conversions.h"
#include "server/grpc_status.h"
#include "server/page_token.h"

namespace trawl {
namespace {

namespace pb = discovery::v1;

// Groups may hold 100,000 targets: a page ends here too.
constexpr size_t kMaxPageBytes = size_t{8} << 20;

void FillGroups(const TargetSets& sets, const pb::ListGroupsRequest& request,
                const std::optional<TargetSets::GroupPosition>& after,
                pb::ListGroupsResponse* response) {
  const size_t page = PageSize(request.page_size());
  const auto groups = sets.Groups(request.source(), request.job(), after, page + 1);
  size_t bytes = 0;
  for (const TargetSets::GroupView& view : groups) {
    if (static_cast<size_t>(response->groups_size()) == page || bytes > kMaxPageBytes) {
      const pb::Group& last = *response->groups().rbegin();
      response->set_next_page_token(
          MakePageToken({last.source(), last.group().job(), last.group().key()}));
      return;
    }
    pb::Group& group = *response->add_groups();
    group.set_source(view.source);
    // A group that was removed is listed for as long as some of it is held.
    const TargetGroup removed{
        view.name.key, {}, view.held == nullptr ? Labels() : view.held->labels};
    *group.mutable_group() = ToProto(view.name.job, view.group == nullptr ? removed : *view.group);
    if (view.held != nullptr) {
      group.mutable_held_targets()->Add(view.held->targets.begin(), view.held->targets.end());
    }
    group.set_pending(view.pending);
    if (view.refused != nullptr) *group.add_refused() = RefusedToProto(*view.refused);
    bytes += group.ByteSizeLong();
  }
}

grpc::ServerUnaryReactor* Refuse(grpc::ServerUnaryReactor* reactor, const absl::Status& why) {
  reactor->Finish(ToGrpcStatus(why));
  return reactor;
}

// A stream that is over before it began.
class RefusedSync final : public grpc::ServerBidiReactor<pb::SyncRequest, pb::SyncResponse> {
 public:
  explicit RefusedSync(const absl::Status& why) { Finish(ToGrpcStatus(why)); }
  void OnDone() override { delete this; }
};

}  // namespace

DiscoveryService::DiscoveryService(const Options& options, Deps deps)
    : options_(options), deps_(std::move(deps)) {}

grpc::ServerBidiReactor<pb::SyncRequest, pb::SyncResponse>* DiscoveryService::Sync(
    grpc::CallbackServerContext* context) {
  absl::StatusOr<Caller> caller = deps_.access.Identify(*context);
  const absl::Status allowed =
      caller.ok() ? deps_.access.policy().MayPushSomething(*caller) : caller.status();
  if (!allowed.ok()) return new RefusedSync(allowed);
  return new SyncReactor(options_.sync, {deps_.discovery, deps_.external_labels, deps_.access},
                         *context, *std::move(caller));
}

void DiscoveryService::CountTargets(const std::string& source, pb::Counts* counts) const {
  uint64_t active = 0;
  const std::shared_ptr<const PoolsSnapshot> pools = deps_.pools();
  for (const auto& pool : pools->pools) {
    const auto share = pool->sources.find(source);
    if (share != pool->sources.end()) active += share->second.active;
  }
  // Whatever it lists and is not scraped was dropped, failed, or is of a job that is not there.
  counts->set_active(std::min(active, counts->targets() + counts->held()));
  counts->set_dropped(counts->targets() + counts->held() - counts->active());
}

template <typename Request, typename Response>
grpc::ServerUnaryReactor* DiscoveryService::Apply(grpc::CallbackServerContext* context,
                                                  const Request& request, Response* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const absl::StatusOr<Caller> caller = deps_.access.Identify(*context);
  const absl::Status allowed =
      caller.ok() ? deps_.access.policy().MayPush(*caller, request.source()) : caller.status();
  if (!allowed.ok()) return Refuse(reactor, allowed);
  const size_t bytes = request.ByteSizeLong();
  const uint64_t max_bytes = deps_.discovery.options().max_request_bytes;
  if (bytes > max_bytes) {
    deps_.discovery.CountLimit("request_bytes");
    reactor->Finish({grpc::StatusCode::RESOURCE_EXHAUSTED,
                     absl::StrCat("request of ", bytes, " bytes, at most ", max_bytes,
                                  " are allowed: use Sync, or several calls")});
    return reactor;
  }
  Change change = ToChange(request, context->peer());
  change.may_write = deps_.access.MayWrite(*caller, request.source());
  deps_.discovery.ApplyAsync(
      std::move(change),
      [this, reactor, response, source = request.source()](const ApplyResult& result) {
        if (result.status == ApplyStatus::kRejected) {
          return reactor->Finish(ToGrpcStatus(RejectionStatus(result)));
        }
        *response->mutable_result() = ToProto(result);
        CountTargets(source, response->mutable_result()->mutable_counts());
        reactor->Finish(grpc::Status::OK);
      });
  return reactor;
}

grpc::ServerUnaryReactor* DiscoveryService::Push(grpc::CallbackServerContext* context,
                                                 const pb::PushRequest* request,
                                                 pb::PushResponse* response) {
  return Apply(context, *request, response);
}

grpc::ServerUnaryReactor* DiscoveryService::Update(grpc::CallbackServerContext* context,
                                                   const pb::UpdateRequest* request,
                                                   pb::UpdateResponse* response) {
  return Apply(context, *request, response);
}

grpc::ServerUnaryReactor* DiscoveryService::Release(grpc::CallbackServerContext* context,
                                                    const pb::ReleaseRequest* request,
                                                    pb::ReleaseResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const AccessPolicy& policy = deps_.access.policy();
  const absl::StatusOr<Caller> caller = deps_.access.Identify(*context);
  absl::Status allowed = caller.status();
  if (caller.ok()) {
    allowed =
        request->force() ? policy.MayOperate(*caller) : policy.MayPush(*caller, request->source());
  }
  if (!allowed.ok()) return Refuse(reactor, allowed);
  TargetSets::ReleaseOptions options;
  if (!request->force()) options.may_write = deps_.access.MayWrite(*caller, request->source());
  if (request->has_fencing_token()) options.fencing_token = request->fencing_token();
  options.remove_targets = request->remove_targets();
  options.force = request->force();
  options.dry_run = request->dry_run();
  deps_.discovery.ReleaseAsync(
      request->source(), std::move(options),
      [this, reactor, response, source = request->source()](absl::StatusOr<ApplyResult> result) {
        if (!result.ok()) return reactor->Finish(ToGrpcStatus(result.status()));
        *response->mutable_counts() = ToProto(result->counts);
        CountTargets(source, response->mutable_counts());
        reactor->Finish(grpc::Status::OK);
      });
  return reactor;
}

grpc::ServerUnaryReactor* DiscoveryService::ListSources(grpc::CallbackServerContext* context,
                                                        const pb::ListSourcesRequest* request,
                                                        pb::ListSourcesResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const absl::Status allowed = deps_.access.CheckViewSource(*context, request->source());
  if (!allowed.ok()) return Refuse(reactor, allowed);
  deps_.discovery.ReadAsync([this, reactor, request, response](const TargetSets& sets) {
    const TargetSets::Now now = deps_.discovery.Now();
    const SourceClock clock{now.wall, deps_.discovery.options().default_lease};
    for (const SourceView& view : sets.Sources(now)) {
      if (!request->source().empty() && request->source() != view.name) continue;
      pb::Source& source = *response->add_sources();
      source = ToProto(view, clock);
      CountTargets(view.name, source.mutable_counts());
    }
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

grpc::ServerUnaryReactor* DiscoveryService::AcceptHeld(grpc::CallbackServerContext* context,
                                                       const pb::AcceptHeldRequest* request,
                                                       pb::AcceptHeldResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const absl::Status allowed = deps_.access.CheckOperate(*context);
  if (!allowed.ok()) return Refuse(reactor, allowed);
  deps_.discovery.AcceptHeldAsync(
      request->source(), ToAccept(*request),
      [this, reactor, response, source = request->source()](absl::StatusOr<ApplyResult> result) {
        if (!result.ok()) return reactor->Finish(ToGrpcStatus(result.status()));
        *response->mutable_counts() = ToProto(result->counts);
        CountTargets(source, response->mutable_counts());
        reactor->Finish(grpc::Status::OK);
      });
  return reactor;
}

grpc::ServerUnaryReactor* DiscoveryService::ListGroups(grpc::CallbackServerContext* context,
                                                       const pb::ListGroupsRequest* request,
                                                       pb::ListGroupsResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const absl::Status allowed = deps_.access.CheckViewSource(*context, request->source());
  if (!allowed.ok()) return Refuse(reactor, allowed);
  std::optional<TargetSets::GroupPosition> after;
  if (!request->page_token().empty()) {
    const auto key = ParsePageToken(request->page_token(), 3);
    if (!key) {
      reactor->Finish({grpc::StatusCode::INVALID_ARGUMENT, "page_token: not one of this server"});
      return reactor;
    }
    after = {.source = (*key)[0], .name = {(*key)[1], (*key)[2]}};
  }
  deps_.discovery.ReadAsync([reactor, request, response, after](const TargetSets& sets) {
    FillGroups(sets, *request, after, response);
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

}  // namespace trawl

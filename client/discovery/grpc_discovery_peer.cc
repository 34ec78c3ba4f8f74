#include "client/discovery/grpc_discovery_peer.h"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/stream/fresh_stub.h"
#include "client/stream/grpc_message_stream.h"
#include "trawl/discovery/v1/discovery.grpc.pb.h"

namespace trawl {

namespace pb = discovery::v1;

namespace {

// An answer names refused groups: more than gRPC's 4 MiB may be wanted.
constexpr int kMaxAnswerBytes = 64 << 20;
constexpr absl::Duration kReleaseTimeout = absl::Seconds(10);

std::shared_ptr<grpc::Channel> MakeChannel(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments = FreshChannelArguments();
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

using Stub = FreshStub<pb::DiscoveryService>;

using TokenSource = std::function<std::string()>;

void AddToken(const TokenSource& source, grpc::ClientContext& context) {
  const std::string token = source ? source() : "";
  if (!token.empty()) context.AddMetadata("authorization", absl::StrCat("Bearer ", token));
}

class SyncStreams final : public GrpcMessageStreamFactory<pb::SyncRequest, pb::SyncResponse> {
 public:
  SyncStreams(std::shared_ptr<Stub> stub, const TokenSource& token, EventLoop& loop)
      : GrpcMessageStreamFactory(
            [stub = std::move(stub), token](grpc::ClientContext* context, Reactor* reactor) {
              AddToken(token, *context);
              stub->ForNextCall().async()->Sync(context, reactor);
            },
            loop) {}
};

class GrpcDiscoveryPeer final : public DiscoveryPeer {
 public:
  GrpcDiscoveryPeer(Stub::MakeChannel make_channel, TokenSource token, EventLoop& loop)
      : token_(std::move(token)),
        stub_(std::make_shared<Stub>(std::move(make_channel))),
        loop_(loop),
        streams_(stub_, token_, loop) {}

  ~GrpcDiscoveryPeer() override {
    if (release_ != nullptr) {
      release_->done = nullptr;
      release_->context.TryCancel();
    }
    open_calls_->WaitForNone();
  }

  SyncStreamFactory& streams() override { return streams_; }

  void Release(const pb::ReleaseRequest& request,
               absl::AnyInvocable<void(absl::Status)> done) override {
    auto call = std::make_shared<ReleaseCall>();
    call->request = request;
    call->done = std::move(done);
    AddToken(token_, call->context);
    call->context.set_deadline(absl::ToChronoTime(loop_.clock().Now() + kReleaseTimeout));
    release_ = call;
    open_calls_->Add();
    ReleaseCall& c = *call;
    // The call is released on the loop: its context may have the channel's last reference.
    stub_->ForNextCall().async()->Release(
        &c.context, &c.request, &c.response,
        [&loop = loop_, open_calls = open_calls_,
         call = std::move(call)](const grpc::Status& status) mutable {
          loop.Post([call = std::move(call), status = FromGrpc(status)] {
            if (auto tell = std::move(call->done)) tell(status);
          });
          open_calls->Remove();
        });
  }

 private:
  struct ReleaseCall {
    grpc::ClientContext context;
    pb::ReleaseRequest request;
    pb::ReleaseResponse response;
    absl::AnyInvocable<void(absl::Status)> done;  // the loop's; null: nobody waits for it
  };

  const TokenSource token_;
  const std::shared_ptr<Stub> stub_;
  EventLoop& loop_;
  SyncStreams streams_;
  const std::shared_ptr<OpenCalls> open_calls_ = std::make_shared<OpenCalls>();
  std::shared_ptr<ReleaseCall> release_;  // the newest
};

}  // namespace

GrpcDiscoveryPeers::GrpcDiscoveryPeers(Options options, EventLoop& loop)
    : options_(std::move(options)), loop_(loop) {}

std::unique_ptr<DiscoveryPeer> GrpcDiscoveryPeers::Connect(const std::string& address) {
  return std::make_unique<GrpcDiscoveryPeer>(
      [address, credentials = options_.credentials] { return MakeChannel(address, credentials); },
      options_.token, loop_);
}

}  // namespace trawl

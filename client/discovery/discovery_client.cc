#include "client/discovery/discovery_client.h"

#include <utility>

#include "absl/synchronization/notification.h"

namespace trawl {

namespace {

std::shared_ptr<grpc::ChannelCredentials> CredentialsOf(const DiscoveryClient::Options& options) {
  return options.credentials != nullptr ? options.credentials : grpc::InsecureChannelCredentials();
}

std::function<std::string()> TokenOf(const DiscoveryClient::Options& options) {
  if (options.read_token) return options.read_token;
  return [token = options.token] { return token; };
}

}  // namespace

absl::StatusOr<std::unique_ptr<DiscoveryClient>> DiscoveryClient::Start(Options options) {
  if (options.source.empty()) return absl::InvalidArgumentError("a source is required");
  if (options.addresses.empty()) {
    return absl::InvalidArgumentError("no trawld is given: at least one address is needed");
  }
  return std::unique_ptr<DiscoveryClient>(new DiscoveryClient(std::move(options)));
}

DiscoveryClient::DiscoveryClient(Options options)
    : options_(std::move(options)), thread_(clock_, "pusher") {
  Pusher::Options pusher;
  pusher.identity = {options_.source, options_.instance, options_.fencing_token, options_.lease};
  pusher.session = options_.session;
  thread_.loop().Post([this, pusher = std::move(pusher)] {
    EventLoop& loop = thread_.loop();
    peers_ = std::make_unique<GrpcDiscoveryPeers>(
        GrpcDiscoveryPeers::Options{CredentialsOf(options_), TokenOf(options_)}, loop);
    pusher_ = std::make_unique<Pusher>(pusher, Pusher::Deps{loop, random_, *peers_, *this});
    pusher_->SetTrawlds({options_.addresses, options_.replicas}, options_.leaving).IgnoreError();
  });
}

// On its thread, where no call of gRPC runs: there all channels and streams end.
DiscoveryClient::~DiscoveryClient() {
  absl::Notification gone;
  thread_.loop().Post([this, &gone] {
    pusher_.reset();
    peers_.reset();
    gone.Notify();
  });
  gone.WaitForNotification();
  thread_.Shutdown();
}

void DiscoveryClient::Run(std::function<void(Pusher& pusher)> task) {
  thread_.loop().Post([this, task = std::move(task)] { task(*pusher_); });
}

absl::Status DiscoveryClient::Replace(std::vector<discovery::v1::TargetGroup> groups,
                                      const Pusher::ChangeOptions& change) {
  absl::Status checked = Pusher::CheckGroups(groups);
  if (!checked.ok()) return checked;
  Run([groups = std::move(groups), change](Pusher& pusher) mutable {
    pusher.Replace(std::move(groups), change).IgnoreError();
  });
  return absl::OkStatus();
}

absl::Status DiscoveryClient::Update(std::vector<discovery::v1::TargetGroup> upsert,
                                     std::vector<GroupId> remove,
                                     const Pusher::ChangeOptions& change) {
  absl::Status checked = Pusher::CheckGroups(upsert);
  if (!checked.ok()) return checked;
  Run([upsert = std::move(upsert), remove = std::move(remove), change](Pusher& pusher) mutable {
    pusher.Update(std::move(upsert), remove, change).IgnoreError();
  });
  return absl::OkStatus();
}

absl::Status DiscoveryClient::SetTrawlds(std::vector<std::string> addresses, size_t replicas,
                                         std::vector<std::string> leaving) {
  if (addresses.empty()) {
    return absl::InvalidArgumentError("no trawld is given: at least one address is needed");
  }
  Run([division = Division(std::move(addresses), replicas), leaving = std::move(leaving)](
          Pusher& pusher) { pusher.SetTrawlds(division, leaving).IgnoreError(); });
  return absl::OkStatus();
}

void DiscoveryClient::SetFencingToken(std::optional<uint64_t> token) {
  Run([token](Pusher& pusher) { pusher.SetFencingToken(token); });
}

void DiscoveryClient::OnPusherChanged() {
  auto status = std::make_shared<const PusherStatus>(pusher_->Snapshot());
  status_.Set(status);
  if (options_.on_changed) options_.on_changed(*status);
}

}  // namespace trawl

#include "tests/client/discovery/test_trawld.h"

#include <utility>
#include <variant>

#include "server/discovery_conversions.h"

namespace trawl {

namespace pb = discovery::v1;

// One Sync stream: the client's end and the session's peer. Kept by the trawld until the session
// is gone.
class TestTrawld::Call final : public SyncPeer, public std::enable_shared_from_this<Call> {
 public:
  Call(TestTrawld& trawld, SyncStream::Observer& observer)
      : loop_(trawld.loop_), labels_(trawld.labels_), observer_(&observer) {}

  void Open(Discovery& discovery) {
    discovery_ = &discovery;
    id_ = discovery.NextStreamId();
    discovery.OpenStreamAsync(id_, *this);
  }
  void Write(const pb::SyncRequest& request) {
    loop_.Post([self = shared_from_this(), request] {
      if (self->discovery_ == nullptr || self->observer_ == nullptr) return;
      self->discovery_->StreamMessageAsync(self->id_, ToSyncInput(request, "test"));
      self->observer_->OnWritten();
    });
  }
  void Abandon() {
    observer_ = nullptr;
    Leave();
  }
  void Break(const absl::Status& status) {
    Leave();
    loop_.Post([self = shared_from_this(), status] {
      if (auto* observer = std::exchange(self->observer_, nullptr)) observer->OnClosed(status);
    });
  }

  // SyncPeer
  void Send(SyncOutput output) override {
    loop_.Post([self = shared_from_this(), response = ToResponse(output)] {
      if (self->observer_ != nullptr && self->discovery_ != nullptr) {
        self->observer_->OnMessage(response);
      }
    });
  }
  void Finish(absl::Status status) override {
    loop_.Post([self = shared_from_this(), status = std::move(status)] {
      if (self->discovery_ != nullptr) self->Break(status);
    });
  }

 private:
  void Leave() {
    Discovery* const discovery = std::exchange(discovery_, nullptr);
    if (discovery != nullptr) discovery->CloseStreamAsync(id_, [self = shared_from_this()] {});
  }

  pb::SyncResponse ToResponse(const SyncOutput& output) const {
    pb::SyncResponse response;
    if (const auto* welcome = std::get_if<SyncWelcome>(&output.message)) {
      AddWelcome(welcome->hello, *response.mutable_welcome());
    } else if (const auto* ack = std::get_if<SyncAck>(&output.message)) {
      *response.mutable_ack() = ToProto(*ack);
    } else if (const auto* resync = std::get_if<SyncResync>(&output.message)) {
      *response.mutable_resync() = ToProto(*resync);
    } else if (const auto* goaway = std::get_if<SyncGoaway>(&output.message)) {
      *response.mutable_goaway() = ToProto(*goaway);
    } else if (const auto* want = std::get_if<SyncWant>(&output.message)) {
      *response.mutable_want() = ToProto(*want);
    }
    return response;
  }

  void AddWelcome(const HelloResult& hello, pb::Welcome& welcome) const {
    welcome.set_need(static_cast<pb::Welcome::Need>(hello.need));
    welcome.set_applied_version(hello.applied_version);
    welcome.set_history_id(hello.history_id);
    for (const Issue& issue : hello.refused) *welcome.add_refused() = RefusedToProto(issue);
    welcome.set_max_in_flight(4);
    welcome.set_max_message_bytes(1 << 20);
    welcome.mutable_heartbeat_interval()->set_seconds(10);
    for (const auto& [name, value] : labels_) (*welcome.mutable_external_labels())[name] = value;
    *welcome.mutable_counts() = ToProto(hello.counts);
  }

  FakeEventLoop& loop_;
  const std::map<std::string, std::string> labels_;
  SyncStream::Observer* observer_;  // null: the client has let go
  Discovery* discovery_ = nullptr;  // null: broken
  uint64_t id_ = 0;
};

class TestTrawld::Peer final : public DiscoveryPeer, private SyncStreamFactory {
 public:
  explicit Peer(TestTrawld& trawld) : trawld_(trawld) {}
  ~Peer() override { *alive_ = false; }

  SyncStreamFactory& streams() override { return *this; }

  void Release(const pb::ReleaseRequest& request,
               absl::AnyInvocable<void(absl::Status)> done) override {
    auto tell = [alive = alive_, done = std::move(done)](const absl::Status& status) mutable {
      if (*alive) done(status);
    };
    if (!trawld_.reachable_) {
      trawld_.loop_.Post([tell = std::move(tell)]() mutable {
        tell(absl::UnavailableError("connection refused"));
      });
      return;
    }
    TargetSets::ReleaseOptions options;
    options.remove_targets = request.remove_targets();
    trawld_.discovery_->ReleaseAsync(
        request.source(), options,
        [tell = std::move(tell)](const absl::StatusOr<ApplyResult>& result) mutable {
          tell(result.status());
        });
  }

 private:
  class Stream final : public SyncStream {
   public:
    explicit Stream(std::shared_ptr<Call> call) : call_(std::move(call)) {}
    ~Stream() override { call_->Abandon(); }
    void Write(pb::SyncRequest message) override { call_->Write(message); }
    void HalfClose() override {}
    void Cancel() override { call_->Break(absl::CancelledError("cancelled")); }

   private:
    const std::shared_ptr<Call> call_;
  };

  std::unique_ptr<SyncStream> Open(SyncStream::Observer& observer) override {
    auto call = std::make_shared<Call>(trawld_, observer);
    if (trawld_.reachable_) {
      call->Open(*trawld_.discovery_);
      trawld_.calls_.insert(call);
    } else {
      call->Break(absl::UnavailableError("connection refused"));
    }
    return std::make_unique<Stream>(std::move(call));
  }

  TestTrawld& trawld_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

TestTrawld::TestTrawld(FakeEventLoop& loop, std::map<std::string, std::string> labels)
    : loop_(loop), labels_(std::move(labels)) {
  MakeDiscovery();
}

TestTrawld::~TestTrawld() {
  Kill();
  loop_.RunUntilIdle();
}

void TestTrawld::MakeDiscovery() {
  discovery_ = std::make_unique<Discovery>(
      Discovery::Options(), Discovery::Deps{loop_,
                                            [](const std::shared_ptr<const DesiredTargets>&,
                                               absl::AnyInvocable<void()> done) { done(); },
                                            metrics_});
  discovery_->SetKnownJobsAsync({"node", "mysql"}, {});
  loop_.RunUntilIdle();
}

void TestTrawld::SetReachable(bool reachable) {
  if (!reachable) Kill();
  reachable_ = reachable;
}

void TestTrawld::Kill() {
  for (const auto& call : std::exchange(calls_, {})) {
    call->Break(absl::UnavailableError("connection reset"));
  }
}

void TestTrawld::LoseDisk() {
  Kill();
  loop_.RunUntilIdle();
  MakeDiscovery();
}

std::set<std::pair<std::string, std::string>> TestTrawld::Targets(const std::string& source) const {
  std::set<std::pair<std::string, std::string>> targets;
  for (const auto& view : discovery_->sets().Groups(source, "", {}, SIZE_MAX)) {
    if (view.group == nullptr) continue;  // all of it is held
    for (const std::string& target : view.group->targets) targets.insert({view.name.job, target});
  }
  return targets;
}

uint64_t TestTrawld::ListedTargets(const std::string& source) const {
  const std::optional<SourceCounts> counts = discovery_->sets().CountsOf(source);
  return counts ? counts->targets : 0;
}

std::unique_ptr<DiscoveryPeer> TestTrawld::Connect() { return std::make_unique<Peer>(*this); }

// Finds its trawld anew for each stream and call.
class TestTrawlds::Peer final : public DiscoveryPeer, private SyncStreamFactory {
 public:
  Peer(TestTrawlds& trawlds, std::string address)
      : trawlds_(trawlds), address_(std::move(address)) {}

  SyncStreamFactory& streams() override { return *this; }
  void Release(const pb::ReleaseRequest& request,
               absl::AnyInvocable<void(absl::Status)> done) override {
    Reached().Release(request, std::move(done));
  }

 private:
  std::unique_ptr<SyncStream> Open(SyncStream::Observer& observer) override {
    return Reached().streams().Open(observer);
  }
  DiscoveryPeer& Reached() {
    TestTrawld& trawld = trawlds_.Reached(address_);
    auto& peer = peers_[&trawld];
    if (peer == nullptr) peer = trawld.Connect();
    return *peer;
  }

  TestTrawlds& trawlds_;
  const std::string address_;
  std::map<TestTrawld*, std::unique_ptr<DiscoveryPeer>> peers_;
};

std::unique_ptr<DiscoveryPeer> TestTrawlds::Connect(const std::string& address) {
  return std::make_unique<Peer>(*this, address);
}

TestTrawld& TestTrawlds::Reached(const std::string& address) {
  const auto lead = leads_.find(address);
  return at(lead == leads_.end() ? address : lead->second);
}

TestTrawld& TestTrawlds::at(const std::string& address) {
  if (!trawlds_.contains(address)) Add(address, {{"trawld", address}});
  return *trawlds_.at(address);
}

void TestTrawlds::Add(const std::string& address, std::map<std::string, std::string> labels) {
  trawlds_[address] = std::make_unique<TestTrawld>(loop_, std::move(labels));
}

}  // namespace trawl

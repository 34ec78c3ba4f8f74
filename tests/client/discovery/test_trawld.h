#pragma once

#include <prometheus/registry.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "client/discovery/discovery_peer.h"
#include "core/discovery/discovery.h"
#include "core/telemetry/discovery_metrics.h"
#include "tests/fakes/fake_event_loop.h"

namespace trawl {

// A trawld's discovery service in this process and in virtual time: the real core, the real
// conversions, and no gRPC. It can be out of reach, be killed, and lose its disk.
class TestTrawld {
 public:
  TestTrawld(FakeEventLoop& loop, std::map<std::string, std::string> labels);
  ~TestTrawld();

  // Streams break and calls fail, as long as it is not.
  void SetReachable(bool reachable);
  bool reachable() const { return reachable_; }
  // Streams break; what was applied is there.
  void Kill();
  void LoseDisk();

  // (job, address) of all that `source` has here, without what is held.
  std::set<std::pair<std::string, std::string>> Targets(const std::string& source) const;
  uint64_t ListedTargets(const std::string& source) const;  // repeated ones count
  Discovery& discovery() { return *discovery_; }

  std::unique_ptr<DiscoveryPeer> Connect();

 private:
  class Call;
  class Peer;

  void MakeDiscovery();

  FakeEventLoop& loop_;
  const std::map<std::string, std::string> labels_;
  prometheus::Registry registry_;
  DiscoveryMetrics metrics_{registry_};
  bool reachable_ = true;
  std::unique_ptr<Discovery> discovery_;
  std::set<std::shared_ptr<Call>> calls_;
};

// TestTrawlds by address.
class TestTrawlds final : public DiscoveryPeers {
 public:
  explicit TestTrawlds(FakeEventLoop& loop) : loop_(loop) {}

  // Made when first named; its external label is its address.
  TestTrawld& at(const std::string& address);
  void Add(const std::string& address, std::map<std::string, std::string> labels);
  // Streams and calls to `address` reach the trawld of `to` from now on.
  void Lead(const std::string& address, const std::string& to) { leads_[address] = to; }
  std::unique_ptr<DiscoveryPeer> Connect(const std::string& address) override;

 private:
  class Peer;
  TestTrawld& Reached(const std::string& address);

  FakeEventLoop& loop_;
  std::map<std::string, std::unique_ptr<TestTrawld>> trawlds_;
  std::map<std::string, std::string> leads_;  // address → another's
};

}  // namespace trawl

#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/discovery/discovery.h"
#include "core/discovery/state_store.h"
#include "core/telemetry/metrics.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {

// A Sync client that remembers what it was told.
class RecordingSyncPeer final : public SyncPeer {
 public:
  void Send(SyncOutput output) override { sent.push_back(std::move(output)); }
  void Finish(absl::Status s) override { status = std::move(s); }

  template <typename T>
  std::optional<T> Last() const {
    for (auto it = sent.rbegin(); it != sent.rend(); ++it) {
      if (const T* message = std::get_if<T>(&it->message)) return *message;
    }
    return std::nullopt;
  }

  std::vector<SyncOutput> sent;
  std::optional<absl::Status> status;  // set: the stream ended
};

// Discovery over its logs on a disk that forgets, fills up, and is cut off; in virtual time.
class DiscoveryWorld {
 public:
  explicit DiscoveryWorld(Discovery::Options o = {}) : options(std::move(o)) {
    EXPECT_THAT(files.CreateDirectory("data"), IsOk());
    Start();
  }

  void Stop() {
    discovery.reset();
    store.reset();
  }
  void Start() {
    Stop();
    desired.clear();
    store =
        std::make_unique<StateStore>(StateStore::Options{"data/discovery", {.reserve_bytes = 0}},
                                     StateStore::Deps{files, metrics});
    const auto reconcile = [this](std::shared_ptr<const DesiredTargets> targets,
                                  absl::AnyInvocable<void()> done) {
      desired[targets->job] = targets;
      done();
    };
    discovery = std::make_unique<Discovery>(options,
                                            Discovery::Deps{loop, reconcile, metrics, store.get()});
    auto restored = store->Recover();
    ASSERT_THAT(restored, IsOk());
    discovery->Restore(*std::move(restored), store->last_running());
    discovery->SetKnownJobsAsync(jobs, {});
    loop.RunUntilIdle();
  }
  void LosePowerAndStart() {
    Stop();
    files.LosePower();
    Start();
  }

  ApplyResult Apply(Change change) {
    std::optional<ApplyResult> answer;
    discovery->ApplyAsync(std::move(change), [&](ApplyResult result) { answer = result; });
    loop.RunUntilIdle();
    return answer.value_or(ApplyResult());
  }
  absl::StatusOr<ApplyResult> Release(const std::string& source,
                                      TargetSets::ReleaseOptions release) {
    absl::StatusOr<ApplyResult> answer;
    discovery->ReleaseAsync(source, release,
                            [&](absl::StatusOr<ApplyResult> result) { answer = result; });
    loop.RunUntilIdle();
    return answer;
  }
  absl::StatusOr<ApplyResult> Accept(const std::string& source,
                                     TargetSets::AcceptOptions::What what,
                                     std::vector<std::string> only = {}, bool dry_run = false) {
    absl::StatusOr<ApplyResult> answer;
    discovery->AcceptHeldAsync(source, {what, std::move(only), dry_run},
                               [&](absl::StatusOr<ApplyResult> result) { answer = result; });
    loop.RunUntilIdle();
    return answer;
  }

  void Say(uint64_t stream, SyncInput input) {
    discovery->StreamMessageAsync(stream, std::move(input));
    loop.RunUntilIdle();
  }
  void SayHello(uint64_t stream, RecordingSyncPeer& peer, StreamHello hello) {
    discovery->OpenStreamAsync(stream, peer);
    Say(stream, {1, std::move(hello)});
  }
  // That a delta may follow.
  void SayEmptySnapshot(uint64_t stream, uint64_t version) {
    Say(stream, {2, SyncBegin{.version = version}});
    Say(stream, {3, SyncEnd{}});
  }
  void CloseStream(uint64_t stream) {
    discovery->CloseStreamAsync(stream, [] {});
    loop.RunUntilIdle();
  }

  // What is scraped of a job, in the order that the manager gets it.
  std::vector<std::string> Targets(const std::string& job = "node") const {
    std::vector<std::string> all;
    const auto it = desired.find(job);
    if (it == desired.end()) return all;
    for (const OwnedGroup& group : it->second->groups) {
      if (group.group->withheld) continue;
      all.insert(all.end(), group.group->targets.begin(), group.group->targets.end());
    }
    return all;
  }
  SourceView View(size_t n = 0) { return discovery->sets().Sources(discovery->Now()).at(n); }

  Discovery::Options options;
  std::vector<std::string> jobs = {"db", "node"};
  FakeEventLoop loop;
  MemFileSystem files;
  prometheus::Registry registry;
  DiscoveryMetrics metrics{registry};
  std::map<std::string, std::shared_ptr<const DesiredTargets>> desired;
  std::unique_ptr<StateStore> store;
  std::unique_ptr<Discovery> discovery;
};

}  // namespace trawl

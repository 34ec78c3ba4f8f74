#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/discovery/target_sets.h"

namespace trawl {

// Sets without a journal, in a moment that lasts; jobs "node" and "db" run.
class TargetSetsTest : public ::testing::Test {
 protected:
  TargetSetsTest() { sets_.SetKnownJobs({"node", "db"}); }

  static JobGroup Group(std::string job, std::string key, std::vector<std::string> targets,
                        Labels labels = {}) {
    return {std::move(job), {std::move(key), std::move(targets), std::move(labels)}};
  }
  static Change Push(std::string source, std::vector<JobGroup> groups) {
    Change change;
    change.source = std::move(source);
    change.scope = Change::Scope::kJobs;
    change.groups = std::move(groups);
    return change;
  }
  static Change Update(std::string source, std::vector<JobGroup> upsert,
                       std::vector<GroupName> remove = {}) {
    Change change;
    change.source = std::move(source);
    change.scope = Change::Scope::kGroups;
    change.groups = std::move(upsert);
    change.remove = std::move(remove);
    return change;
  }
  static Change Versioned(Change change, std::string history, uint64_t version) {
    change.history_id = std::move(history);
    change.version = version;
    return change;
  }

  ApplyResult Apply(const Change& change) {
    return sets_.Apply(change, {absl::UnixEpoch(), absl::ZeroDuration()});
  }
  std::vector<std::string> Addresses(const std::string& job) {
    std::vector<std::string> all;
    const std::shared_ptr<const DesiredTargets> desired = sets_.Desired(job);
    for (const OwnedGroup& group : desired->groups) {
      all.insert(all.end(), group.group->targets.begin(), group.group->targets.end());
    }
    return all;
  }
  static StreamHello HelloOf(std::string source) {
    StreamHello hello;
    hello.source = std::move(source);
    hello.history_id = "h";
    hello.stream_id = 1;
    return hello;
  }
  HelloResult Hello(uint64_t stream, std::string instance, std::optional<uint64_t> token = {},
                    std::string history = "h", uint64_t version = 0) {
    StreamHello hello = HelloOf("k8s");
    hello.instance = std::move(instance);
    hello.fencing_token = token;
    hello.history_id = std::move(history);
    hello.version = version;
    hello.stream_id = stream;
    return sets_.Hello(hello, {absl::UnixEpoch(), absl::ZeroDuration()});
  }

  // Of the stream that holds "k8s", which is opened if need be.
  Change Snapshot(uint64_t version, std::vector<JobGroup> groups) {
    Change change = OfStream(Push("k8s", std::move(groups)), version);
    change.scope = Change::Scope::kSource;
    return change;
  }
  Change Delta(uint64_t base, uint64_t version, std::vector<JobGroup> upsert) {
    Change change = OfStream(Update("k8s", std::move(upsert)), version);
    change.base_version = base;
    return change;
  }
  Change OfStream(Change change, uint64_t version) {
    if (sets_.Holder("k8s") == 0) Hello(1, "r1");
    change.stream_id = sets_.Holder("k8s");
    return Versioned(std::move(change), "h", version);
  }

  TargetSets sets_{TargetSets::Options{}};
};

}  // namespace trawl

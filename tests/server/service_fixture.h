#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/model/labels.h"
#include "core/scrape/pool_status.h"
#include "server/grpc_compat.h"

namespace trawl {

// A server without a port, with the given services and a channel to it.
class InProcessServer {
 public:
  explicit InProcessServer(const std::vector<grpc::Service*>& services) {
    grpc::ServerBuilder builder;
    SetServerDefaults(builder, 1 << 20);
    for (grpc::Service* service : services) builder.RegisterService(service);
    server_ = builder.BuildAndStart();
  }
  ~InProcessServer() { server_->Shutdown(); }

  std::shared_ptr<grpc::Channel> Channel() { return server_->InProcessChannel({}); }
  grpc::Server& server() { return *server_; }

 private:
  std::unique_ptr<grpc::Server> server_;
};

// A group of `source`, as a pool has it when nothing of it is built.
inline std::shared_ptr<PoolGroup> MakeGroup(const std::string& source,
                                            std::vector<std::string> targets) {
  auto group = std::make_shared<PoolGroup>();
  group->origin = std::make_shared<const GroupOrigin>(GroupOrigin{source, "0", {}});
  group->group = std::make_shared<const TargetGroup>(TargetGroup{"0", std::move(targets), {}});
  return group;
}

// An active target of `job` at http://HOST/metrics, as the manager publishes it.
inline std::shared_ptr<ActiveTarget> MakeTarget(const std::string& job, const std::string& host,
                                                const std::string& source = "static") {
  auto target = std::make_shared<Target>();
  target->url = "http://" + host + "/metrics";
  target->hash = std::hash<std::string>()(host);
  target->labels = std::make_shared<const Labels>(Labels{{"instance", host}, {"job", job}});
  target->public_hash = target->labels->Hash();
  target->interval = absl::Seconds(15);
  target->timeout = absl::Seconds(10);
  target->interval_text = "15s";
  target->timeout_text = "10s";
  auto active = std::make_shared<ActiveTarget>();
  active->owners.push_back(
      {std::make_shared<const GroupOrigin>(GroupOrigin{source, "0", {}}), host});
  active->target = std::move(target);
  active->status = std::make_shared<TargetStatus>();
  return active;
}

// The same with other labels.
inline std::shared_ptr<ActiveTarget> WithLabels(std::shared_ptr<ActiveTarget> active,
                                                const Labels& labels) {
  auto target = std::make_shared<Target>(*active->target);
  target->labels = std::make_shared<const Labels>(labels);
  target->public_hash = labels.Hash();
  active->target = std::move(target);
  return active;
}

// The same with what its last scrape came to.
inline std::shared_ptr<ActiveTarget> WithReport(std::shared_ptr<ActiveTarget> target,
                                                ScrapeReport report) {
  auto status = std::make_shared<TargetStatus>();
  status->Set(std::move(report));
  target->status = std::move(status);
  return target;
}

inline std::shared_ptr<PoolStatus> MakePool(
    const std::string& job, std::vector<std::shared_ptr<const ActiveTarget>> active) {
  auto config = std::make_shared<ScrapeConfig>();
  config->job_name = job;
  config->scrape_interval = absl::Seconds(15);
  config->scrape_timeout = absl::Seconds(10);
  auto pool = std::make_shared<PoolStatus>();
  pool->job = job;
  pool->config = std::move(config);
  pool->scrape_interval = absl::Seconds(15);
  pool->scrape_timeout = absl::Seconds(10);
  for (const auto& target : active) {
    const TargetOwner& owner = target->owners.front();
    ++pool->sources[owner.group->source].active;
    pool->groups = pool->groups.Edit({}, {MakeGroup(owner.group->source, {owner.address})});
  }
  pool->active = std::move(active);
  return pool;
}

// The same pool with another group, whose targets a rule dropped: relabel_configs[2] (keep).
inline std::shared_ptr<PoolStatus> WithDropped(std::shared_ptr<PoolStatus> pool,
                                               const std::string& source,
                                               const std::vector<std::string>& hosts) {
  auto config = std::make_shared<ScrapeConfig>(*pool->config);
  config->relabel_configs.resize(3);
  config->relabel_configs[2].action = RelabelAction::kKeep;
  pool->config = std::move(config);
  auto group = MakeGroup(source, hosts);
  for (uint32_t i = 0; i < hosts.size(); ++i) {
    const Labels labels = DiscoveredLabels(*pool->config, hosts[i], {});
    group->built.dropped.push_back({labels.Hash(), i, DropReason::kRelabel, 2});
  }
  pool->dropped_count += hosts.size();
  ++pool->sources[source].groups;
  pool->groups = pool->groups.Edit({}, {group});
  return pool;
}

}  // namespace trawl

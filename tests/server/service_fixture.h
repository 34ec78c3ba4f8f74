#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/model/labels.h"
#include "core/scrape/target_status.h"
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

// An active target of `job` at http://HOST/metrics, as the manager publishes it.
inline std::shared_ptr<ActiveTarget> MakeTarget(const std::string& job, const std::string& host,
                                                const std::string& source = "static") {
  auto target = std::make_shared<ActiveTarget>();
  target->job = job;
  target->url = "http://" + host + "/metrics";
  target->hash = std::hash<std::string>()(host);
  target->labels = Labels{{"instance", host}, {"job", job}};
  target->discovered_labels = Labels{{"__address__", host}, {"job", job}};
  target->scrape_interval = "15s";
  target->scrape_timeout = "10s";
  target->sources = {source};
  target->status = std::make_shared<TargetStatus>();
  return target;
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
  auto pool = std::make_shared<PoolStatus>();
  pool->job = job;
  pool->active = std::move(active);
  pool->scrape_interval = absl::Seconds(15);
  pool->scrape_timeout = absl::Seconds(10);
  return pool;
}

}  // namespace trawl

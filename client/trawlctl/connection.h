#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "trawl/discovery/v1/discovery.grpc.pb.h"
#include "trawl/status/v1/status.grpc.pb.h"

namespace trawl {

// trawlctl's connection to one trawld. Calls block, with a deadline each. One thread.
class Connection {
 public:
  struct Options {
    std::string address = "127.0.0.1:8729";
    absl::Duration timeout = absl::Seconds(10);
  };

  explicit Connection(const Options& options);

  discovery::v1::DiscoveryService::Stub& discovery() { return *discovery_; }
  status::v1::StatusService::Stub& status() { return *status_; }

  // Calls `(stub.*method)(context, request, &response)`; an error carries the server's words, and
  // for one that can't be reached its address.
  template <typename Stub, typename Request, typename Response>
  absl::Status Call(Stub& stub,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response& response) {
    grpc::ClientContext context;
    Prepare(context);
    return Translate((stub.*method)(&context, request, &response));
  }

 private:
  void Prepare(grpc::ClientContext& context) const;
  absl::Status Translate(const grpc::Status& status) const;

  const Options options_;
  std::unique_ptr<discovery::v1::DiscoveryService::Stub> discovery_;
  std::unique_ptr<status::v1::StatusService::Stub> status_;
};

}  // namespace trawl

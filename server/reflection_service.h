#pragma once

#include <grpcpp/impl/codegen/service_type.h>

#include <memory>
#include <string>
#include <vector>

namespace trawl {

// Server reflection, v1 and v1alpha by the same code, over the descriptors that are linked in:
// what `grpcurl list` and `describe` ask. A callback service: gRPC's own plug-in is a synchronous
// one, and a server with any of those can be made to start threads without bound.
//
// Thread-safe. Register both services; they must outlive the server.
class ReflectionService {
 public:
  // `services` are the full names that are listed; reflection's own are added. Each must be in
  // the generated descriptor pool (health's by linking trawl::health_pb, see the constructor).
  explicit ReflectionService(std::vector<std::string> services);
  ~ReflectionService();

  grpc::Service& v1() { return *v1_; }
  grpc::Service& v1alpha() { return *v1alpha_; }

  // grpc.health.v1.Health; makes sure that its descriptors are linked in.
  static std::string HealthServiceName();

 private:
  const std::vector<std::string> services_;  // sorted
  std::unique_ptr<grpc::Service> v1_;
  std::unique_ptr<grpc::Service> v1alpha_;
};

}  // namespace trawl

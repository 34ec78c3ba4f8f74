#pragma once

#include <grpcpp/server_context.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "server/access/access_policy.h"
#include "server/access/tokens.h"

namespace trawl {

// Whoever calls on the gRPC port, and what it may do there: the policy over what gRPC knows of a
// call. A name is proved by a client certificate that the port's CA signed (its common name and
// each subjectAltName), or by `authorization: Bearer TOKEN`.
//
// Thread-safe.
class AccessControl {
 public:
  // Without tokens every bearer token is unknown. `tokens` outlives the object.
  explicit AccessControl(AccessPolicy policy = AccessPolicy(), const TokenFile* tokens = nullptr);

  const AccessPolicy& policy() const { return policy_; }

  // A token that is not known is kUnauthenticated, whatever the certificate proves.
  absl::StatusOr<Caller> Identify(const grpc::ServerContextBase& context) const;

  // Identify, then the policy's word.
  absl::Status CheckView(const grpc::ServerContextBase& context) const;
  absl::Status CheckOperate(const grpc::ServerContextBase& context) const;

 private:
  const AccessPolicy policy_;
  const TokenFile* const tokens_;
};

}  // namespace trawl

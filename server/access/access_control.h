#pragma once

#include <grpcpp/server_context.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "core/discovery/change.h"
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
  // Without `tokens` a bearer token proves nothing and is not looked at. They outlive the object.
  explicit AccessControl(AccessPolicy policy = AccessPolicy(), const TokenFile* tokens = nullptr);

  const AccessPolicy& policy() const { return policy_; }

  // Where there are tokens, one that is not known is kUnauthenticated, whatever the certificate
  // proves.
  absl::StatusOr<Caller> Identify(const grpc::ServerContextBase& context) const;

  // Identify, then the policy's word. As the policy's methods of these names.
  absl::Status CheckView(const grpc::ServerContextBase& context) const;
  absl::Status CheckOperate(const grpc::ServerContextBase& context) const;
  // A viewer; or who may push this source.
  absl::Status CheckViewSource(const grpc::ServerContextBase& context,
                               const std::string& source) const;
  // Which jobs the caller may write for a source; null: all. The object must outlive it.
  std::shared_ptr<const JobFilter> MayWrite(const Caller& caller, const std::string& source) const;

 private:
  const AccessPolicy policy_;
  const TokenFile* const tokens_;
};

}  // namespace trawl

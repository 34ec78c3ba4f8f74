#pragma once

#include <grpcpp/server_context.h>

#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/mutex.h"
#include "core/discovery/change.h"
#include "server/access/access_policy.h"
#include "server/access/tokens.h"

namespace trawl {

// A call that stays open, and may outlive what proved its caller's name.
class OpenStream {
 public:
  // Any thread; also again, when it is over already.
  virtual void End(const absl::Status& why) = 0;

 protected:
  ~OpenStream() = default;
};

// Whoever calls on the gRPC port, and what it may do there: the policy over what gRPC knows of a
// call. A name is proved by a client certificate that the port's CA signed (its common name and
// each subjectAltName), or by `authorization: Bearer TOKEN`.
//
// A stream that entered ends with kUnauthenticated when its token is known no more, or stands for
// another name.
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

  // From here on `stream`, of this call and caller, is ended when the caller is another by now.
  // Until Leave; `context` lives until then, and no lock that End takes is held in either.
  void Enter(OpenStream& stream, const grpc::ServerContextBase& context, Caller caller);
  void Leave(OpenStream& stream);
  // Ends them; after the tokens were read again.
  void EndUnproved();

 private:
  struct Entry {
    const grpc::ServerContextBase* context;
    Caller caller;
  };
  void EndIfUnproved(OpenStream& stream, const Entry& entry) const;

  const AccessPolicy policy_;
  const TokenFile* const tokens_;
  // Held while streams are ended: one that is in there lives until it leaves.
  Mutex mutex_;
  absl::flat_hash_map<OpenStream*, Entry> streams_ TRAWL_GUARDED_BY(mutex_);
};

}  // namespace trawl

#include "server/access/access_control.h"

#include <grpc/grpc_security_constants.h>

#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

void AddNames(const grpc::AuthContext& auth, const char* property, Caller& caller) {
  for (const grpc::string_ref& name : auth.FindPropertyValues(property)) {
    if (!name.empty()) caller.names.emplace_back(name.data(), name.size());
  }
}

}  // namespace

AccessControl::AccessControl(AccessPolicy policy, const TokenFile* tokens)
    : policy_(std::move(policy)), tokens_(tokens) {}

absl::StatusOr<Caller> AccessControl::Identify(const grpc::ServerContextBase& context) const {
  constexpr std::string_view kBearer = "Bearer ";
  Caller caller;
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  if (auth != nullptr && auth->IsPeerAuthenticated()) {
    AddNames(*auth, GRPC_X509_CN_PROPERTY_NAME, caller);
    AddNames(*auth, GRPC_X509_SAN_PROPERTY_NAME, caller);
  }
  const auto header = context.client_metadata().find("authorization");
  if (header == context.client_metadata().end() || tokens_ == nullptr) return caller;
  const std::string_view value(header->second.data(), header->second.size());
  if (value.size() <= kBearer.size() ||
      !absl::EqualsIgnoreCase(value.substr(0, kBearer.size()), kBearer)) {
    return absl::UnauthenticatedError("authorization: want Bearer TOKEN");
  }
  std::string name = tokens_->Get()->NameOf(value.substr(kBearer.size()));
  if (name.empty()) return absl::UnauthenticatedError("the token is not known");
  caller.names.push_back(std::move(name));
  return caller;
}

absl::Status AccessControl::CheckView(const grpc::ServerContextBase& context) const {
  ASSIGN_OR_RETURN(const Caller caller, Identify(context));
  return policy_.MayView(caller);
}

absl::Status AccessControl::CheckOperate(const grpc::ServerContextBase& context) const {
  ASSIGN_OR_RETURN(const Caller caller, Identify(context));
  return policy_.MayOperate(caller);
}

absl::Status AccessControl::CheckViewSource(const grpc::ServerContextBase& context,
                                            const std::string& source) const {
  ASSIGN_OR_RETURN(const Caller caller, Identify(context));
  absl::Status view = policy_.MayView(caller);
  return view.ok() || source.empty() || !policy_.MayPush(caller, source).ok() ? view
                                                                              : absl::OkStatus();
}

void AccessControl::Enter(OpenStream& stream, const grpc::ServerContextBase& context,
                          Caller caller) {
  if (tokens_ == nullptr) return;
  MutexLock lock(mutex_);
  const Entry& entry =
      streams_.insert_or_assign(&stream, Entry{&context, std::move(caller)}).first->second;
  // The tokens may have been read again since the caller was identified.
  EndIfUnproved(stream, entry);
}

void AccessControl::Leave(OpenStream& stream) {
  MutexLock lock(mutex_);
  streams_.erase(&stream);
}

void AccessControl::EndUnproved() {
  MutexLock lock(mutex_);
  for (const auto& [stream, entry] : streams_) EndIfUnproved(*stream, entry);
}

void AccessControl::EndIfUnproved(OpenStream& stream, const Entry& entry) const {
  const absl::StatusOr<Caller> now = Identify(*entry.context);
  if (!now.ok()) {
    stream.End(absl::UnauthenticatedError("the token of this stream is not known any more"));
  } else if (now->names != entry.caller.names) {
    stream.End(absl::UnauthenticatedError("the token of this stream stands for another name now"));
  }
}

std::shared_ptr<const JobFilter> AccessControl::MayWrite(const Caller& caller,
                                                         const std::string& source) const {
  if (policy_.open()) return nullptr;
  return std::make_shared<const JobFilter>([this, caller, source](std::string_view job) {
    return policy_.MayPushInto(caller, source, job);
  });
}

}  // namespace trawl

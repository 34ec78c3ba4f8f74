#include "server/access/access_files.h"

#include "absl/memory/memory.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"

namespace trawl {

absl::StatusOr<std::unique_ptr<AccessFiles>> AccessFiles::Open(const Options& options,
                                                               const Deps& deps) {
  auto access = absl::WrapUnique(new AccessFiles(deps.metrics));
  if (options.rpc_tls.enabled()) {
    ASSIGN_OR_RETURN(access->certificates_, RpcCertificates::Open(deps.files, options.rpc_tls));
  }
  if (!options.token_file.empty()) {
    ASSIGN_OR_RETURN(access->tokens_, TokenFile::Open(deps.files, options.token_file));
  }
  // With tokens, or certificates that may be left out, there are callers that prove nothing.
  access->control_ = std::make_unique<AccessControl>(
      AccessPolicy(options.rules, access->tokens_ != nullptr), access->tokens_.get());
  ASSIGN_OR_RETURN(access->web_guard_, WebGuard::Open(deps.files, options.web_config_file));
  access->ListReadings(options);
  return access;
}

void AccessFiles::ListReadings(const Options& options) {
  if (certificates_ != nullptr) {
    readings_.push_back({"grpc_tls", [this] { return certificates_->Refresh(); }, ""});
  }
  if (tokens_ != nullptr) {
    readings_.push_back({"grpc_tokens", [this] { return RefreshTokens(); }, ""});
  }
  if (!options.web_config_file.empty()) {
    readings_.push_back({"web_config", [this] { return web_guard_->Refresh(); }, ""});
  }
}

absl::Status AccessFiles::RefreshTokens() {
  RETURN_IF_ERROR(tokens_->Refresh());
  control_->EndUnproved();
  return absl::OkStatus();
}

void AccessFiles::Refresh() {
  for (Reading& reading : readings_) {
    const absl::Status status = reading.again();
    metrics_.access_last_reload_successful.Set({reading.what}, status.ok() ? 1 : 0);
    const std::string error(status.message());
    if (!status.ok() && error != reading.last_error) {
      LogError("Files could not be read again: what was read last stays in use",
               {{"files", reading.what}, {"err", status}});
    }
    reading.last_error = error;
  }
}

std::shared_ptr<grpc::ServerCredentials> AccessFiles::MakeRpcCredentials() const {
  return certificates_ == nullptr ? grpc::InsecureServerCredentials()
                                  : certificates_->MakeCredentials();
}

}  // namespace trawl

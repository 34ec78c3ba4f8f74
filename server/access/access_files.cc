#include "server/access/access_files.h"

#include "absl/memory/memory.h"
#include "core/base/status_macros.h"

namespace trawl {

absl::StatusOr<std::unique_ptr<AccessFiles>> AccessFiles::Open(FileSystem& files,
                                                               const Options& options) {
  auto access = absl::WrapUnique(new AccessFiles());
  if (!options.token_file.empty()) {
    ASSIGN_OR_RETURN(access->tokens_, TokenFile::Open(files, options.token_file));
  }
  // With tokens, or certificates that may be left out, there are callers that prove nothing.
  access->control_ = std::make_unique<AccessControl>(
      AccessPolicy(options.rules, access->tokens_ != nullptr), access->tokens_.get());
  ASSIGN_OR_RETURN(access->web_guard_, WebGuard::Open(files, options.web_config_file));
  return access;
}

void AccessFiles::Refresh() {
  if (tokens_ != nullptr) tokens_->Refresh();
  web_guard_->Refresh();
}

}  // namespace trawl

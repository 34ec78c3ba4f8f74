#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "server/access/access_control.h"
#include "server/access/access_policy.h"
#include "server/access/tokens.h"
#include "server/access/web_guard.h"

namespace trawl {

// Who may come in on either port, and the files that say so. They may change while trawld runs.
//
// Refresh: one thread. The rest: any thread.
class AccessFiles {
 public:
  struct Options {
    AccessRules rules;
    std::string token_file;       // "": no tokens
    std::string web_config_file;  // "": none, everybody may come in
  };

  // Errors: a file can't be read, or is wrong.
  static absl::StatusOr<std::unique_ptr<AccessFiles>> Open(FileSystem& files,
                                                           const Options& options);

  // Reads the files again; errors are logged, and what was read last stays.
  void Refresh();

  const AccessControl& control() const { return *control_; }  // of the gRPC port
  WebGuard& web_guard() { return *web_guard_; }               // of the HTTP port

 private:
  AccessFiles() = default;

  std::unique_ptr<TokenFile> tokens_;  // null: none
  std::unique_ptr<AccessControl> control_;
  std::unique_ptr<WebGuard> web_guard_;
};

}  // namespace trawl

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "core/telemetry/server_metrics.h"
#include "server/access/access_control.h"
#include "server/access/access_policy.h"
#include "server/access/rpc_certificates.h"
#include "server/access/tokens.h"
#include "server/access/web_guard.h"

namespace trawl {

// Who may come in on either port, and the files that say so. They may change while trawld runs;
// those that are wrong then change nothing.
//
// Refresh: one thread. The rest: any thread.
class AccessFiles {
 public:
  struct Options {
    AccessRules rules;
    RpcTls rpc_tls;
    std::string token_file;       // "": no tokens
    std::string web_config_file;  // "": none, everybody may come in
  };
  struct Deps {
    FileSystem& files;
    ServerMetrics& metrics;
  };

  // Errors: a file can't be read, or is wrong.
  static absl::StatusOr<std::unique_ptr<AccessFiles>> Open(const Options& options,
                                                           const Deps& deps);

  // Reads the files again, and ends streams on the gRPC port whose token proves their caller no
  // more. On an error what was read last stays; it is counted, and logged once.
  void Refresh();

  // For the gRPC port; valid for as long as this is.
  std::shared_ptr<grpc::ServerCredentials> MakeRpcCredentials() const;
  AccessControl& control() { return *control_; }  // of the gRPC port
  WebGuard& web_guard() { return *web_guard_; }   // of the HTTP port

 private:
  // Files that are read together.
  struct Reading {
    std::string_view what;  // a label's value
    std::function<absl::Status()> again;
    std::string last_error;  // "": it went well
  };

  explicit AccessFiles(ServerMetrics& metrics) : metrics_(metrics) {}
  void ListReadings(const Options& options);
  absl::Status RefreshTokens();

  ServerMetrics& metrics_;
  std::unique_ptr<RpcCertificates> certificates_;  // null: none
  std::unique_ptr<TokenFile> tokens_;              // null: none
  std::unique_ptr<AccessControl> control_;
  std::unique_ptr<WebGuard> web_guard_;
  std::vector<Reading> readings_;  // Refresh's thread
};

}  // namespace trawl

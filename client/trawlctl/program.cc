#include "client/trawlctl/program.h"

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "absl/strings/str_split.h"
#include "client/trawlctl/usage.h"
#include "server/version.h"

namespace trawl {
namespace {

constexpr int kExitRefused = 1;
constexpr int kExitUsage = 2;
constexpr int kExitUnreachable = 3;

}  // namespace

Program::Program()
    : app_("Looks into a running trawld, pushes targets to it, and reads what it stored.") {
  app_.require_subcommand(1);
  app_.fallthrough();
  app_.set_version_flag("--version", VersionLine("trawlctl"), "print its version");
  app_.add_option("--address", connection_.address,
                  "trawld's gRPC address; a,b,c for those commands that take several")
      ->capture_default_str()
      ->take_last();
  app_.add_option("--timeout", timeout_seconds_, "seconds to wait for an answer")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 86400.0));
  app_.add_flag("--tls", connection_.tls, "connect by TLS");
  app_.add_option("--tls-ca-file", connection_.tls_ca_file,
                  "whose certificates to trust, PEM; implies --tls [the system's]");
  app_.add_option("--tls-cert-file", connection_.tls_cert_file,
                  "our certificate, PEM; implies --tls");
  app_.add_option("--tls-key-file", connection_.tls_key_file, "its key");
  app_.add_option("--token-file", connection_.token_file, "a file that holds our bearer token");
  app_.add_flag("--json", json_,
                "print an array of objects, with protobuf's JSON names, instead of a table");
}

int Program::Run(int argc, char** argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const std::vector<std::string> unknown = app_.remaining(/*recurse=*/true);
    if (error.get_exit_code() != 0 && !unknown.empty()) {
      std::fprintf(stderr, "trawlctl: unknown command or argument %s; see trawlctl --help\n",
                   unknown.front().c_str());
      return kExitUsage;
    }
    if (error.get_exit_code() == 0) return app_.exit(error);  // help, version
    std::fprintf(stderr, "trawlctl: %s; see trawlctl --help\n", error.what());
    return kExitUsage;
  }
  // A scrape may take as long as its target's timeout.
  const bool patient = app_.got_subcommand("scrape") && app_.count("--timeout") == 0;
  connection_.timeout = absl::Seconds(patient ? 120 : timeout_seconds_);
  const absl::Status status = command_();
  if (status.ok()) return exit_code_;
  for (const absl::string_view line : absl::StrSplit(status.message(), '\n')) {
    std::fprintf(stderr, "trawlctl: %s\n", std::string(line).c_str());
  }
  if (IsUsageError(status)) return kExitUsage;
  return absl::IsUnavailable(status) ? kExitUnreachable : kExitRefused;
}

CLI::App* Program::AddOffline(CLI::App& parent, const std::string& name, const std::string& help,
                              const std::function<absl::Status()>& run) {
  CLI::App* command = parent.add_subcommand(name, help);
  command->callback([this, command, run] {
    if (command->get_subcommands().empty()) command_ = run;  // else one of these is meant
  });
  return command;
}

CLI::App* Program::AddCall(CLI::App& parent, const std::string& name, const std::string& help,
                           const std::function<absl::Status(Connection&)>& run) {
  return AddOffline(parent, name, help, [this, run]() -> absl::Status {
    const std::vector<std::string> addresses = Addresses();
    if (addresses.size() != 1) {
      return UsageError("this command speaks to one server: give one --address");
    }
    connection_.address = addresses.front();
    absl::StatusOr<std::unique_ptr<Connection>> connection = Connection::Open(connection_);
    return connection.ok() ? run(**connection) : connection.status();
  });
}

std::vector<std::string> Program::Addresses() const {
  std::vector<std::string> addresses;
  for (const std::string_view address :
       absl::StrSplit(connection_.address, ',', absl::SkipEmpty())) {
    if (std::ranges::find(addresses, address) == addresses.end()) addresses.emplace_back(address);
  }
  return addresses;
}

}  // namespace trawl

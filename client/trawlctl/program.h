#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/trawlctl/connection.h"
#include "client/trawlctl/servers.h"

namespace trawl {

// trawlctl's command line: the options that all commands share, and the run of the one that was
// given. A command brings options of its own, a struct with a `json` that Run fills in, and a
// function that prints its result to standard output, as a table or, with `json`, as an array of
// objects with protobuf's JSON names; its error is printed here.
//
//   const auto options = std::make_shared<ReleaseOptions>();
//   CLI::App* release = program.Add(program.app(), "release", "give a source up", options,
//   Release); release->add_option("source", options->source, "its name")->required();
class Program {
 public:
  Program();

  // The exit code.
  int Run(int argc, char** argv);

  CLI::App& app() { return app_; }
  const Connection::Options& connection() const { return connection_; }
  // Each once, as given.
  std::vector<std::string> Addresses() const;
  // Of a command that is done; 0 without.
  void set_exit_code(int code) { exit_code_ = code; }

  // A command that speaks to one server.
  template <typename Options>
  CLI::App* Add(CLI::App& parent, const std::string& name, const std::string& help,
                const std::shared_ptr<Options>& options,
                absl::Status (*run)(Connection&, const Options&)) {
    return AddCall(parent, name, help, [this, options, run](Connection& connection) {
      options->json = json_;
      return run(connection, *options);
    });
  }
  // The same, where the function is not all.
  CLI::App* AddCall(CLI::App& parent, const std::string& name, const std::string& help,
                    const std::function<absl::Status(Connection&)>& run);
  // A command that asks several servers, and merges what they list.
  template <typename Options>
  CLI::App* AddListing(const std::string& name, const std::string& help,
                       const std::shared_ptr<Options>& options,
                       absl::Status (*run)(Servers&, const Options&)) {
    return AddOffline(app_, name, help, [this, options, run]() -> absl::Status {
      options->json = json_;
      absl::StatusOr<Servers> servers = Servers::Open(Addresses(), connection_);
      return servers.ok() ? run(*servers, *options) : servers.status();
    });
  }
  // A command that needs no server.
  template <typename Options>
  CLI::App* AddOffline(CLI::App& parent, const std::string& name, const std::string& help,
                       const std::shared_ptr<Options>& options,
                       absl::Status (*run)(const Options&)) {
    return AddOffline(parent, name, help, [this, options, run] {
      options->json = json_;
      return run(*options);
    });
  }
  CLI::App* AddOffline(CLI::App& parent, const std::string& name, const std::string& help,
                       const std::function<absl::Status()>& run);

  bool json() const { return json_; }

 private:
  CLI::App app_;
  Connection::Options connection_;
  double timeout_seconds_ = 10;
  bool json_ = false;
  std::function<absl::Status()> command_;  // that was given
  int exit_code_ = 0;
};

}  // namespace trawl

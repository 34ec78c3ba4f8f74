#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/trawlctl/commands.h"
#include "client/trawlctl/output.h"
#include "client/trawlctl/program.h"
#include "core/base/file_system.h"
#include "core/base/text.h"
#include "core/config/config_files.h"
#include "core/fetch/curl_http_client.h"

namespace trawl {
namespace {

struct CheckOptions {
  std::string file;
  std::string trawl_config;  // "" for none
  bool json = false;
};

std::optional<std::string> Environment(std::string_view name) {
  const char* value = std::getenv(std::string(name).c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

std::string JsonOf(const std::vector<ConfigProblem>& problems) {
  return absl::StrCat(
      "[",
      absl::StrJoin(problems, ",",
                    [](std::string* out, const ConfigProblem& problem) {
                      absl::StrAppend(out, "{\"file\":", JsonQuote(problem.file),
                                      ",\"line\":", problem.line, ",\"column\":", problem.column,
                                      ",\"message\":", JsonQuote(problem.message), "}");
                    }),
      "]");
}

// Also of a file that is not valid.
std::string JsonOf(const CheckOptions& options, const std::vector<ConfigProblem>& problems,
                   const LoadedConfig& loaded) {
  const bool valid = loaded.config != nullptr;
  return absl::StrCat(
      "[\n{\"file\":", JsonQuote(options.file), ",\"valid\":", valid ? "true" : "false",
      ",\"jobs\":", valid ? loaded.config->scrape_configs.size() : 0,
      ",\"remoteWrites\":", valid ? loaded.config->remote_writes.size() : 0,
      ",\"errors\":", JsonOf(problems), ",\"warnings\":", JsonOf(loaded.warnings), "}\n]\n");
}

// Checks a configuration as trawld would at its start; needs no server. Warnings go to standard
// output, every problem is in the error.
absl::Status RunCheckConfig(const CheckOptions& options) {
  PosixFileSystem files;
  CurlHttpClientFactory clients;
  LoadOptions load;
  load.env = Environment;
  load.check_client = CheckBy(clients);
  std::vector<ConfigProblem> problems;
  const absl::StatusOr<LoadedConfig> loaded =
      LoadConfigFiles(files, {options.file, options.trawl_config}, load, &problems);
  if (options.json) {
    Print(JsonOf(options, problems, loaded.ok() ? *loaded : LoadedConfig()));
    return loaded.status();
  }
  if (!loaded.ok()) return loaded.status();
  for (const ConfigWarning& warning : loaded->warnings) {
    std::fprintf(stderr, "warning: %s\n", warning.ToString().c_str());
  }
  Print(absl::StrCat(options.file, " is valid: ", loaded->config->scrape_configs.size(), " jobs, ",
                     loaded->config->remote_writes.size(), " remote_write endpoints, ",
                     loaded->warnings.size(), " warnings\n"));
  return absl::OkStatus();
}

}  // namespace

void AddCheckCommand(Program& program) {
  CLI::App* check = program.app().add_subcommand("check", "check files, without a server");
  check->require_subcommand(1);
  const auto options = std::make_shared<CheckOptions>();
  CLI::App* config = program.AddOffline(
      *check, "config", "a configuration file, as trawld reads it", options, RunCheckConfig);
  config->add_option("file", options->file, "Prometheus' YAML")->required();
  config->add_option("--trawl.config", options->trawl_config, "trawl's own file");
}

}  // namespace trawl

#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "core/config/config.h"
#include "core/config/config_problem.h"
#include "core/model/http_client_config.h"

namespace trawl {

// What a variable of the environment holds; unset: nullopt.
using EnvLookup = std::function<std::optional<std::string>(std::string_view name)>;

// Whether a client can be made of these options: what is in the files that they name.
using ClientCheck = std::function<absl::Status(const HttpClientConfig& http)>;

struct LoadOptions {
  // Named in problems; "" when the text came from no file.
  std::string file;
  // Relative paths in the text are resolved against it; "" leaves them as they are.
  std::string base_dir;
  // Expands `$VAR` and `${VAR}` in external_labels; empty: every variable is unset.
  EnvLookup env;
  // Reads the files that scrape_config_files names; nullptr: naming any is an error.
  FileSystem* file_system = nullptr;
  // With it the files that HTTP clients read are looked at, by `file_system` and by this: those of
  // tls_config must be there and fit together, as a client needs them from the start; the others,
  // which each request reads, are worth a warning if they are not there. Empty: none is opened.
  ClientCheck check_client;
  // The patterns of scrape_config_files that may be read, base_dir included; naming another one is
  // an error. Unset: all.
  std::optional<std::vector<std::string>> readable_patterns;
  // What the scrape side can parse; scrape_protocols are narrowed to it.
  std::vector<ScrapeProtocol> supported_protocols = {ScrapeProtocol::kPrometheusText100,
                                                     ScrapeProtocol::kPrometheusText004};
};

struct LoadResult {
  Config config;
  std::vector<std::string> scrape_config_files;  // the patterns, base_dir included
  std::vector<ConfigWarning> warnings;           // in the file's order
};

// Prometheus' YAML to a Config (spec 7), strictly:
//   1. A field that Prometheus 3.x does not have, and a key that stands twice, is an error.
//   2. A field that it has and trawl does not honour is a warning that names it; but an error where
//      ignoring it would change what is scraped, kept, sent or trusted.
//   3. Every problem is reported, each with line and column; of syntax errors the first.
//   4. Hostile text (deep nesting, alias bombs) is an error, never a crash.
// kInvalidArgument with all problems, one a line; the same as values in `problems` if given.
absl::StatusOr<LoadResult> LoadConfig(std::string_view text, const LoadOptions& options,
                                      std::vector<ConfigProblem>* problems = nullptr);

// The same for a file; its name and directory are filled in. `options.file_system` is not used.
absl::StatusOr<LoadResult> LoadConfigFile(FileSystem& files, const std::string& path,
                                          LoadOptions options,
                                          std::vector<ConfigProblem>* problems = nullptr);

}  // namespace trawl

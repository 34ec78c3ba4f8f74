#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "client/trawlctl/commands.h"
#include "core/base/file_system.h"
#include "core/base/status_macros.h"
#include "core/config/load.h"
#include "core/config/trawl_config.h"
#include "core/fetch/curl_http_client.h"

namespace trawl {
namespace {

std::optional<std::string> Environment(std::string_view name) {
  const char* value = std::getenv(std::string(name).c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

// What trawld does at its start: reads the certificates, keys and passwords that are named.
absl::Status CheckFiles(const Config& config) {
  CurlHttpClientFactory clients;
  for (const ScrapeConfig& job : config.scrape_configs) {
    RETURN_IF_ERROR(
        Annotate(clients.MakeClient(job.http).status(), absl::StrCat("job ", job.job_name)));
  }
  for (const RemoteWriteConfig& remote : config.remote_writes) {
    RETURN_IF_ERROR(
        Annotate(clients.MakeClient(remote.http).status(), absl::StrCat("sink ", remote.name)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunCheckConfig(const CheckOptions& options) {
  PosixFileSystem files;
  LoadOptions load;
  load.env = Environment;
  ASSIGN_OR_RETURN(const LoadResult result, LoadConfigFile(files, options.file, load));
  if (!options.trawl_config.empty()) {
    RETURN_IF_ERROR(LoadTrawlConfigFile(files, options.trawl_config).status());
  }
  RETURN_IF_ERROR(CheckFiles(result.config));
  for (const ConfigWarning& warning : result.warnings) {
    std::fprintf(stderr, "warning: %s\n", warning.ToString().c_str());
  }
  const size_t jobs = result.config.scrape_configs.size();
  if (options.json) {
    std::printf("[\n{\"jobs\":%zu,\"remoteWrites\":%zu,\"warnings\":%zu}\n]\n", jobs,
                result.config.remote_writes.size(), result.warnings.size());
  } else {
    std::printf("%s is valid: %zu jobs, %zu remote_write endpoints, %zu warnings\n",
                options.file.c_str(), jobs, result.config.remote_writes.size(),
                result.warnings.size());
  }
  return absl::OkStatus();
}

}  // namespace trawl

#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "core/config/config_files.h"
#include "core/config/load.h"
#include "core/fetch/fetcher.h"
#include "core/scrape/pool_status.h"
#include "server/sinks.h"
#include "trawl/status/v1/status.pb.h"

namespace trawl {

// Says what a reload of the configuration does, before it is done: for PlanConfig, and for the
// numbers in ReloadConfig's answer. Decides nothing: PlanJob does, with what the reload uses.
//
// Thread-safe.
class ConfigPlanner {
 public:
  struct Options {
    std::string config_file;
    std::string trawl_config_file;
    SinkFlags sinks;
    EnvLookup env;
  };
  struct Deps {
    FileSystem& files;
    HttpClientFactory& clients;
  };

  ConfigPlanner(Options options, const Deps& deps);

  // What the reload of this text would do. Reads no file that `running` does not name: what it
  // therefore can't know stands in the warnings. kInvalidArgument: the reload would be refused.
  absl::StatusOr<status::v1::PlanConfigResponse> Plan(const status::v1::PlanConfigRequest& request,
                                                      const LoadedConfig& running,
                                                      const PoolsSnapshot& pools) const;

  // What the reload of these files, already read, does: jobs without targets.
  std::vector<status::v1::JobPlan> PlanReload(const LoadedConfig& running, const LoadedConfig& next,
                                              const PoolsSnapshot& pools) const;

 private:
  absl::StatusOr<LoadedConfig> LoadText(const status::v1::PlanConfigRequest& request,
                                        const LoadedConfig& running) const;
  // Whether the reload could make all HTTP clients, as far as it may be known.
  absl::Status CheckClients(const Config& running, const Config& next,
                            status::v1::PlanConfigResponse& out) const;

  const Options options_;
  const Deps deps_;
};

}  // namespace trawl

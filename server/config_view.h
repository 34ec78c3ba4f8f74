#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/config/config_files.h"
#include "trawl/status/v1/status.pb.h"

namespace trawl {

// The configuration that runs, and how the last try to replace it went.
struct RunningConfig {
  LoadedConfig files;             // without a config before the first one is loaded
  bool has_trawl_config = false;  // there is such a file
  absl::Time loaded = absl::InfinitePast();
  std::string last_reload_error;  // "": it went well
};

// As text, secrets masked. kNotFound: no such job. Pure.
absl::StatusOr<status::v1::GetConfigResponse> ShowConfig(
    const RunningConfig& running, const status::v1::GetConfigRequest& request);

}  // namespace trawl

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/file_system.h"

namespace trawl {

// File names with wildcards, as in file_sd_configs and scrape_config_files: Go's path.Match
// (`*`, `?`, `[a-z]`, `[^a]`, `\` escapes), and only in the last element of the path.

// Whether its `*`, if there is any, stands in the last element (more may follow there).
bool IsLastElementGlob(std::string_view path);

// Whether a file name matches; a malformed pattern matches nothing.
bool MatchGlob(std::string_view pattern, std::string_view name);

// The files that `path` names now, sorted; as Go's filepath.Glob gives them, in their shortest form
// (JoinPath). Without a wildcard: `path` as it is, if it is there. A directory that is not there
// holds none; one that can't be read is an error.
absl::StatusOr<std::vector<std::string>> ExpandGlob(FileSystem& files, const std::string& path);

}  // namespace trawl

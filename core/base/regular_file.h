#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "core/base/file_system.h"

namespace trawl {

// What a file of our own holds. As FileSystem::ReadFile, but of a pipe or a device, which may make
// that wait for ever, it is kFailedPrecondition at once; configurations may be pipes. Thread-safe.
absl::StatusOr<std::string> ReadRegularFile(FileSystem& files, const std::string& path);

}  // namespace trawl

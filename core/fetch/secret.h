#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/model/http_client_config.h"

namespace trawl {

// The whole content of a small file (at most 1 MiB). Never waits: a pipe without a writer reads
// as empty. Errors are Go's: `unable to read file PATH: open PATH: no such file or directory`.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path);

// The secret's value: as given, or its file's content without surrounding space. Read anew on
// each call, so that a rotated secret is used from the next request on.
absl::StatusOr<std::string> ReadSecret(const SecretSource& source);

// The `Authorization` header's value for a config, nullopt if it has no credentials. Errors are
// Prometheus': `unable to read basic auth password: unable to read file …`. Its result is a
// secret: never log it.
absl::StatusOr<std::optional<std::string>> AuthorizationValue(const HttpClientConfig& config);

}  // namespace trawl

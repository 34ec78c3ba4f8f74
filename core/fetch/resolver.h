#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"

namespace trawl {

// Resolves host names without blocking the loop. Answers are cached with their records' time to
// live, bounded in number. The callback runs exactly once, on the loop's thread, possibly from
// inside Resolve when the answer is cached; after Cancel it doesn't run. One thread: the loop's.
class Resolver {
 public:
  using ResolveId = uint64_t;
  // Addresses as text (IPv4 dotted, IPv6 without brackets), in order of preference, never empty.
  using Callback = absl::AnyInvocable<void(absl::StatusOr<std::vector<std::string>>)>;

  virtual ~Resolver() = default;
  // 0 when the callback has already run.
  virtual ResolveId Resolve(const std::string& host, Callback callback) = 0;
  virtual void Cancel(ResolveId id) = 0;
};

}  // namespace trawl

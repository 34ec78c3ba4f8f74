#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/store/program/store_flags.h"
#include "core/base/clock.h"
#include "core/base/file_system.h"

namespace trawl {

// The whole of trawl-store: the store that the flags ask for, and a gRPC server on a port with
// StorageService, reflection and health. Not thread-safe.
class StoreServer {
 public:
  struct Deps {
    const Clock& clock;
    FileSystem& fs;
  };

  // Errors in words for a person: port taken, directory not writable or in use, ...
  static absl::StatusOr<std::unique_ptr<StoreServer>> Start(const StoreFlags& flags,
                                                            const Deps& deps);
  // As Shutdown(0 s).
  ~StoreServer();

  uint16_t port() const;
  // Takes no more, commits what was taken, ends the streams. Idempotent.
  void Shutdown(absl::Duration deadline);

 private:
  struct Parts;
  explicit StoreServer(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace trawl

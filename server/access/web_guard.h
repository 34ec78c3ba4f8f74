#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "core/base/published.h"
#include "core/config/web_config.h"

namespace trawl {

// `--web.config.file` at work on the HTTP port: who may come in, and what is sent along. The file
// is read again when it changes, but for whether there is TLS at all, which a start decides.
//
// Admits and headers: any thread. Refresh: one thread.
class WebGuard {
 public:
  // `path` "": no file, everybody may come in. Errors: the file can't be read, or is wrong.
  static absl::StatusOr<std::unique_ptr<WebGuard>> Open(FileSystem& files, std::string path);

  // Reads the file again. On an error what was read last stays.
  absl::Status Refresh();

  std::shared_ptr<const WebConfig> config() const { return config_.Get(); }

  // Whether a request with this `Authorization` header may come in: always where the file names
  // no users. A right password is remembered (as a digest): bcrypt takes its time by design.
  bool Admits(std::string_view authorization);

 private:
  static constexpr size_t kMaxRemembered = 100;

  WebGuard(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
  bool Remembers(const std::string& digest);
  void Remember(const std::string& digest);

  FileSystem& files_;
  const std::string path_;
  Published<WebConfig> config_;

  Mutex mutex_;
  // Of (user, password, hash), so that a changed hash is asked anew.
  absl::flat_hash_set<std::string> right_ TRAWL_GUARDED_BY(mutex_);
};

}  // namespace trawl

#include "core/base/regular_file.h"

#include <memory>

#include "core/base/status_macros.h"

namespace trawl {

absl::StatusOr<std::string> ReadRegularFile(FileSystem& files, const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<RandomAccessFile> file, files.OpenForRead(path));
  ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  return file->ReadAt(0, size);
}

}  // namespace trawl

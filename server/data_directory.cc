#include "server/data_directory.h"

#include <algorithm>
#include <array>
#include <random>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

std::string NewWriterId() {
  std::random_device device;
  std::string id;
  for (int i = 0; i < 4; ++i) absl::StrAppend(&id, absl::Hex(device(), absl::kZeroPad8));
  return id;
}

absl::StatusOr<std::string> ReadOrMakeWriterId(FileSystem& files, const std::string& path) {
  absl::StatusOr<std::string> text = files.ReadFile(path);
  if (absl::IsNotFound(text.status())) {
    std::string id = NewWriterId();
    RETURN_IF_ERROR(WriteFileDurably(files, path, absl::StrCat(id, "\n")));
    return id;
  }
  RETURN_IF_ERROR(text.status());
  std::string id(absl::StripAsciiWhitespace(*text));
  const bool hex =
      std::all_of(id.begin(), id.end(), [](unsigned char c) { return absl::ascii_isxdigit(c); });
  if (id.size() != 32 || !hex) {
    return absl::DataLossError(absl::StrCat(path, ": not the id of a writer"));
  }
  return id;
}

absl::StatusOr<uint64_t> NextEpoch(FileSystem& files, const std::string& path, absl::Time now) {
  const auto now_ms = static_cast<uint64_t>(std::max<int64_t>(1, absl::ToUnixMillis(now)));
  absl::StatusOr<std::string> text = files.ReadFile(path);
  uint64_t stored = 0;
  if (text.ok()) {
    if (!absl::SimpleAtoi(absl::StripAsciiWhitespace(*text), &stored)) {
      return absl::DataLossError(absl::StrCat(path, ": not a number"));
    }
  } else if (!absl::IsNotFound(text.status())) {
    return text.status();
  }
  const uint64_t epoch = std::max(stored + 1, now_ms);
  RETURN_IF_ERROR(WriteFileDurably(files, path, absl::StrCat(epoch, "\n")));
  return epoch;
}

}  // namespace

absl::StatusOr<DataDirectory> OpenDataDirectory(FileSystem& files, const std::string& path,
                                                absl::Time now) {
  DataDirectory out;
  out.path = path;
  RETURN_IF_ERROR(Annotate(files.CreateDirectory(path), "data directory"));
  if (files.ReadFile(absl::StrCat(path, "/trawl-store.lock")).ok()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "data directory ", path, " is trawl-store's: give trawld a --data-dir of its own"));
  }
  absl::StatusOr<std::unique_ptr<FileLock>> lock = files.Lock(absl::StrCat(path, "/lock"));
  if (absl::IsFailedPrecondition(lock.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat("data directory ", path, " is in use: ", lock.status().message()));
  }
  RETURN_IF_ERROR(lock.status());
  out.lock = *std::move(lock);
  ASSIGN_OR_RETURN(out.writer_id, ReadOrMakeWriterId(files, absl::StrCat(path, "/writer-id")));
  ASSIGN_OR_RETURN(out.epoch, NextEpoch(files, absl::StrCat(path, "/epoch"), now));
  return out;
}

}  // namespace trawl

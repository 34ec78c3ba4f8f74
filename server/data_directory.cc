#include "server/data_directory.h"

#include <algorithm>
#include <array>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "core/base/hash.h"
#include "core/base/regular_file.h"
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
  absl::StatusOr<std::string> text = ReadRegularFile(files, path);
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

// ---- The epoch's file
//
// Two slots of a sector each are written in place and in turn, so that a full disk can't stop a
// start, and a torn write leaves the slot before. Only the first run makes the file.

constexpr size_t kSlotBytes = 512;
constexpr size_t kSlots = 2;
constexpr std::string_view kSlotStart = "epoch ";

std::string EncodeSlot(uint64_t epoch) {
  std::string slot = absl::StrCat(absl::string_view(kSlotStart), epoch);
  absl::StrAppend(&slot, " ", absl::Hex(Crc32c(slot), absl::kZeroPad8), "\n");
  slot.resize(kSlotBytes, '\0');
  return slot;
}

// 0: it holds none. A number alone is what a file of before has.
uint64_t DecodeSlot(absl::string_view slot) {
  uint64_t epoch = 0;
  const absl::string_view text =
      absl::StripAsciiWhitespace(slot.substr(0, std::min(slot.size(), slot.find('\0'))));
  if (absl::SimpleAtoi(text, &epoch)) return epoch;
  const std::vector<absl::string_view> words = absl::StrSplit(text, ' ');
  if (words.size() != 3 || !absl::SimpleAtoi(words[1], &epoch)) return 0;
  return slot.substr(0, kSlotBytes) == EncodeSlot(epoch) ? epoch : 0;
}

absl::Status WriteSlot(FileSystem& files, const std::string& path, size_t slot, uint64_t epoch) {
  ASSIGN_OR_RETURN(const std::unique_ptr<UpdatableFile> file, files.OpenForUpdate(path));
  RETURN_IF_ERROR(file->WriteAt(slot * kSlotBytes, EncodeSlot(epoch)));
  return file->Sync();
}

absl::StatusOr<uint64_t> NextEpoch(FileSystem& files, const std::string& path, absl::Time now) {
  const auto now_ms = static_cast<uint64_t>(std::max<int64_t>(1, absl::ToUnixMillis(now)));
  const absl::StatusOr<std::string> text = ReadRegularFile(files, path);
  if (absl::IsNotFound(text.status())) {
    RETURN_IF_ERROR(WriteFileDurably(files, path, absl::StrCat(EncodeSlot(now_ms), EncodeSlot(0))));
    return now_ms;
  }
  RETURN_IF_ERROR(text.status());
  std::array<uint64_t, kSlots> slots{};
  for (size_t i = 0; i < kSlots && i * kSlotBytes < text->size(); ++i) {
    slots[i] = DecodeSlot(absl::string_view(*text).substr(i * kSlotBytes, kSlotBytes));
  }
  const auto newest = std::max_element(slots.begin(), slots.end());
  if (*newest == 0) return absl::DataLossError(absl::StrCat(path, ": no epoch in it"));
  const uint64_t epoch = std::max(*newest + 1, now_ms);
  RETURN_IF_ERROR(WriteSlot(files, path, newest == slots.begin() ? 1 : 0, epoch));
  return epoch;
}

}  // namespace

absl::StatusOr<DataDirectory> OpenDataDirectory(FileSystem& files, const std::string& path,
                                                absl::Time now) {
  DataDirectory out;
  out.path = path;
  RETURN_IF_ERROR(Annotate(files.CreateDirectory(path), "data directory"));
  if (ReadRegularFile(files, absl::StrCat(path, "/trawl-store.lock")).ok()) {
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

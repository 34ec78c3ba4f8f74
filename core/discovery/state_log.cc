#include "core/discovery/state_log.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/regular_file.h"
#include "core/base/status_macros.h"

namespace trawl {
StateLog::StateLog(const Options& options, FileSystem& files, std::string path)
    : options_(options), files_(files), path_(std::move(path)) {}

absl::StatusOr<StateLogContents> StateLog::Recover() {
  ASSIGN_OR_RETURN(const std::string bytes, ReadRegularFile(files_, path_));
  absl::StatusOr<StateLogContents> contents = DecodeLog(bytes);
  if (!contents.ok()) return Annotate(contents.status(), path_);
  // A disk that can't be written does not keep what it holds from being used.
  rewrite_ = !SyncRecovered(bytes, *contents).ok();
  log_bytes_ = contents->good_bytes;
  compact_at_ = 2 * contents->snapshot_bytes + options_.slack_bytes;
  return contents;
}

// What was appended but not synced before the process died counts from now on, so it must be on
// disk before anybody is told.
absl::Status StateLog::SyncRecovered(std::string_view bytes, const StateLogContents& contents) {
  const std::string_view tail = bytes.substr(contents.good_bytes);
  if (tail.find_first_not_of('\0') != std::string_view::npos) {
    return Replace(bytes.substr(0, contents.good_bytes));
  }
  file_bytes_ = bytes.size();
  ASSIGN_OR_RETURN(std::unique_ptr<UpdatableFile> file, files_.OpenForUpdate(path_));
  return file->Sync();
}

absl::Status StateLog::Record(const std::string& source, const SourceState& before,
                              const StateDelta& delta) {
  const std::string record = EncodeDelta(delta);
  if (!IsThere()) rewrite_ = true;
  if (!rewrite_ && log_bytes_ + record.size() <= compact_at_) return Append(record);
  SourceState after = before;
  ApplyDelta(delta, after);
  const std::string content = EncodeLogStart(source, after);
  absl::Status status = Replace(content);
  if (status.ok()) {
    log_bytes_ = content.size();
    compact_at_ = 2 * content.size() + options_.slack_bytes;
    return status;
  }
  if (rewrite_) return status;
  // A short disk may have room for the change alone; try again when the log has doubled.
  compact_at_ = 2 * (log_bytes_ + record.size());
  return Append(record);
}

// Somebody may have removed it: to be opened for writing it would be made, without what it held.
bool StateLog::IsThere() {
  const auto file = files_.OpenForRead(path_);
  if (!file.ok()) return false;
  const auto size = (*file)->Size();
  return size.ok() && *size >= log_bytes_;
}

absl::Status StateLog::Append(const std::string& record) {
  // Until it is known to be there, nothing may come behind it.
  rewrite_ = true;
  ASSIGN_OR_RETURN(std::unique_ptr<UpdatableFile> file, files_.OpenForUpdate(path_));
  RETURN_IF_ERROR(WriteBehind(*file, record));
  RETURN_IF_ERROR(file->Sync());
  log_bytes_ += record.size();
  rewrite_ = false;
  return absl::OkStatus();
}

absl::Status StateLog::WriteBehind(UpdatableFile& file, const std::string& record) {
  const uint64_t end = log_bytes_ + record.size();
  if (end > file_bytes_) {
    absl::Status reserved =
        file.WriteAt(log_bytes_, record + std::string(options_.reserve_bytes, '\0'));
    if (reserved.ok()) file_bytes_ = end + options_.reserve_bytes;
    // A short disk may have room for the change alone.
    if (!absl::IsResourceExhausted(reserved)) return reserved;
    file_bytes_ = end;
  }
  return file.WriteAt(log_bytes_, record);
}

absl::Status StateLog::Replace(std::string_view content) {
  const std::string temporary = path_ + ".tmp";
  absl::Status written = WriteTemporary(temporary, content);
  if (!written.ok()) {
    files_.Remove(temporary).IgnoreError();
    return written;
  }
  rewrite_ = true;
  RETURN_IF_ERROR(files_.Rename(temporary, path_));
  RETURN_IF_ERROR(files_.SyncDirectory(DirectoryOf(path_)));
  file_bytes_ = content.size();
  rewrite_ = false;
  return absl::OkStatus();
}

absl::Status StateLog::WriteTemporary(const std::string& path, std::string_view content) {
  ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, files_.OpenForAppend(path, true));
  RETURN_IF_ERROR(file->Append(content));
  return file->Sync();
}

absl::Status StateLog::Remove() {
  rewrite_ = true;
  absl::Status removed = files_.Remove(path_);
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  return files_.SyncDirectory(DirectoryOf(path_));
}

}  // namespace trawl

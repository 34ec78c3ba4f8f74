#include "tests/killpoints/kill_point_file_system.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/concat.h"
#include "core/spool/segment_format.h"

namespace trawl {
namespace {

using Observer = KillPointFileSystem::Observer;

// Runs an operation between its two points.
template <typename Operation>
auto Around(const Observer& observer, std::string_view what, const std::string& kind,
            Operation operation) {
  observer(Concat("before ", what, " ", kind));
  auto result = operation();
  observer(Concat("after ", what, " ", kind));
  return result;
}

bool IsFooter(std::string_view bytes) {
  return bytes.size() > kSegmentTrailerBytes &&
         FooterBytes(bytes.substr(bytes.size() - kSegmentTrailerBytes)) == bytes.size();
}

class AppendFile : public WritableFile {
 public:
  AppendFile(std::unique_ptr<WritableFile> file, const Observer& observer, std::string kind)
      : file_(std::move(file)), observer_(observer), kind_(std::move(kind)) {}

  // In two halves, so that a crash may come between them.
  absl::Status Append(std::string_view bytes) override {
    observer_(absl::StrCat("before append ", kind_));
    absl::Status status = file_->Append(bytes.substr(0, bytes.size() / 2));
    if (!status.ok()) return status;
    observer_(absl::StrCat("half append ", kind_));
    status = file_->Append(bytes.substr(bytes.size() / 2));
    observer_(absl::StrCat("after append ", kind_));
    return status;
  }
  absl::Status Sync() override {
    return Around(observer_, "sync", kind_, [this] { return file_->Sync(); });
  }

 private:
  const std::unique_ptr<WritableFile> file_;
  const Observer& observer_;
  const std::string kind_;
};

// Tells where one segment ends and the next begins, too.
class SegmentFile final : public AppendFile {
 public:
  SegmentFile(std::unique_ptr<WritableFile> file, const Observer& observer,
              std::atomic<bool>& rolling)
      : AppendFile(std::move(file), observer, "segment"), observer_(observer), rolling_(rolling) {}

  absl::Status Append(std::string_view bytes) override {
    if (IsFooter(bytes)) {
      observer_("before roll");
      rolling_ = true;
    }
    absl::Status status = AppendFile::Append(bytes);
    if (DecodeSegmentHeader(bytes).ok() && rolling_.exchange(false)) observer_("after roll");
    return status;
  }

 private:
  const Observer& observer_;
  std::atomic<bool>& rolling_;
};

class UpdateFile final : public UpdatableFile {
 public:
  UpdateFile(std::unique_ptr<UpdatableFile> file, const Observer& observer, std::string kind)
      : file_(std::move(file)), observer_(observer), kind_(std::move(kind)) {}

  // In two halves, too.
  absl::Status WriteAt(uint64_t offset, std::string_view bytes) override {
    observer_(absl::StrCat("before update ", kind_));
    const size_t half = bytes.size() / 2;
    absl::Status status = file_->WriteAt(offset, bytes.substr(0, half));
    if (!status.ok()) return status;
    observer_(absl::StrCat("half update ", kind_));
    status = file_->WriteAt(offset + half, bytes.substr(half));
    observer_(absl::StrCat("after update ", kind_));
    return status;
  }
  absl::Status Sync() override {
    return Around(observer_, "sync", kind_, [this] { return file_->Sync(); });
  }

 private:
  const std::unique_ptr<UpdatableFile> file_;
  const Observer& observer_;
  const std::string kind_;
};

bool IsNumber(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

std::string KillPointFileSystem::KindOf(std::string_view path) {
  std::string_view name = path.substr(path.rfind('/') + 1);
  if (absl::EndsWith(ToAbsl(name), ".tmp")) name.remove_suffix(4);
  const bool discovery = path.find("/discovery") != std::string_view::npos;
  if (discovery) return name == "discovery" ? "discovery" : "discovery-log";
  if (absl::EndsWith(ToAbsl(name), ".segment")) return "segment";
  return IsNumber(name) ? "spool-directory" : std::string(name);
}

absl::StatusOr<std::unique_ptr<WritableFile>> KillPointFileSystem::OpenForAppend(
    const std::string& path, bool truncate) {
  const std::string kind = KindOf(path);
  auto file = Around(observer_, truncate ? "create" : "open", kind,
                     [&] { return files_.OpenForAppend(path, truncate); });
  if (!file.ok()) return file.status();
  if (kind == "segment") {
    return std::make_unique<SegmentFile>(*std::move(file), observer_, rolling_);
  }
  return std::make_unique<AppendFile>(*std::move(file), observer_, kind);
}

absl::StatusOr<std::unique_ptr<UpdatableFile>> KillPointFileSystem::OpenForUpdate(
    const std::string& path) {
  auto file = files_.OpenForUpdate(path);
  if (!file.ok()) return file.status();
  return std::make_unique<UpdateFile>(*std::move(file), observer_, KindOf(path));
}

absl::Status KillPointFileSystem::Rename(const std::string& from, const std::string& to) {
  return Around(observer_, "rename", KindOf(to), [&] { return files_.Rename(from, to); });
}

absl::Status KillPointFileSystem::Remove(const std::string& path) {
  return Around(observer_, "remove", KindOf(path), [&] { return files_.Remove(path); });
}

absl::Status KillPointFileSystem::CreateDirectory(const std::string& path) {
  return Around(observer_, "create-directory", KindOf(path),
                [&] { return files_.CreateDirectory(path); });
}

absl::Status KillPointFileSystem::SyncDirectory(const std::string& path) {
  return Around(observer_, "sync-directory", KindOf(path),
                [&] { return files_.SyncDirectory(path); });
}

}  // namespace trawl

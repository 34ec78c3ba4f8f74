#include "tests/fakes/mem_file_system.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

std::string Normal(const std::string& path) {
  std::string normal = std::filesystem::path(path).lexically_normal().string();
  if (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return normal.empty() ? "." : normal;
}

std::string Parent(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

std::string Name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

absl::Status NotFound(std::string_view what, const std::string& path) {
  return absl::NotFoundError(absl::StrCat(what, " ", path, ": No such file or directory"));
}

absl::Status NoFile(const std::string& path) {
  return absl::FailedPreconditionError(absl::StrCat("open ", path, ": no regular file"));
}

}  // namespace

struct MemFileSystem::File {
  std::string content;
  std::string synced;  // what a power loss leaves
};

struct MemFileSystem::State {
  using Tree = std::map<std::string, std::shared_ptr<File>>;

  Mutex mutex;
  Tree files TRAWL_GUARDED_BY(mutex);          // what programs see
  Tree durable_files TRAWL_GUARDED_BY(mutex);  // which names a power loss leaves
  std::set<std::string> directories TRAWL_GUARDED_BY(mutex) = {".", "/"};
  std::set<std::string> locks TRAWL_GUARDED_BY(mutex);
  uint64_t capacity TRAWL_GUARDED_BY(mutex) = std::numeric_limits<uint64_t>::max();
  int power_losses TRAWL_GUARDED_BY(mutex) = 0;
  int operations TRAWL_GUARDED_BY(mutex) = 0;
  int fail_after TRAWL_GUARDED_BY(mutex) = -1;
  int failures TRAWL_GUARDED_BY(mutex) = 0;  // how many in a row
  absl::Status failure TRAWL_GUARDED_BY(mutex);

  // Counts an operation; the error that was ordered for it.
  absl::Status Begin() TRAWL_REQUIRES(mutex) {
    ++operations;
    if (fail_after < 0 || (fail_after > 0 && fail_after-- > 0)) return absl::OkStatus();
    if (--failures <= 0) fail_after = -1;
    return failure;
  }
  uint64_t UsedBytes() TRAWL_REQUIRES(mutex) {
    uint64_t used = 0;
    for (const auto& [path, file] : files) used += file->content.size();
    return used;
  }
  uint64_t FreeBytes() TRAWL_REQUIRES(mutex) {
    const uint64_t used = UsedBytes();
    return capacity > used ? capacity - used : 0;
  }
  bool IsDirectory(const std::string& path) TRAWL_REQUIRES(mutex) {
    return directories.contains(path);
  }
  // New files: handles from before must not reach what is there after.
  void Restart(Tree left) TRAWL_REQUIRES(mutex) {
    ++power_losses;
    locks.clear();
    files = left;
    durable_files = std::move(left);
  }
};

class MemFileSystem::AppendHandle final : public WritableFile {
 public:
  AppendHandle(std::shared_ptr<State> state, std::shared_ptr<File> file, int power_losses)
      : state_(std::move(state)), file_(std::move(file)), power_losses_(power_losses) {}

  absl::Status Append(std::string_view bytes) override {
    MutexLock lock(state_->mutex);
    RETURN_IF_ERROR(CheckAlive());
    absl::Status ordered = state_->Begin();
    if (!ordered.ok()) {
      file_->content.append(bytes.substr(0, bytes.size() / 2));
      return ordered;
    }
    const uint64_t room = state_->capacity == std::numeric_limits<uint64_t>::max()
                              ? state_->capacity
                              : state_->FreeBytes();
    file_->content.append(bytes.substr(0, room));
    if (bytes.size() <= room) return absl::OkStatus();
    return absl::ResourceExhaustedError("write: No space left on device");
  }

  absl::Status Sync() override {
    MutexLock lock(state_->mutex);
    RETURN_IF_ERROR(CheckAlive());
    RETURN_IF_ERROR(state_->Begin());
    file_->synced = file_->content;
    return absl::OkStatus();
  }

 private:
  absl::Status CheckAlive() TRAWL_REQUIRES(state_->mutex) {
    if (state_->power_losses == power_losses_) return absl::OkStatus();
    return absl::FailedPreconditionError("opened before a power loss");
  }

  const std::shared_ptr<State> state_;
  const std::shared_ptr<File> file_;
  const int power_losses_;
};

class MemFileSystem::ReadHandle final : public RandomAccessFile {
 public:
  ReadHandle(std::shared_ptr<State> state, std::shared_ptr<File> file)
      : state_(std::move(state)), file_(std::move(file)) {}

  absl::StatusOr<std::string> ReadAt(uint64_t offset, size_t size) override {
    MutexLock lock(state_->mutex);
    RETURN_IF_ERROR(state_->Begin());
    if (offset >= file_->content.size()) return std::string();
    return file_->content.substr(offset, size);
  }
  absl::StatusOr<uint64_t> Size() override {
    MutexLock lock(state_->mutex);
    RETURN_IF_ERROR(state_->Begin());
    return file_->content.size();
  }

 private:
  const std::shared_ptr<State> state_;
  const std::shared_ptr<File> file_;
};

class MemFileSystem::UpdateHandle final : public UpdatableFile {
 public:
  UpdateHandle(std::shared_ptr<State> state, std::shared_ptr<File> file)
      : state_(std::move(state)), file_(std::move(file)) {}

  absl::Status WriteAt(uint64_t offset, std::string_view bytes) override {
    MutexLock lock(state_->mutex);
    RETURN_IF_ERROR(state_->Begin());
    const uint64_t end = offset + bytes.size();
    const uint64_t size = file_->content.size();
    if (end > size && end - size > state_->FreeBytes()) {
      return absl::ResourceExhaustedError("write: No space left on device");
    }
    if (end > size) file_->content.resize(end);
    file_->content.replace(offset, bytes.size(), bytes);
    return absl::OkStatus();
  }
  absl::Status Sync() override {
    MutexLock lock(state_->mutex);
    RETURN_IF_ERROR(state_->Begin());
    file_->synced = file_->content;
    return absl::OkStatus();
  }

 private:
  const std::shared_ptr<State> state_;
  const std::shared_ptr<File> file_;
};

class MemFileSystem::LockHandle final : public FileLock {
 public:
  LockHandle(std::shared_ptr<State> state, std::string path, int power_losses)
      : state_(std::move(state)), path_(std::move(path)), power_losses_(power_losses) {}
  ~LockHandle() override {
    MutexLock lock(state_->mutex);
    if (state_->power_losses == power_losses_) state_->locks.erase(path_);
  }

 private:
  const std::shared_ptr<State> state_;
  const std::string path_;
  const int power_losses_;
};

MemFileSystem::MemFileSystem() : state_(std::make_shared<State>()) {}
MemFileSystem::~MemFileSystem() = default;

absl::StatusOr<std::unique_ptr<WritableFile>> MemFileSystem::OpenForAppend(
    const std::string& raw_path, bool truncate) {
  const std::string path = Normal(raw_path);
  MutexLock lock(state_->mutex);
  RETURN_IF_ERROR(state_->Begin());
  if (!state_->IsDirectory(Parent(path))) return NotFound("open", path);
  if (state_->IsDirectory(path)) return NoFile(path);
  std::shared_ptr<File>& file = state_->files[path];
  if (file == nullptr) file = std::make_shared<File>();
  if (truncate) *file = File();
  return std::make_unique<AppendHandle>(state_, file, state_->power_losses);
}

absl::StatusOr<std::unique_ptr<RandomAccessFile>> MemFileSystem::OpenForRead(
    const std::string& raw_path) {
  const std::string path = Normal(raw_path);
  MutexLock lock(state_->mutex);
  RETURN_IF_ERROR(state_->Begin());
  if (state_->IsDirectory(path)) return NoFile(path);
  const auto found = state_->files.find(path);
  if (found == state_->files.end()) return NotFound("open", path);
  return std::make_unique<ReadHandle>(state_, found->second);
}

absl::StatusOr<std::unique_ptr<UpdatableFile>> MemFileSystem::OpenForUpdate(
    const std::string& raw_path) {
  const std::string path = Normal(raw_path);
  MutexLock lock(state_->mutex);
  RETURN_IF_ERROR(state_->Begin());
  if (!state_->IsDirectory(Parent(path))) return NotFound("open", path);
  if (state_->IsDirectory(path)) return NoFile(path);
  std::shared_ptr<File>& file = state_->files[path];
  if (file == nullptr) file = std::make_shared<File>();
  return std::make_unique<UpdateHandle>(state_, file);
}

absl::StatusOr<uint64_t> MemFileSystem::FreeBytes(const std::string& raw_path) {
  MutexLock lock(state_->mutex);
  RETURN_IF_ERROR(state_->Begin());
  if (!state_->IsDirectory(Normal(raw_path))) return NotFound("free space of", raw_path);
  return state_->FreeBytes();
}

absl::StatusOr<std::string> MemFileSystem::ReadFile(const std::string& raw_path) {
  const std::string path = Normal(raw_path);
  MutexLock lock(state_->mutex);
  RETURN_IF_ERROR(state_->Begin());
  const auto found = state_->files.find(path);
  if (found == state_->files.end()) return NotFound("open", path);
  return found->second->content;
}

absl::Status MemFileSystem::Rename(const std::string& raw_from, const std::string& raw_to) {
  const std::string from = Normal(raw_from);
  const std::string to = Normal(raw_to);
  MutexLock lock(state_->mutex);
  RETURN_IF_ERROR(state_->Begin());
  const auto found = state_->files.find(from);
  if (found == state_->files.end() || !state_->IsDirectory(Parent(to))) {
    return NotFound("rename", absl::StrCat(from, " to ", to));
  }
  if (state_->IsDirectory(to)) {
    return absl::FailedPreconditionError(
        absl::StrCat("rename ", from, " to ", to, ": Is a directory"));
  }
  const std::shared_ptr<File> file = found->second;
  state_->files.erase(found);
  state_->files[to] = file;
  return absl::OkStatus();
}

absl::Status MemFileSystem::Remove(const std::string& raw_path) {
  const std::string path = Normal(raw_path);
  MutexLock lock(state_->mutex);
  RETURN_IF_ERROR(state_->Begin());
  if (state_->files.erase(path) > 0) return absl::OkStatus();
  if (!state_->IsDirectory(path)) return NotFound("remove", path);
  const auto inside = [&path](const std::string& name) { return Parent(name) == path; };
  if (std::any_of(state_->directories.begin(), state_->directories.end(), inside) ||
      std::any_of(state_->files.begin(), state_->files.end(),
                  [&inside](const auto& entry) { return inside(entry.first); })) {
    return absl::FailedPreconditionError(absl::StrCat("remove ", path, ": Directory not empty"));
  }
  state_->directories.erase(path);
  return absl::OkStatus();
}

absl::Status MemFileSystem::CreateDirectory(const std::string& raw_path) {
  MutexLock lock(state_->mutex);
  RETURN_IF_ERROR(state_->Begin());
  for (std::string path = Normal(raw_path); !state_->IsDirectory(path); path = Parent(path)) {
    if (state_->files.contains(path)) {
      return absl::FailedPreconditionError(
          absl::StrCat("create directory ", path, ": Not a directory"));
    }
    state_->directories.insert(path);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> MemFileSystem::List(const std::string& raw_path) {
  const std::string path = Normal(raw_path);
  MutexLock lock(state_->mutex);
  RETURN_IF_ERROR(state_->Begin());
  if (!state_->IsDirectory(path)) return NotFound("list", path);
  std::set<std::string> names;
  for (const auto& [name, file] : state_->files) {
    if (Parent(name) == path) names.insert(Name(name));
  }
  for (const std::string& name : state_->directories) {
    if (name != path && Parent(name) == path && !Name(name).empty()) names.insert(Name(name));
  }
  names.erase(".");
  return std::vector<std::string>(names.begin(), names.end());
}

absl::Status MemFileSystem::SyncDirectory(const std::string& raw_path) {
  const std::string path = Normal(raw_path);
  MutexLock lock(state_->mutex);
  RETURN_IF_ERROR(state_->Begin());
  if (!state_->IsDirectory(path)) return NotFound("open", path);
  std::erase_if(state_->durable_files,
                [&path](const auto& entry) { return Parent(entry.first) == path; });
  for (const auto& [name, file] : state_->files) {
    if (Parent(name) == path) state_->durable_files.emplace(name, file);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<FileLock>> MemFileSystem::Lock(const std::string& raw_path) {
  const std::string path = Normal(raw_path);
  MutexLock lock(state_->mutex);
  RETURN_IF_ERROR(state_->Begin());
  if (!state_->IsDirectory(Parent(path))) return NotFound("open", path);
  if (!state_->locks.insert(path).second) {
    return absl::FailedPreconditionError(absl::StrCat("lock ", path, ": held by process 1"));
  }
  std::shared_ptr<File>& file = state_->files[path];
  if (file == nullptr) file = std::make_shared<File>();
  return std::make_unique<LockHandle>(state_, path, state_->power_losses);
}

void MemFileSystem::LosePower() {
  MutexLock lock(state_->mutex);
  State::Tree left;
  for (const auto& [path, file] : state_->durable_files) left.emplace(path, Left(file->synced));
  state_->Restart(std::move(left));
}

void MemFileSystem::LosePowerUnevenly(absl::BitGenRef random) {
  MutexLock lock(state_->mutex);
  State::Tree left;
  for (const auto* tree : {&state_->durable_files, &state_->files}) {
    for (const auto& [path, file] : *tree) {
      const auto now = state_->files.find(path);
      const auto before = state_->durable_files.find(path);
      // A name is there in any case if both trees have it; of which file is chance.
      const bool both = now != state_->files.end() && before != state_->durable_files.end();
      const bool certain = both && (now->second == before->second || tree == &state_->files);
      if (left.contains(path) || (!certain && absl::Bernoulli(random, 0.5))) continue;
      left.emplace(path, Left(Torn(file->synced, file->content, random)));
    }
  }
  state_->Restart(std::move(left));
}

// What is left of `content`, of which `synced` is safe.
std::string MemFileSystem::Torn(const std::string& synced, const std::string& content,
                                absl::BitGenRef random) {
  constexpr size_t kSectorBytes = 512;
  if (synced == content) return synced;
  std::string out = synced;
  const size_t size = absl::Uniform<size_t>(
      absl::IntervalClosed, random, std::min(synced.size(), content.size()), content.size());
  out.resize(size, '\0');
  for (size_t at = 0; at < size; at += kSectorBytes) {
    if (absl::Bernoulli(random, 0.3)) continue;  // as it was; zero where it is new
    for (size_t i = at; i < std::min(size, at + kSectorBytes); ++i) out[i] = content[i];
  }
  return out;
}

std::shared_ptr<MemFileSystem::File> MemFileSystem::Left(std::string content) {
  auto file = std::make_shared<File>();
  file->synced = content;
  file->content = std::move(content);
  return file;
}

void MemFileSystem::FailAfter(int successes, absl::Status error, int more) {
  MutexLock lock(state_->mutex);
  state_->fail_after = successes;
  state_->failures = 1 + more;
  state_->failure = std::move(error);
}

void MemFileSystem::SetCapacity(uint64_t bytes) {
  MutexLock lock(state_->mutex);
  state_->capacity = bytes;
}

std::map<std::string, uint64_t> MemFileSystem::Sizes() const {
  MutexLock lock(state_->mutex);
  std::map<std::string, uint64_t> out;
  for (const auto& [path, file] : state_->files) out.emplace(path, file->content.size());
  return out;
}

int MemFileSystem::operations() const {
  MutexLock lock(state_->mutex);
  return state_->operations;
}

void MemFileSystem::Put(const std::string& raw_path, std::string_view content) {
  const std::string path = Normal(raw_path);
  MutexLock lock(state_->mutex);
  for (std::string p = Parent(path); !state_->IsDirectory(p); p = Parent(p)) {
    state_->directories.insert(p);
  }
  const std::shared_ptr<File> file = Left(std::string(content));
  state_->files[path] = file;
  state_->durable_files[path] = file;
}

}  // namespace trawl

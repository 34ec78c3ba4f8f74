#include "core/base/file_system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

absl::Status ErrnoStatus(int error, std::string_view what, const std::string& path) {
  return absl::ErrnoToStatus(error, absl::StrCat(what, " ", path));
}

// An open descriptor, closed when it goes.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

absl::StatusOr<Descriptor> Open(const std::string& path, int flags, mode_t mode = 0640) {
  int fd;
  do {
    fd = open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return ErrnoStatus(errno, "open", path);
  return Descriptor(fd);
}

// A file that bytes are kept in. Of a pipe or a device this does not wait for anybody.
absl::StatusOr<Descriptor> OpenRegular(const std::string& path, int flags) {
  absl::StatusOr<Descriptor> file = Open(path, flags | O_NONBLOCK);
  struct stat info;
  const bool known = (file.ok() ? fstat(file->get(), &info) : stat(path.c_str(), &info)) == 0;
  if (known && !S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat("open ", path, ": no regular file"));
  }
  return file;
}

absl::Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoStatus(errno, "write", path);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadAll(int fd, const std::string& path) {
  struct stat info;
  std::string content;
  if (fstat(fd, &info) == 0 && info.st_size > 0) {
    content.reserve(static_cast<size_t>(info.st_size));
  }
  // Read to the end, whatever fstat said: /proc and pipes have no size.
  std::string block(size_t{64} << 10, '\0');
  while (true) {
    const ssize_t got = read(fd, block.data(), block.size());
    if (got == 0) return content;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "read", path);
    content.append(block.data(), static_cast<size_t>(got));
  }
}

class PosixWritableFile final : public WritableFile {
 public:
  PosixWritableFile(std::string path, Descriptor file)
      : path_(std::move(path)), file_(std::move(file)) {}

  absl::Status Append(std::string_view bytes) override {
    return WriteAll(file_.get(), bytes, path_);
  }

  absl::Status Sync() override {
    return fdatasync(file_.get()) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "sync", path_);
  }

 private:
  const std::string path_;
  const Descriptor file_;
};

class PosixRandomAccessFile final : public RandomAccessFile {
 public:
  PosixRandomAccessFile(std::string path, Descriptor file)
      : path_(std::move(path)), file_(std::move(file)) {}

  absl::StatusOr<std::string> ReadAt(uint64_t offset, size_t size) override {
    std::string bytes(size, '\0');
    size_t got = 0;
    while (got < size) {
      const ssize_t n =
          pread(file_.get(), bytes.data() + got, size - got, static_cast<off_t>(offset + got));
      if (n == 0) break;
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return ErrnoStatus(errno, "read", path_);
      got += static_cast<size_t>(n);
    }
    bytes.resize(got);
    return bytes;
  }

  absl::StatusOr<uint64_t> Size() override {
    struct stat info;
    if (fstat(file_.get(), &info) != 0) return ErrnoStatus(errno, "stat", path_);
    return static_cast<uint64_t>(info.st_size);
  }

 private:
  const std::string path_;
  const Descriptor file_;
};

class PosixUpdatableFile final : public UpdatableFile {
 public:
  PosixUpdatableFile(std::string path, Descriptor file)
      : path_(std::move(path)), file_(std::move(file)) {}

  absl::Status WriteAt(uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return ErrnoStatus(errno, "write", path_);
      bytes.remove_prefix(static_cast<size_t>(n));
      offset += static_cast<uint64_t>(n);
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    return fdatasync(file_.get()) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "sync", path_);
  }

 private:
  const std::string path_;
  const Descriptor file_;
};

class PosixFileLock final : public FileLock {
 public:
  explicit PosixFileLock(Descriptor file) : file_(std::move(file)) {}

 private:
  const Descriptor file_;  // closing it releases the lock
};

absl::Status HeldByAnother(int fd, const std::string& path) {
  const absl::StatusOr<std::string> content = ReadAll(fd, path);
  uint32_t pid = 0;
  const bool known = content.ok() && absl::SimpleAtoi(*content, &pid);
  return absl::FailedPreconditionError(
      absl::StrCat("lock ", path, ": held by ",
                   known ? absl::StrCat("process ", pid) : std::string("another process")));
}

absl::Status WriteAndSync(FileSystem& fs, const std::string& path, std::string_view content) {
  ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file, fs.OpenForAppend(path, true));
  RETURN_IF_ERROR(file->Append(content));
  return file->Sync();
}

}  // namespace

absl::StatusOr<std::unique_ptr<WritableFile>> PosixFileSystem::OpenForAppend(
    const std::string& path, bool truncate) {
  const int flags = O_WRONLY | O_CREAT | O_APPEND | (truncate ? O_TRUNC : 0);
  ASSIGN_OR_RETURN(Descriptor file, OpenRegular(path, flags));
  return std::make_unique<PosixWritableFile>(path, std::move(file));
}

absl::StatusOr<std::unique_ptr<RandomAccessFile>> PosixFileSystem::OpenForRead(
    const std::string& path) {
  ASSIGN_OR_RETURN(Descriptor file, OpenRegular(path, O_RDONLY));
  return std::make_unique<PosixRandomAccessFile>(path, std::move(file));
}

absl::StatusOr<std::unique_ptr<UpdatableFile>> PosixFileSystem::OpenForUpdate(
    const std::string& path) {
  ASSIGN_OR_RETURN(Descriptor file, OpenRegular(path, O_WRONLY | O_CREAT));
  return std::make_unique<PosixUpdatableFile>(path, std::move(file));
}

absl::StatusOr<uint64_t> PosixFileSystem::FreeBytes(const std::string& path) {
  struct statvfs info;
  if (statvfs(path.c_str(), &info) != 0) return ErrnoStatus(errno, "free space of", path);
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

absl::StatusOr<std::string> PosixFileSystem::ReadFile(const std::string& path) {
  ASSIGN_OR_RETURN(const Descriptor file, Open(path, O_RDONLY));
  return ReadAll(file.get(), path);
}

absl::Status PosixFileSystem::Rename(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, "rename", absl::StrCat(from, " to ", to));
}

absl::Status PosixFileSystem::Remove(const std::string& path) {
  return remove(path.c_str()) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "remove", path);
}

absl::Status PosixFileSystem::CreateDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return ErrnoStatus(error.value(), "create directory", path);
  return std::filesystem::is_directory(path, error)
             ? absl::OkStatus()
             : ErrnoStatus(ENOTDIR, "create directory", path);
}

absl::StatusOr<std::vector<std::string>> PosixFileSystem::List(const std::string& path) {
  std::error_code error;
  std::filesystem::directory_iterator entry(path, error);
  std::vector<std::string> names;
  while (!error && entry != std::filesystem::directory_iterator()) {
    names.push_back(entry->path().filename().string());
    entry.increment(error);
  }
  if (error) return ErrnoStatus(error.value(), "list", path);
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status PosixFileSystem::SyncDirectory(const std::string& path) {
  ASSIGN_OR_RETURN(const Descriptor directory, Open(path, O_RDONLY | O_DIRECTORY));
  return fsync(directory.get()) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "sync", path);
}

absl::StatusOr<std::unique_ptr<FileLock>> PosixFileSystem::Lock(const std::string& path) {
  ASSIGN_OR_RETURN(Descriptor file, Open(path, O_RDWR | O_CREAT));
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return HeldByAnother(file.get(), path);
    return ErrnoStatus(errno, "lock", path);
  }
  // The pid is for people; the lock is the kernel's, so an old pid in the file does no harm, nor
  // does none on a full disk.
  if (ftruncate(file.get(), 0) != 0) return ErrnoStatus(errno, "truncate", path);
  WriteAll(file.get(), absl::StrCat(getpid(), "\n"), path).IgnoreError();
  return std::make_unique<PosixFileLock>(std::move(file));
}

absl::Status CreateLastDirectory(FileSystem& fs, const std::string& path) {
  const absl::Status parent = fs.List(DirectoryOf(path)).status();
  return absl::IsNotFound(parent) ? parent : fs.CreateDirectory(path);
}

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string JoinPath(const std::string& directory, const std::string& path) {
  std::string joined =
      std::filesystem::path(absl::StrCat(directory, "/", path)).lexically_normal().string();
  if (joined.size() > 1 && joined.ends_with('/')) joined.pop_back();
  return joined;
}

absl::Status WriteFileDurably(FileSystem& fs, const std::string& path, std::string_view content) {
  const std::string temporary = path + ".tmp";
  absl::Status status = WriteAndSync(fs, temporary, content);
  if (status.ok()) status = fs.Rename(temporary, path);
  if (!status.ok()) {
    fs.Remove(temporary).IgnoreError();
    return status;
  }
  return fs.SyncDirectory(DirectoryOf(path));
}

}  // namespace trawl

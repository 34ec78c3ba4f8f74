#include "core/discovery/config_sources.h"

#include <fnmatch.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/log.h"
#include "core/config/target_groups.h"

namespace trawl {
namespace {

constexpr char kStatic[] = "static";
constexpr char kFile[] = "file";

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Runs a callback when as many parts as were added have finished.
class Joined {
 public:
  explicit Joined(absl::AnyInvocable<void()> done)
      : state_(std::make_shared<State>(State{1, std::move(done)})) {}
  absl::AnyInvocable<void()> Part() {
    ++state_->left;
    return [state = state_] { Finish(*state); };
  }
  void Close() { Finish(*state_); }

 private:
  struct State {
    size_t left;
    absl::AnyInvocable<void()> done;
  };
  static void Finish(State& state) {
    if (--state.left == 0 && state.done) state.done();
  }
  std::shared_ptr<State> state_;
};

}  // namespace

absl::StatusOr<std::vector<std::string>> ExpandPattern(FileSystem& files,
                                                       const std::string& pattern) {
  const std::string directory = DirectoryOf(pattern);
  const size_t slash = pattern.rfind('/');
  const std::string last = slash == std::string::npos ? pattern : pattern.substr(slash + 1);
  const std::string prefix = slash == std::string::npos ? "" : pattern.substr(0, slash + 1);
  auto names = files.List(directory);
  if (absl::IsNotFound(names.status())) return std::vector<std::string>{};
  if (!names.ok()) return names.status();
  std::vector<std::string> paths;
  for (const std::string& name : *names) {
    if (fnmatch(last.c_str(), name.c_str(), FNM_PERIOD) == 0) paths.push_back(prefix + name);
  }
  return paths;
}

// The names are claimed while the configuration has no such source, too: what a client had pushed
// under one of them could never be taken back once it has.
ConfigSources::ConfigSources(const Deps& deps) : deps_(deps) {
  deps_.discovery.sets().Claim(kStatic, SourceView::Kind::kStatic);
  deps_.discovery.sets().Claim(kFile, SourceView::Kind::kFile);
}

ConfigSources::~ConfigSources() {
  for (auto& [job, state] : file_jobs_) deps_.loop.Cancel(state.timer);
  if (inotify_fd_ >= 0) {
    deps_.fds.Unwatch(inotify_fd_);
    close(inotify_fd_);
  }
}

void ConfigSources::ApplyAsync(std::shared_ptr<const Config> config,
                               absl::AnyInvocable<void()> done) {
  deps_.loop.Post([this, config = std::move(config), done = std::move(done)]() mutable {
    Apply(*config, std::move(done));
  });
}

void ConfigSources::Apply(const Config& config, absl::AnyInvocable<void()> done) {
  Joined joined(std::move(done));
  DropOldJobs(config, joined.Part());
  for (const ScrapeConfig& job : config.scrape_configs) {
    if (!job.static_configs.empty()) {
      static_jobs_.insert(job.job_name);
      deps_.discovery.SetConfigured(kStatic, SourceView::Kind::kStatic, job.job_name,
                                    job.static_configs, joined.Part());
    }
    if (job.file_sd_configs.empty()) continue;
    FileJob& state = file_jobs_[job.job_name];
    state.patterns.clear();
    state.refresh_interval = job.file_sd_configs.front().refresh_interval;
    for (const FileSdConfig& sd : job.file_sd_configs) {
      state.patterns.insert(state.patterns.end(), sd.files.begin(), sd.files.end());
      state.refresh_interval = std::min(state.refresh_interval, sd.refresh_interval);
    }
    Refresh(job.job_name, joined.Part());
    ArmTimer(job.job_name);
  }
  WatchDirectories();
  joined.Close();
}

void ConfigSources::DropOldJobs(const Config& config, absl::AnyInvocable<void()> done) {
  Joined joined(std::move(done));
  for (auto it = static_jobs_.begin(); it != static_jobs_.end();) {
    const ScrapeConfig* job = config.FindJob(*it);
    if (job != nullptr && !job->static_configs.empty()) {
      ++it;
      continue;
    }
    deps_.discovery.SetConfigured(kStatic, SourceView::Kind::kStatic, *it, {}, joined.Part());
    it = static_jobs_.erase(it);
  }
  for (auto it = file_jobs_.begin(); it != file_jobs_.end();) {
    const ScrapeConfig* job = config.FindJob(it->first);
    if (job != nullptr && !job->file_sd_configs.empty()) {
      ++it;
      continue;
    }
    deps_.loop.Cancel(it->second.timer);
    deps_.discovery.SetConfigured(kFile, SourceView::Kind::kFile, it->first, {}, joined.Part());
    it = file_jobs_.erase(it);
  }
  joined.Close();
}

void ConfigSources::Refresh(const std::string& job, absl::AnyInvocable<void()> done) {
  FileJob& state = file_jobs_.at(job);
  std::set<std::string> present;
  for (const std::string& pattern : state.patterns) {
    auto paths = ExpandPattern(deps_.files, pattern);
    if (!paths.ok()) {
      LogError("Error expanding glob", {{"component", "discovery"},
                                        {"config", job},
                                        {"pattern", pattern},
                                        {"err", paths.status()}});
      continue;
    }
    for (const std::string& path : *paths) {
      if (present.insert(path).second) ReadFile(job, path, state);
    }
  }
  std::erase_if(state.files, [&](const auto& file) { return !present.contains(file.first); });
  std::vector<TargetGroup> groups;
  for (const auto& [path, content] : state.files) {
    groups.insert(groups.end(), content.begin(), content.end());
  }
  deps_.discovery.SetConfigured(kFile, SourceView::Kind::kFile, job, std::move(groups),
                                std::move(done));
}

void ConfigSources::ReadFile(const std::string& job, const std::string& path, FileJob& state) {
  absl::StatusOr<std::string> text = deps_.files.ReadFile(path);
  absl::StatusOr<std::vector<TargetGroup>> groups =
      text.ok() ? ParseTargetGroups(*text, path) : text.status();
  if (!groups.ok()) {
    deps_.metrics.file_read_errors_total.Increment();
    LogError(
        "Error reading file",
        {{"component", "discovery"}, {"config", job}, {"path", path}, {"err", groups.status()}});
    return;
  }
  for (TargetGroup& group : *groups) {
    LabelsBuilder labels(group.labels);
    labels.Set("__meta_filepath", path);
    group.labels = std::move(labels).Build();
  }
  state.files[path] = *std::move(groups);
}

void ConfigSources::ArmTimer(const std::string& job) {
  FileJob& state = file_jobs_.at(job);
  deps_.loop.Cancel(state.timer);
  state.timer = deps_.loop.RunAfter(state.refresh_interval, [this, job] {
    Refresh(job, {});
    ArmTimer(job);
  });
}

void ConfigSources::WatchDirectories() {
  std::set<std::string> wanted;
  for (const auto& [job, state] : file_jobs_) {
    for (const std::string& pattern : state.patterns) wanted.insert(DirectoryOf(pattern));
  }
  if (wanted.empty() && inotify_fd_ < 0) return;
  if (inotify_fd_ < 0) {
    inotify_fd_ = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (inotify_fd_ < 0) {
      LogWarn("Can't watch files, they are read every refresh_interval", {});
      return;
    }
    deps_.fds.Watch(inotify_fd_, FdWatcher::kReadable, [this](uint32_t) { OnDirectoryEvents(); });
  }
  for (auto it = watches_.begin(); it != watches_.end();) {
    if (wanted.erase(it->second) > 0) {
      ++it;
      continue;
    }
    inotify_rm_watch(inotify_fd_, it->first);
    it = watches_.erase(it);
  }
  for (const std::string& directory : wanted) {
    const int watch = inotify_add_watch(
        inotify_fd_, directory.c_str(),
        IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ONLYDIR);
    if (watch >= 0) {
      watches_[watch] = directory;
    } else {
      LogWarn("Can't watch directory, its files are read every refresh_interval",
              {{"directory", directory}});
    }
  }
}

void ConfigSources::OnDirectoryEvents() {
  alignas(inotify_event) std::array<char, 16384> buffer;
  std::set<std::string> directories;
  bool overflow = false;
  for (;;) {
    const ssize_t size = read(inotify_fd_, buffer.data(), buffer.size());
    if (size <= 0) break;
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      overflow = overflow || (event->mask & IN_Q_OVERFLOW) != 0;
      auto it = watches_.find(event->wd);
      if (it != watches_.end()) directories.insert(it->second);
      at += static_cast<ssize_t>(sizeof(inotify_event)) + event->len;
    }
  }
  for (const auto& [job, state] : file_jobs_) {
    const bool touched = std::any_of(
        state.patterns.begin(), state.patterns.end(),
        [&](const std::string& pattern) { return directories.contains(DirectoryOf(pattern)); });
    if (touched || overflow) Refresh(job, {});
  }
}

}  // namespace trawl

#include "core/discovery/config_sources.h"

#include <algorithm>
#include <utility>

#include "core/base/log.h"

namespace trawl {
namespace {

constexpr char kStatic[] = "static";
constexpr char kFile[] = "file";

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

// The names are claimed while the configuration has no such source, too: what a client had pushed
// under one of them could never be taken back once it has.
ConfigSources::ConfigSources(const Deps& deps)
    : deps_(deps), watch_(deps.fds, [this](const std::set<std::string>& directories) {
        OnDirectoryEvents(directories);
      }) {
  deps_.discovery.sets().Claim(kStatic, SourceView::Kind::kStatic);
  deps_.discovery.sets().Claim(kFile, SourceView::Kind::kFile);
}

ConfigSources::~ConfigSources() {
  for (auto& [job, state] : file_jobs_) deps_.loop.Cancel(state.timer);
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
    std::vector<std::string> patterns;
    state.refresh_interval = job.file_sd_configs.front().refresh_interval;
    for (const FileSdConfig& sd : job.file_sd_configs) {
      patterns.insert(patterns.end(), sd.files.begin(), sd.files.end());
      state.refresh_interval = std::min(state.refresh_interval, sd.refresh_interval);
    }
    state.files.SetPatterns(std::move(patterns));
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
  TargetFiles& files = file_jobs_.at(job).files;
  for (const TargetFiles::Problem& problem : files.Refresh(deps_.files)) {
    if (!problem.pattern) deps_.metrics.file_read_errors_total.Increment();
    LogError(problem.pattern ? "Error expanding glob" : "Error reading file",
             {{"component", "discovery"},
              {"config", job},
              {problem.pattern ? "pattern" : "path", problem.path},
              {"err", problem.status}});
  }
  deps_.discovery.SetConfigured(kFile, SourceView::Kind::kFile, job, files.Groups(),
                                std::move(done));
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
  for (const auto& [job, state] : file_jobs_) wanted.merge(state.files.Directories());
  watch_.Set(std::move(wanted));
}

void ConfigSources::OnDirectoryEvents(const std::set<std::string>& directories) {
  for (const auto& [job, state] : file_jobs_) {
    const std::set<std::string> watched = state.files.Directories();
    const bool touched =
        std::any_of(watched.begin(), watched.end(),
                    [&](const std::string& directory) { return directories.contains(directory); });
    if (touched) Refresh(job, {});
  }
}

}  // namespace trawl

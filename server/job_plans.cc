#include "server/job_plans.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/text.h"
#include "core/config/glob.h"
#include "core/config/target_files.h"
#include "core/scrape/job_plan.h"
#include "server/proto_conversions.h"
#include "server/status_conversions.h"

namespace trawl {
namespace {

namespace pb = status::v1;

constexpr char kStatic[] = "static";
constexpr char kFile[] = "file";

using Groups = std::vector<OwnedGroup>;

void Warn(std::string message, std::vector<ConfigWarning>& warnings) {
  ConfigWarning warning;
  warning.message = std::move(message);
  warnings.push_back(std::move(warning));
}

void AddGroup(const char* source, TargetGroup group, Groups& out) {
  out.push_back({source, std::make_shared<const TargetGroup>(std::move(group))});
}

// What the job's file_sd_configs give, read now.
class FileGroups {
 public:
  FileGroups(const JobPlansInput& input, const Groups& before, Groups& out)
      : input_(input), before_(before), out_(out) {}

  void Add(const ScrapeConfig& job) {
    for (const FileSdConfig& sd : job.file_sd_configs) {
      for (const std::string& pattern : sd.files) AddPattern(pattern);
    }
    if (!all_known_) KeepTheOthers();
  }
  // Patterns that may not be looked up.
  const std::set<std::string>& not_read() const { return not_read_; }

 private:
  void AddPattern(const std::string& pattern) {
    if (input_.readable_patterns != nullptr && !input_.readable_patterns->contains(pattern)) {
      not_read_.insert(pattern);
      return AddReadableOf(pattern);
    }
    const auto paths = ExpandGlob(input_.files, pattern);
    if (!paths.ok()) {
      all_known_ = false;
      return;
    }
    for (const std::string& path : *paths) {
      if (read_.insert(path).second) AddFile(path);
    }
  }

  // The files of the pattern that another one, which may be read, names as well.
  void AddReadableOf(const std::string& pattern) {
    for (const std::string& readable : *input_.readable_patterns) {
      const auto paths = ExpandGlob(input_.files, readable);
      if (!paths.ok()) continue;
      for (const std::string& path : *paths) {
        if (Names(pattern, path) && read_.insert(path).second) AddFile(path);
      }
    }
  }

  static bool Names(const std::string& pattern, const std::string& path) {
    return DirectoryOf(pattern) == DirectoryOf(path) &&
           MatchGlob(pattern.substr(pattern.rfind('/') + 1), path.substr(path.rfind('/') + 1));
  }

  void AddFile(const std::string& path) {
    absl::StatusOr<std::vector<TargetGroup>> groups = ReadTargetFile(input_.files, path);
    if (groups.ok()) {
      for (TargetGroup& group : *groups) AddGroup(kFile, std::move(group), out_);
      return;
    }
    // It keeps what it last gave.
    for (const OwnedGroup& group : before_) {
      if (group.source == kFile && PathOf(group) == path) out_.push_back(group);
    }
  }

  // While a pattern can't be looked up, no file counts as gone.
  void KeepTheOthers() {
    for (const OwnedGroup& group : before_) {
      if (group.source == kFile && !read_.contains(PathOf(group))) out_.push_back(group);
    }
  }

  static std::string PathOf(const OwnedGroup& group) {
    return std::string(group.group->labels.Get("__meta_filepath"));
  }

  const JobPlansInput& input_;
  const Groups& before_;
  Groups& out_;
  bool all_known_ = true;  // each pattern that may be looked up could be
  std::set<std::string> read_;
  std::set<std::string> not_read_;
};

// What is wanted of the job under its new config: what was pushed stays, the rest is the config's.
// The patterns whose files may not be read go to `not_read`.
Groups GroupsAfter(const JobPlansInput& input, const ScrapeConfig& job, const Groups& before,
                   std::set<std::string>& not_read) {
  Groups out;
  for (const OwnedGroup& group : before) {
    if (group.source != kStatic && group.source != kFile) out.push_back(group);
  }
  for (const TargetGroup& group : job.static_configs) AddGroup(kStatic, group, out);
  FileGroups files(input, before, out);
  files.Add(job);
  not_read = files.not_read();
  return out;
}

bool Same(const OwnedGroups& a, const OwnedGroups& b) {
  return std::ranges::equal(a, b, [](const OwnedGroup& x, const OwnedGroup& y) {
    return x.source == y.source && *x.group == *y.group;
  });
}

Groups GroupsOf(const PoolStatus& pool) {
  Groups out;
  for (const auto& group : pool.groups) out.push_back({group->origin->source, group->group});
  return out;
}

class TargetLister {
 public:
  TargetLister(size_t max, pb::JobPlan& out) : max_(max), out_(out) {}

  pb::TargetPlan* Add(pb::TargetPlan::Change change, const Target& target) {
    if (static_cast<size_t>(out_.targets_size()) >= max_) return nullptr;
    pb::TargetPlan& plan = *out_.add_targets();
    plan.set_change(change);
    *plan.mutable_target() = ToProto(out_.job(), target);
    return &plan;
  }

 private:
  const size_t max_;
  pb::JobPlan& out_;
};

void SetTargets(const JobPlan& plan, size_t max_targets, pb::JobPlan& out) {
  out.set_added(plan.added.size());
  out.set_removed(plan.removed.size());
  out.set_restarted(plan.restarted.size());
  out.set_unchanged(plan.unchanged);
  TargetLister lister(max_targets, out);
  for (const auto& target : plan.added) lister.Add(pb::TargetPlan::ADDED, *target);
  for (const auto& target : plan.removed) lister.Add(pb::TargetPlan::REMOVED, *target);
  for (const JobPlan::Restart& restart : plan.restarted) {
    pb::TargetPlan* const listed = lister.Add(pb::TargetPlan::RESTARTED, *restart.target);
    if (listed == nullptr) return;
    listed->mutable_fields()->Add(restart.fields.begin(), restart.fields.end());
    listed->set_keeps_cache(plan.keeps_cache);
  }
}

class Planner {
 public:
  Planner(const JobPlansInput& input, std::vector<ConfigWarning>& warnings)
      : input_(input), warnings_(warnings) {
    for (const auto& pool : input_.pools.pools) pools_[pool->job] = pool.get();
    for (const auto& job : input_.pools.pending) pending_[job->job] = job.get();
  }

  pb::JobPlan Plan(const std::string& job) {
    const PoolStatus* const pool = pools_.contains(job) ? pools_.at(job) : nullptr;
    Groups groups;
    if (pool != nullptr) {
      groups = GroupsOf(*pool);
    } else if (pending_.contains(job)) {
      for (const OwnedGroup& group : pending_.at(job)->groups) groups.push_back(group);
    }
    const PlannedJob before{pool == nullptr ? nullptr : pool->config.get(),
                            FirstScrapeOf(input_.running, job), groups};
    PlannedJob after;
    after.config = input_.next.config->FindJob(job);
    after.first_scrape = FirstScrapeOf(input_.next, job);
    std::set<std::string> not_read;
    if (after.config != nullptr) {
      after.groups = GroupsAfter(input_, *after.config, groups, not_read);
    }
    pb::JobPlan out;
    out.set_job(job);
    out.mutable_files_not_read()->Add(not_read.begin(), not_read.end());
    for (const std::string& pattern : not_read) WarnOfFiles(job, pattern);
    const JobPlan plan = IsUntouched(before, after) ? Untouched(*pool) : PlanJob(before, after);
    out.set_change(ChangeOf(job, plan));
    out.mutable_fields()->Add(plan.fields.begin(), plan.fields.end());
    SetTargets(plan, input_.max_targets, out);
    if (after.config != nullptr) WarnOfTargetLimit(*after.config, plan.targets_after());
    return out;
  }

 private:
  static FirstScrape FirstScrapeOf(const LoadedConfig& config, const std::string& job) {
    return config.trawl_config->ForJob(job).first_scrape;
  }

  // Nothing to build: the targets are those that are there.
  static bool IsUntouched(const PlannedJob& before, const PlannedJob& after) {
    return before.config != nullptr && after.config != nullptr && *before.config == *after.config &&
           before.first_scrape == after.first_scrape && Same(before.groups, after.groups);
  }
  static JobPlan Untouched(const PoolStatus& pool) {
    JobPlan plan;
    plan.unchanged = pool.active.size();
    return plan;
  }

  pb::JobPlan::Change ChangeOf(const std::string& job, const JobPlan& plan) const {
    const bool was = input_.running.config->FindJob(job) != nullptr;
    const bool is = input_.next.config->FindJob(job) != nullptr;
    if (was != is) return is ? pb::JobPlan::ADDED : pb::JobPlan::REMOVED;
    return plan.fields.empty() ? pb::JobPlan::UNCHANGED : pb::JobPlan::CHANGED;
  }

  void WarnOfFiles(const std::string& job, const std::string& pattern) {
    Warn(absl::StrCat("job ", job, ": the targets of file_sd_configs ", GoQuote(pattern),
                      " are not counted, but for files that the running configuration names: "
                      "more may be added, and fewer removed"),
         warnings_);
  }

  void WarnOfTargetLimit(const ScrapeConfig& job, uint64_t targets) {
    if (job.target_limit == 0 || targets <= job.target_limit) return;
    Warn(absl::StrCat("job ", job.job_name, ": target_limit exceeded (number of targets: ", targets,
                      ", limit: ", job.target_limit, "): every scrape fails"),
         warnings_);
  }

  const JobPlansInput& input_;
  std::vector<ConfigWarning>& warnings_;
  std::map<std::string, const PoolStatus*> pools_;
  std::map<std::string, const DesiredTargets*> pending_;
};

}  // namespace

std::vector<pb::JobPlan> PlanJobs(const JobPlansInput& input,
                                  std::vector<ConfigWarning>& warnings) {
  std::set<std::string> names;
  for (const LoadedConfig* config : {&input.running, &input.next}) {
    for (const ScrapeConfig& job : config->config->scrape_configs) names.insert(job.job_name);
  }
  Planner planner(input, warnings);
  std::vector<pb::JobPlan> out;
  out.reserve(names.size());
  for (const std::string& name : names) out.push_back(planner.Plan(name));
  return out;
}

}  // namespace trawl

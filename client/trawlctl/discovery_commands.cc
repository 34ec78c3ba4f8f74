#include <cstdio>
#include <iostream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/trawlctl/commands.h"
#include "client/trawlctl/format.h"
#include "client/trawlctl/output.h"
#include "client/trawlctl/program.h"
#include "client/trawlctl/usage.h"
#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/status_macros.h"
#include "core/config/target_groups.h"

namespace trawl {
namespace {

struct PushOptions {
  std::string file;  // file_sd's JSON or YAML; "-" for standard input
  std::string job;
  std::string source = "trawlctl";
  bool allow_shrink = false;  // its removals are meant, however many
  bool dry_run = false;
  bool json = false;
};

struct UpdateOptions {
  std::string job;
  std::string source = "trawlctl";
  std::string key;                   // of the group that is put; "" for none
  std::vector<std::string> targets;  // of that group
  std::vector<std::string> labels;   // of that group: name=value
  std::vector<std::string> remove;   // keys of groups that go
  bool allow_shrink = false;
  bool dry_run = false;
  bool json = false;
};

struct AcceptOptions {
  std::string source;
  std::string what = "removals";  // removals, restored, discard
  std::vector<std::string> jobs;  // none: all
  bool dry_run = false;
  bool json = false;
};

struct ReleaseOptions {
  std::string source;
  bool remove_targets = false;
  bool force = false;
  bool dry_run = false;
  bool json = false;
};

struct SourcesOptions {
  bool json = false;
};

struct GroupsOptions {
  std::string source;  // "": all
  std::string job;     // "": all
  bool json = false;
};

using discovery::v1::DiscoveryService;

absl::StatusOr<std::string> ReadInput(const std::string& file) {
  if (file == "-") {
    return std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  }
  return PosixFileSystem().ReadFile(file);
}

void AddGroup(const TargetGroup& group, const std::string& job,
              discovery::v1::PushRequest& request) {
  discovery::v1::TargetGroup& out = *request.add_groups();
  out.set_job(job);
  for (const std::string& target : group.targets) out.add_targets(target);
  for (const Label& label : group.labels) (*out.mutable_labels())[label.name] = label.value;
}

std::string StateOf(const discovery::v1::Group& group) {
  if (group.refused_size() > 0) return "refused";
  return group.pending() ? "pending" : "";
}

void PrintIssues(const discovery::v1::Ack& ack) {
  for (const auto& issue : ack.issues()) {
    std::fprintf(stderr, "%s: %s%s%s\n",
                 issue.severity() == discovery::v1::Issue::ERROR ? "error" : "warning",
                 issue.field().c_str(), issue.field().empty() ? "" : ": ", issue.detail().c_str());
  }
}

// Of a push or an update.
template <typename Response, typename Options>
absl::Status PrintResult(const Response& response, const Options& options) {
  PrintIssues(response.result());
  if (options.json) return PrintJson(std::vector{response});
  const auto& counts = response.result().counts();
  const std::string held = counts.held() > 0 ? absl::StrCat(", ", counts.held(), " held") : "";
  Print(absl::StrCat(discovery::v1::Ack::Status_Name(response.result().status()), ": ",
                     counts.added(), " added, ", counts.removed(), " removed, ", counts.unchanged(),
                     " unchanged", held, "; ", counts.targets(), " targets in ", counts.groups(),
                     " groups of source ", options.source, options.dry_run ? " (dry run)" : "",
                     "\n"));
  return absl::OkStatus();
}

absl::Status SetLabels(const std::vector<std::string>& labels, discovery::v1::TargetGroup& group) {
  for (const std::string& label : labels) {
    const std::vector<std::string> parts = absl::StrSplit(label, absl::MaxSplits('=', 1));
    if (parts.size() != 2 || parts[0].empty()) {
      return UsageError(absl::StrCat("--label ", label, ": want name=value"));
    }
    (*group.mutable_labels())[parts[0]] = parts[1];
  }
  return absl::OkStatus();
}

// Replaces what `source` has in `job` by the file's groups.
absl::Status RunPush(Connection& connection, const PushOptions& options) {
  ASSIGN_OR_RETURN(const std::string text, ReadInput(options.file));
  ASSIGN_OR_RETURN(const std::vector<TargetGroup> groups, ParseTargetGroups(text, options.file));
  discovery::v1::PushRequest request;
  request.set_source(options.source);
  request.add_jobs(options.job);
  request.set_dry_run(options.dry_run);
  request.set_allow_shrink(options.allow_shrink);
  for (const TargetGroup& group : groups) AddGroup(group, options.job, request);
  discovery::v1::PushResponse response;
  RETURN_IF_ERROR(
      connection.Call(connection.discovery(), &DiscoveryService::Stub::Push, request, response));
  return PrintResult(response, options);
}

// Puts a group of `source` in `job` and removes others; none at all renews the source's lease.
absl::Status RunUpdate(Connection& connection, const UpdateOptions& options) {
  if (options.job.empty() && !(options.key.empty() && options.remove.empty())) {
    return UsageError("groups belong to a job: give --job");
  }
  discovery::v1::UpdateRequest request;
  request.set_source(options.source);
  request.set_dry_run(options.dry_run);
  request.set_allow_shrink(options.allow_shrink);
  for (const std::string& key : options.remove) {
    request.add_remove()->set_job(options.job);
    request.mutable_remove()->rbegin()->set_key(key);
  }
  if (!options.key.empty()) {
    discovery::v1::TargetGroup& group = *request.add_upsert();
    group.set_job(options.job);
    group.set_key(options.key);
    group.mutable_targets()->Add(options.targets.begin(), options.targets.end());
    RETURN_IF_ERROR(SetLabels(options.labels, group));
  } else if (!options.targets.empty() || !options.labels.empty()) {
    return UsageError("targets and labels belong to a group: give its --key");
  }
  discovery::v1::UpdateResponse response;
  RETURN_IF_ERROR(
      connection.Call(connection.discovery(), &DiscoveryService::Stub::Update, request, response));
  return PrintResult(response, options);
}

// Decides about what is held of a source.
absl::Status RunAccept(Connection& connection, const AcceptOptions& options) {
  using Request = discovery::v1::AcceptHeldRequest;
  Request request;
  request.set_source(options.source);
  request.set_what(options.what == "restored"  ? Request::RESTORED
                   : options.what == "discard" ? Request::DISCARD_REMOVALS
                                               : Request::REMOVALS);
  request.mutable_jobs()->Add(options.jobs.begin(), options.jobs.end());
  request.set_dry_run(options.dry_run);
  discovery::v1::AcceptHeldResponse response;
  RETURN_IF_ERROR(connection.Call(connection.discovery(), &DiscoveryService::Stub::AcceptHeld,
                                  request, response));
  if (options.json) return PrintJson(std::vector{response});
  const auto& counts = response.counts();
  Print(absl::StrCat("accepted: ", counts.removed(), " targets removed, ", counts.held(), " held, ",
                     counts.targets(), " listed", options.dry_run ? " (dry run)" : "", "\n"));
  return absl::OkStatus();
}

absl::Status RunRelease(Connection& connection, const ReleaseOptions& options) {
  discovery::v1::ReleaseRequest request;
  request.set_source(options.source);
  request.set_remove_targets(options.remove_targets);
  request.set_force(options.force);
  request.set_dry_run(options.dry_run);
  discovery::v1::ReleaseResponse response;
  RETURN_IF_ERROR(
      connection.Call(connection.discovery(), &DiscoveryService::Stub::Release, request, response));
  if (options.json) return PrintJson(std::vector{response});
  Print(absl::StrCat("released: ", response.counts().removed(), " targets removed, ",
                     response.counts().unchanged(), " kept", options.dry_run ? " (dry run)" : "",
                     "\n"));
  return absl::OkStatus();
}

absl::Status RunSources(Servers& servers, const SourcesOptions& options) {
  Listing listing({"SOURCE", "KIND", "STATE", "STREAM", "VERSION", "GROUPS", "TARGETS", "HELD",
                   "LAST HEARD", "PENDING JOBS"},
                  servers, options.json);
  const absl::Time now = SystemClock().Now();
  return listing.Print(servers.ForEach([&](const std::string& server, Connection& connection) {
    discovery::v1::ListSourcesResponse response;
    RETURN_IF_ERROR(connection.Call(connection.discovery(), &DiscoveryService::Stub::ListSources,
                                    discovery::v1::ListSourcesRequest(), response));
    for (const auto& source : response.sources()) {
      RETURN_IF_ERROR(listing.Add(
          server, source,
          {source.name(), discovery::v1::Source::Kind_Name(source.kind()),
           discovery::v1::Source::State_Name(source.state()), source.connected() ? "yes" : "no",
           absl::StrCat(source.applied_version()), absl::StrCat(source.counts().groups()),
           absl::StrCat(source.counts().targets()), absl::StrCat(source.counts().held()),
           FormatAgo(source.last_heard(), source.has_last_heard(), now),
           absl::StrJoin(source.pending_jobs(), ",")}));
    }
    return absl::OkStatus();
  }));
}

absl::Status RunGroups(Connection& connection, const GroupsOptions& options) {
  discovery::v1::ListGroupsRequest request;
  request.set_source(options.source);
  request.set_job(options.job);
  google::protobuf::RepeatedPtrField<discovery::v1::Group> groups;
  do {
    discovery::v1::ListGroupsResponse page;
    RETURN_IF_ERROR(connection.Call(connection.discovery(), &DiscoveryService::Stub::ListGroups,
                                    request, page));
    for (auto& group : *page.mutable_groups()) groups.Add(std::move(group));
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  if (options.json) return PrintJson(groups);
  std::vector<std::vector<std::string>> rows;
  for (const auto& group : groups) {
    rows.push_back({group.source(), group.group().job(), group.group().key(),
                    absl::StrCat(group.group().targets_size()),
                    absl::StrCat(group.held_targets_size()), StateOf(group),
                    FormatLabels(group.group().labels())});
  }
  Print(FormatTable({"SOURCE", "JOB", "KEY", "TARGETS", "HELD", "STATE", "LABELS"}, rows));
  return absl::OkStatus();
}

// ---- Their flags

void AddPush(Program& program) {
  const auto options = std::make_shared<PushOptions>();
  CLI::App* push =
      program.Add(program.app(), "push", "replace a source's targets in a job by those of a file",
                  options, RunPush);
  push->add_option("file", options->file, "groups as file_sd's JSON or YAML; - for stdin")
      ->required();
  push->add_option("--job", options->job, "the scrape config's job_name")->required();
  push->add_option("--source", options->source, "name of the owner")->capture_default_str();
  push->add_flag("--allow-shrink", options->allow_shrink,
                 "its removals are meant, however many, and those that are held");
  push->add_flag("--dry-run", options->dry_run, "check and count, change nothing");
}

void AddUpdate(Program& program) {
  const auto options = std::make_shared<UpdateOptions>();
  CLI::App* update = program.Add(program.app(), "update",
                                 "put or remove single groups of a source; none renews its lease",
                                 options, RunUpdate);
  update->add_option("targets", options->targets, "addresses of the group that is put");
  update->add_option("--job", options->job, "the scrape config's job_name");
  update->add_option("--source", options->source, "name of the owner")->capture_default_str();
  update->add_option("--key", options->key, "name of the group that is put");
  update->add_option("--label", options->labels, "name=value, of that group; repeatable")
      ->allow_extra_args(false);
  update->add_option("--remove", options->remove, "key of a group that goes; repeatable")
      ->allow_extra_args(false);
  update->add_flag("--allow-shrink", options->allow_shrink,
                   "its removals are meant, however many, and those that are held");
  update->add_flag("--dry-run", options->dry_run, "check and count, change nothing");
}

void AddSources(Program& program) {
  CLI::App* sources = program.AddListing("sources", "who pushed which number of targets",
                                         std::make_shared<SourcesOptions>(), RunSources);
  const auto options = std::make_shared<AcceptOptions>();
  CLI::App* accept =
      program.Add(*sources, "accept", "decide about what is held of a source", options, RunAccept);
  accept->add_option("source", options->source, "its name")->required();
  accept
      ->add_option("--what", options->what,
                   "removals: carry them out; discard: keep the targets until an update removes "
                   "them again; restored: scrape a source that is held")
      ->capture_default_str()
      ->check(CLI::IsMember({"removals", "restored", "discard"}));
  accept->add_option("--job", options->jobs, "only of this job; repeatable")
      ->allow_extra_args(false);
  accept->add_flag("--dry-run", options->dry_run, "count, change nothing");
}

void AddGroups(Program& program) {
  const auto options = std::make_shared<GroupsOptions>();
  CLI::App* groups =
      program.Add(program.app(), "groups", "target groups as applied", options, RunGroups);
  groups->add_option("--source", options->source, "only of this source");
  groups->add_option("--job", options->job, "only of this job");
}

void AddRelease(Program& program) {
  const auto options = std::make_shared<ReleaseOptions>();
  CLI::App* release =
      program.Add(program.app(), "release", "give a source up", options, RunRelease);
  release->add_option("source", options->source, "its name")->required();
  release->add_flag("--remove-targets", options->remove_targets,
                    "remove its targets; otherwise they stay");
  release->add_flag("--force", options->force, "whoever holds it");
  release->add_flag("--dry-run", options->dry_run, "count, change nothing");
}

}  // namespace

void AddDiscoveryCommands(Program& program) {
  AddPush(program);
  AddUpdate(program);
  AddSources(program);
  AddGroups(program);
  AddRelease(program);
}

}  // namespace trawl

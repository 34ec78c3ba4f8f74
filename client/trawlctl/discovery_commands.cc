#include <cstdio>
#include <iostream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/trawlctl/commands.h"
#include "client/trawlctl/format.h"
#include "client/trawlctl/output.h"
#include "client/trawlctl/usage.h"
#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/status_macros.h"
#include "core/config/target_groups.h"

namespace trawl {
namespace {

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

}  // namespace

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

absl::Status RunUpdate(Connection& connection, const UpdateOptions& options) {
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

absl::Status RunSources(Servers& servers, bool json) {
  Listing listing({"SOURCE", "KIND", "STATE", "STREAM", "VERSION", "GROUPS", "TARGETS", "HELD",
                   "LAST HEARD", "PENDING JOBS"},
                  servers, json);
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

absl::Status RunGroups(Connection& connection, const std::string& source, const std::string& job,
                       bool json) {
  discovery::v1::ListGroupsRequest request;
  request.set_source(source);
  request.set_job(job);
  google::protobuf::RepeatedPtrField<discovery::v1::Group> groups;
  do {
    discovery::v1::ListGroupsResponse page;
    RETURN_IF_ERROR(connection.Call(connection.discovery(), &DiscoveryService::Stub::ListGroups,
                                    request, page));
    for (auto& group : *page.mutable_groups()) groups.Add(std::move(group));
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  if (json) return PrintJson(groups);
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

}  // namespace trawl

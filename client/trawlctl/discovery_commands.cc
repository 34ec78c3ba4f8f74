#include <cstdio>
#include <iostream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/trawlctl/commands.h"
#include "client/trawlctl/format.h"
#include "client/trawlctl/output.h"
#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/status_macros.h"
#include "core/config/target_groups.h"

namespace trawl {
namespace {

using discovery::v1::DiscoveryService;

void Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

template <typename Repeated>
absl::Status PrintJson(const Repeated& items) {
  ASSIGN_OR_RETURN(const std::string json, FormatJsonOf(items));
  Print(json);
  return absl::OkStatus();
}

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

void PrintIssues(const discovery::v1::Ack& ack) {
  for (const auto& issue : ack.issues()) {
    std::fprintf(stderr, "%s: %s%s%s\n",
                 issue.severity() == discovery::v1::Issue::ERROR ? "error" : "warning",
                 issue.field().c_str(), issue.field().empty() ? "" : ": ", issue.detail().c_str());
  }
}

}  // namespace

absl::Status RunPush(Connection& connection, const PushOptions& options) {
  ASSIGN_OR_RETURN(const std::string text, ReadInput(options.file));
  ASSIGN_OR_RETURN(const std::vector<TargetGroup> groups, ParseTargetGroups(text, options.file));
  discovery::v1::PushRequest request;
  request.set_source(options.source);
  request.add_jobs(options.job);
  request.set_dry_run(options.dry_run);
  for (const TargetGroup& group : groups) AddGroup(group, options.job, request);
  discovery::v1::PushResponse response;
  RETURN_IF_ERROR(
      connection.Call(connection.discovery(), &DiscoveryService::Stub::Push, request, response));
  PrintIssues(response.result());
  if (options.json) return PrintJson(std::vector{response});
  const auto& counts = response.result().counts();
  Print(absl::StrCat(discovery::v1::Ack::Status_Name(response.result().status()), ": ",
                     counts.added(), " added, ", counts.removed(), " removed, ", counts.unchanged(),
                     " unchanged; ", counts.targets(), " targets in ", counts.groups(),
                     " groups of source ", options.source, options.dry_run ? " (dry run)" : "",
                     "\n"));
  return absl::OkStatus();
}

absl::Status RunRelease(Connection& connection, const ReleaseOptions& options) {
  discovery::v1::ReleaseRequest request;
  request.set_source(options.source);
  request.set_remove_targets(options.remove_targets);
  request.set_force(options.force);
  discovery::v1::ReleaseResponse response;
  RETURN_IF_ERROR(
      connection.Call(connection.discovery(), &DiscoveryService::Stub::Release, request, response));
  if (options.json) return PrintJson(std::vector{response});
  Print(absl::StrCat("released: ", response.counts().removed(), " targets removed, ",
                     response.counts().unchanged(), " kept\n"));
  return absl::OkStatus();
}

absl::Status RunSources(Connection& connection, bool json) {
  discovery::v1::ListSourcesResponse response;
  RETURN_IF_ERROR(connection.Call(connection.discovery(), &DiscoveryService::Stub::ListSources,
                                  discovery::v1::ListSourcesRequest(), response));
  if (json) return PrintJson(response.sources());
  const absl::Time now = SystemClock().Now();
  std::vector<std::vector<std::string>> rows;
  for (const auto& source : response.sources()) {
    rows.push_back({source.name(), discovery::v1::Source::Kind_Name(source.kind()),
                    discovery::v1::Source::State_Name(source.state()),
                    source.connected() ? "yes" : "no", absl::StrCat(source.applied_version()),
                    absl::StrCat(source.counts().groups()), absl::StrCat(source.counts().targets()),
                    FormatAgo(source.last_heard(), source.has_last_heard(), now),
                    absl::StrJoin(source.pending_jobs(), ",")});
  }
  Print(FormatTable({"SOURCE", "KIND", "STATE", "STREAM", "VERSION", "GROUPS", "TARGETS",
                     "LAST HEARD", "PENDING JOBS"},
                    rows));
  return absl::OkStatus();
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
                    absl::StrCat(group.group().targets_size()), group.pending() ? "pending" : "",
                    FormatLabels(group.group().labels())});
  }
  Print(FormatTable({"SOURCE", "JOB", "KEY", "TARGETS", "STATE", "LABELS"}, rows));
  return absl::OkStatus();
}

}  // namespace trawl

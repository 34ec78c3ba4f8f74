#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/trawlctl/commands.h"
#include "client/trawlctl/format.h"
#include "client/trawlctl/output.h"
#include "client/trawlctl/program.h"
#include "client/trawlctl/target_argument.h"
#include "client/trawlctl/usage.h"
#include "core/base/clock.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"

namespace trawl {
namespace {

struct TargetsOptions {
  std::string job;
  std::string source;
  std::string health;            // up, down, unknown; "" for any
  std::string state = "active";  // active, dropped, any
  std::vector<std::string> matchers;
  bool watch = false;
  bool json = false;
};

struct TargetOptions {
  std::string target;  // URL, id, or job/instance
  std::string job;     // "": any
  bool json = false;
};

using status::v1::GetTargetRequest;
using status::v1::GetTargetResponse;
using status::v1::ListTargetsRequest;
using status::v1::ListTargetsResponse;
using status::v1::Scrape;
using status::v1::Target;
using status::v1::WatchTargetsRequest;
using status::v1::WatchTargetsResponse;

constexpr int kPageSize = 1000;

absl::StatusOr<ListTargetsRequest> MakeRequest(const TargetsOptions& options) {
  static const std::map<std::string, Target::Health> kHealth = {{"", Target::HEALTH_UNSPECIFIED},
                                                                {"up", Target::UP},
                                                                {"down", Target::DOWN},
                                                                {"unknown", Target::UNKNOWN}};
  static const std::map<std::string, Target::State> kState = {
      {"any", Target::STATE_UNSPECIFIED}, {"active", Target::ACTIVE}, {"dropped", Target::DROPPED}};
  ListTargetsRequest request;
  request.set_job(options.job);
  request.set_source(options.source);
  request.set_health(kHealth.at(options.health));
  request.set_state(kState.at(options.state));
  for (const std::string& matcher : options.matchers) request.add_matchers(matcher);
  request.set_page_size(kPageSize);
  return request;
}

std::vector<std::string> TargetRow(const Target& target, absl::Time now) {
  const bool dropped = target.state() == Target::DROPPED;
  return {target.job(),
          dropped ? "DROPPED" : Target::Health_Name(target.health()),
          dropped ? "" : target.scrape_url(),
          FormatAgo(target.last_scrape(), target.has_last_scrape(), now),
          target.has_last_scrape() ? FormatShort(target.last_scrape_duration()) : "",
          target.has_last_scrape() ? absl::StrCat(target.last_samples().post_relabeling()) : "",
          FormatLabels(dropped ? target.discovered_labels() : target.labels()),
          dropped ? target.drop().detail() : target.last_error()};
}

const std::vector<std::string> kTargetHeader = {"JOB",      "HEALTH",  "URL",    "LAST SCRAPE",
                                                "DURATION", "SAMPLES", "LABELS", "ERROR"};

// What a person watches: the targets there are, and how they are.
class WatchedTargets {
 public:
  // What is to be printed for a message.
  std::string Take(const WatchTargetsResponse& message) {
    std::string out;
    if (message.has_reset()) {
      targets_.clear();
      return absl::StrCat("-- missed some: ", message.reset().reason(), "\n");
    }
    for (const Target& target : message.snapshot_part().targets()) {
      targets_.insert_or_assign(KeyOf(target), target);
    }
    if (message.has_snapshot_done()) return Table();
    for (const Target& target : message.changes().changed()) out += Change(target);
    for (const auto& ref : message.changes().removed()) {
      const auto found = targets_.find({ref.job(), ref.id()});
      if (found == targets_.end()) continue;
      out += Line("GONE", found->second);
      targets_.erase(found);
    }
    return out;
  }

 private:
  using Key = std::tuple<std::string, std::string>;  // job, id
  static Key KeyOf(const Target& target) { return {target.job(), target.id()}; }
  static std::string HealthOf(const Target& target) {
    return target.state() == Target::DROPPED ? "DROPPED" : Target::Health_Name(target.health());
  }

  std::string Table() {
    const absl::Time now = SystemClock().Now();
    std::vector<std::vector<std::string>> rows;
    for (const auto& [key, target] : targets_) rows.push_back(TargetRow(target, now));
    return FormatTable(kTargetHeader, rows);
  }

  // A scrape that went as the one before is not worth a line.
  std::string Change(const Target& target) {
    const auto [found, is_new] = targets_.try_emplace(KeyOf(target), target);
    const bool same = !is_new && HealthOf(found->second) == HealthOf(target) &&
                      found->second.failure_reason() == target.failure_reason();
    found->second = target;
    return same ? "" : Line(HealthOf(target), target);
  }

  static std::string Line(const std::string& what, const Target& target) {
    const bool dropped = target.state() == Target::DROPPED;
    const std::string name =
        dropped ? FormatLabels(target.discovered_labels()) : target.scrape_url();
    const std::string& why = dropped ? target.drop().detail() : target.last_error();
    return absl::StrCat(
        absl::FormatTime("%H:%M:%S", SystemClock().Now(), absl::LocalTimeZone()), "  ", what, "  ",
        Printable(absl::StrCat(target.job(), "  ", name, why.empty() ? "" : "  ", why)), "\n");
  }

  std::map<Key, Target> targets_;
};

absl::Status RunWatch(Connection& connection, const TargetsOptions& options) {
  ASSIGN_OR_RETURN(const ListTargetsRequest filters, MakeRequest(options));
  WatchTargetsRequest request;
  request.set_job(filters.job());
  request.set_source(filters.source());
  request.set_health(filters.health());
  request.set_state(filters.state());
  *request.mutable_matchers() = filters.matchers();
  WatchedTargets watched;
  absl::Status problem;
  RETURN_IF_ERROR(OfCommandLine(
      connection.Read(connection.status(), &status::v1::StatusService::Stub::WatchTargets, request,
                      [&](const WatchTargetsResponse& message) {
                        if (!options.json) return Print(watched.Take(message));
                        const absl::StatusOr<std::string> line = FormatJsonLine(message);
                        problem = line.status();
                        return line.ok() && Print(*line);
                      })));
  return problem;
}

std::string Text(bool set, const google::protobuf::Duration& duration) {
  return set ? FormatShort(duration) : "-";
}

std::vector<std::string> ScrapeRow(const Scrape& scrape, absl::Time now) {
  const auto& phases = scrape.phases();
  const bool up = scrape.health() == Target::UP;
  return {FormatAgo(scrape.start(), true, now),
          Target::Health_Name(scrape.health()),
          FormatShort(scrape.lateness()),
          FormatShort(scrape.duration()),
          Text(phases.has_dns(), phases.dns()),
          Text(phases.has_connect(), phases.connect()),
          Text(phases.has_tls(), phases.tls()),
          Text(phases.has_first_byte(), phases.first_byte()),
          Text(phases.has_transfer(), phases.transfer()),
          Text(phases.has_inflate(), phases.inflate()),
          Text(phases.has_parse(), phases.parse()),
          absl::StrCat(scrape.body_bytes()),
          absl::StrCat(scrape.samples().post_relabeling()),
          absl::StrCat(scrape.samples().series_added()),
          scrape.http_status() == 0 ? "-" : absl::StrCat(scrape.http_status()),
          up ? ""
             : absl::StrCat(
                   absl::AsciiStrToLower(status::v1::Failure::Reason_Name(scrape.failure_reason())),
                   ": ", scrape.error())};
}

std::string TargetText(const GetTargetResponse& response) {
  const Target& target = response.target();
  const absl::Time now = SystemClock().Now();
  const bool dropped = target.state() == Target::DROPPED;
  std::vector<std::vector<std::string>> facts = {
      {"job", target.job()},
      {"id", target.id()},
      {"discovered", FormatLabels(target.discovered_labels())}};
  if (dropped) {
    facts.push_back({"dropped", target.drop().detail()});
  } else {
    facts.push_back({"url", target.scrape_url()});
    facts.push_back({"labels", FormatLabels(target.labels())});
    facts.push_back({"health", Target::Health_Name(target.health())});
    facts.push_back({"scrapes", absl::StrCat(target.scrapes(), ", failed ", target.failures())});
    facts.push_back({"series", absl::StrCat(target.series())});
    if (target.held()) facts.push_back({"held", "its removal waits for a confirmation"});
  }
  for (const auto& owner : target.owners()) {
    facts.push_back({"owner", absl::StrCat(owner.source(), " ", owner.key())});
  }
  for (const auto& rejected : target.rejected()) {
    facts.push_back(
        {"rejected", absl::StrCat(rejected.samples(), " samples by ", rejected.sink(), ": ",
                                  storage::v1::Reject::Code_Name(rejected.code()))});
  }
  std::string out = FormatTable({"FACT", "VALUE"}, facts);
  if (dropped) return out;
  std::vector<std::vector<std::string>> rows;
  for (const Scrape& scrape : response.history()) rows.push_back(ScrapeRow(scrape, now));
  return absl::StrCat(
      out, "\n",
      FormatTable({"SCRAPE", "HEALTH", "LATE", "DURATION", "DNS", "CONNECT", "TLS", "FIRST BYTE",
                   "TRANSFER", "INFLATE", "PARSE", "BYTES", "SAMPLES", "ADDED", "HTTP", "ERROR"},
                  rows));
}

// With `watch`, until the server ends the stream or nobody reads the output: a table, then a line
// for each target that comes, goes or changes its health. JSON is then each message of the stream,
// one a line.
absl::Status RunTargets(Servers& servers, const TargetsOptions& options) {
  if (options.watch) {
    if (servers.several()) {
      return UsageError("--watch speaks to one server: give one --address");
    }
    return servers.ForEach([&](const std::string& /*server*/, Connection& connection) {
      return RunWatch(connection, options);
    });
  }
  ASSIGN_OR_RETURN(const ListTargetsRequest first, MakeRequest(options));
  Listing listing(kTargetHeader, servers, options.json);
  const absl::Time now = SystemClock().Now();
  return listing.Print(servers.ForEach([&](const std::string& server, Connection& connection) {
    ListTargetsRequest request = first;
    do {
      status::v1::ListTargetsResponse page;
      RETURN_IF_ERROR(OfCommandLine(connection.Call(
          connection.status(), &status::v1::StatusService::Stub::ListTargets, request, page)));
      for (const Target& target : page.targets()) {
        RETURN_IF_ERROR(listing.Add(server, target, TargetRow(target, now)));
      }
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return absl::OkStatus();
  }));
}

// One target and its last scrapes.
absl::Status RunTarget(Connection& connection, const TargetOptions& options) {
  GetTargetRequest request;
  ASSIGN_OR_RETURN(*request.mutable_target(),
                   TargetArgument(connection, options.target, options.job));
  GetTargetResponse response;
  RETURN_IF_ERROR(connection.Call(connection.status(), &status::v1::StatusService::Stub::GetTarget,
                                  request, response));
  if (options.json) return PrintJson(std::vector{response});
  Print(TargetText(response));
  return absl::OkStatus();
}

}  // namespace

void AddTargetCommands(Program& program) {
  const auto targets = std::make_shared<TargetsOptions>();
  CLI::App* list = program.AddListing(
      "targets", "targets with their health, last scrape and last error", targets, RunTargets);
  list->add_option("--job", targets->job, "only of this job");
  list->add_option("--source", targets->source, "only those this source wants");
  list->add_option("--health", targets->health, "only with this health")
      ->check(CLI::IsMember({"up", "down", "unknown"}));
  list->add_option("--state", targets->state, "active, dropped or any")
      ->capture_default_str()
      ->check(CLI::IsMember({"active", "dropped", "any"}));
  list->add_flag(
      "--watch", targets->watch,
      "then each target that comes, goes or changes its health; with --json each message "
      "of the stream, one a line");
  list->add_option("matchers", targets->matchers, "label matchers, as in team=\"db\"");

  const auto target = std::make_shared<TargetOptions>();
  CLI::App* one =
      program.Add(program.app(), "target", "one target and its last scrapes", target, RunTarget);
  one->add_option("target", target->target, "its URL, id, or job/instance")->required();
  one->add_option("--job", target->job, "only of this job");
}

}  // namespace trawl

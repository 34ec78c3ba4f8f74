#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/trawlctl/connection.h"
#include "client/trawlctl/servers.h"

// trawlctl's commands. Each prints its result to standard output, as a table or, with `json`, as
// an array of objects with protobuf's JSON names; an error is the caller's to print.

namespace trawl {

struct TargetsOptions {
  std::string job;
  std::string source;
  std::string health;            // up, down, unknown; "" for any
  std::string state = "active";  // active, dropped, any
  std::vector<std::string> matchers;
  bool watch = false;
  bool json = false;
};
// With `watch`, until the server ends the stream or nobody reads the output: a table, then a line
// for each target that comes, goes or changes its health. JSON is then each message of the stream,
// one a line.
absl::Status RunTargets(Servers& servers, const TargetsOptions& options);

struct TargetOptions {
  std::string target;  // URL, id, or job/instance
  std::string job;     // "": any
  bool json = false;
};
// One target and its last scrapes. kNotFound; kFailedPrecondition if the name fits several.
absl::Status RunTarget(Connection& connection, const TargetOptions& options);

absl::Status RunPools(Servers& servers, const std::string& job, bool json);
absl::Status RunSinks(Connection& connection, bool json);
struct SkipOptions {
  std::string sink;
  uint32_t lane = 0;
  uint64_t epoch = 0;  // 0: of the running trawld
  uint64_t number = 0;
  bool dry_run = false;
  bool json = false;
};
// Gives up a record that a sink's streams break at.
absl::Status RunSkip(Connection& connection, const SkipOptions& options);

absl::Status RunSources(Servers& servers, bool json);
absl::Status RunGroups(Connection& connection, const std::string& source, const std::string& job,
                       bool json);
absl::Status RunReload(Connection& connection, bool json);
absl::Status RunVersion(Connection& connection, bool json);

struct ExplainOptions {
  std::string target;  // id or URL; "": `labels` of `job`
  std::string job;
  std::vector<std::string> labels;  // name=value, as discovery would say
  bool json = false;
};
// How a target came to be what it is, step by step.
absl::Status RunExplain(Connection& connection, const ExplainOptions& options);

struct ScrapeOptions {
  std::string target;  // id or URL
  std::string job;
  uint64_t max_samples = 100;  // to list
  bool body = false;           // print the body instead
  bool json = false;
};
// Scrapes a target once, out of turn, and tells the fate of each sample; stores nothing. A scrape
// that fails is printed, and an error.
absl::Status RunScrape(Connection& connection, const ScrapeOptions& options);

struct PlanOptions {
  std::string file;           // Prometheus' YAML; "-" for standard input
  std::string trawl_config;   // trawl's own; "": as it runs
  uint32_t max_targets = 20;  // to list, a job
  bool json = false;
};
// What a reload of that text would do; changes nothing. Whether it would do anything.
absl::StatusOr<bool> RunPlan(Connection& connection, const PlanOptions& options);

// The running configuration, secrets masked; of one job if one is named.
absl::Status RunConfig(Connection& connection, const std::string& job, bool json);

struct PushOptions {
  std::string file;  // file_sd's JSON or YAML; "-" for standard input
  std::string job;
  std::string source = "trawlctl";
  bool allow_shrink = false;  // its removals are meant, however many
  bool dry_run = false;
  bool json = false;
};
// Replaces what `source` has in `job` by the file's groups.
absl::Status RunPush(Connection& connection, const PushOptions& options);

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
// Puts a group of `source` in `job` and removes others; none at all renews the source's lease.
absl::Status RunUpdate(Connection& connection, const UpdateOptions& options);

struct AcceptOptions {
  std::string source;
  std::string what = "removals";  // removals, restored, discard
  std::vector<std::string> jobs;  // none: all
  bool dry_run = false;
  bool json = false;
};
// Decides about what is held of a source.
absl::Status RunAccept(Connection& connection, const AcceptOptions& options);

struct ReleaseOptions {
  std::string source;
  bool remove_targets = false;
  bool force = false;
  bool dry_run = false;
  bool json = false;
};
absl::Status RunRelease(Connection& connection, const ReleaseOptions& options);

struct SyncOptions {
  std::vector<std::string> addresses;
  std::vector<std::string> patterns;  // JOB=GLOB, or GLOB with `job`
  std::string job;                    // of all files; "": each pattern says its own
  std::string source = "sync";
  std::string instance;  // "": the host's name
  size_t replicas = 1;
  std::vector<std::string> leaving;
  bool allow_shrink = false;
  bool once = false;
  absl::Duration timeout = absl::Seconds(10);          // of `once`
  absl::Duration refresh_interval = absl::Minutes(5);  // besides what inotify tells
};
// Keeps the trawlds at what file_sd files say until SIGTERM, or, with `once`, until they have it.
absl::Status RunSync(const Connection::Options& connection, const SyncOptions& options);

struct CheckOptions {
  std::string file;
  std::string trawl_config;  // "" for none
  bool json = false;
};
// Checks a configuration as trawld would at its start; needs no server. Warnings go to standard
// output, every problem is in the error.
absl::Status RunCheckConfig(const CheckOptions& options);

// Commands on a spool's files. They need no server and change nothing; of a running trawld they
// show what it had written.
struct SpoolOptions {
  std::string data_dir = "data";
  uint64_t epoch = 0;            // 0: all
  std::optional<uint32_t> lane;  // unset: all
  uint64_t from = 0;             // records to be dumped, both ends included
  uint64_t to = UINT64_MAX;
  bool json = false;
};
// The lanes of each run.
absl::Status RunSpoolLs(const SpoolOptions& options);
// Reads all, and lists what is missing. kDataLoss: there is damage.
absl::Status RunSpoolVerify(const SpoolOptions& options);
// The samples in the records.
absl::Status RunSpoolDump(const SpoolOptions& options);

struct SamplesOptions {
  std::string path = "data/samples.db";
  std::string selector;  // metric{label="value", other=~"regex"}; "" for all
  size_t last = 10;      // newest samples of each series
  bool summary = false;  // one line on what is stored
  bool json = false;
};
absl::Status RunSamples(const SamplesOptions& options);

}  // namespace trawl

// trawlctl: looks into a running trawld, pushes targets, checks configurations, reads stored
// samples. Exit codes: 0 done, 1 refused or wrong, 2 wrong usage, 3 the server can't be reached;
// of plan also 4: the configuration would change something.

#include <CLI/CLI.hpp>
#include <cstdio>

#include "absl/strings/str_split.h"
#include "client/trawlctl/commands.h"
#include "client/trawlctl/usage.h"
#include "server/version.h"

namespace {

using trawl::Connection;

constexpr int kExitRefused = 1;
constexpr int kExitUsage = 2;
constexpr int kExitUnreachable = 3;
constexpr int kExitWouldChange = 4;  // plan's, as 0 says that nothing would

struct Options {
  Connection::Options connection;
  bool json = false;
  std::string job;
  std::string source;
  double timeout_seconds = 10;
  trawl::TargetsOptions targets;
  trawl::ExplainOptions explain;
  trawl::ScrapeOptions scrape;
  trawl::PlanOptions plan;
  trawl::TargetOptions target;
  trawl::PushOptions push;
  trawl::UpdateOptions update;
  trawl::AcceptOptions accept;
  trawl::SyncOptions sync;
  trawl::ReleaseOptions release;
  trawl::CheckOptions check;
  trawl::SamplesOptions samples;
  trawl::SkipOptions skip;
  trawl::SpoolOptions spool;
};

using Command = std::function<absl::Status()>;

class Program {
 public:
  Program() : app_("Looks into a running trawld, pushes targets to it, and reads what it stored.") {
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.set_version_flag("--version", trawl::VersionLine("trawlctl"), "print its version");
    app_.add_option("--address", options_.connection.address,
                    "trawld's gRPC address; a,b,c for those commands that take several")
        ->capture_default_str()
        ->take_last();
    app_.add_option("--timeout", options_.timeout_seconds, "seconds to wait for an answer")
        ->capture_default_str()
        ->check(CLI::Range(0.001, 86400.0));
    app_.add_flag("--tls", options_.connection.tls, "connect by TLS");
    app_.add_option("--tls-ca-file", options_.connection.tls_ca_file,
                    "whose certificates to trust, PEM; implies --tls [the system's]");
    app_.add_option("--tls-cert-file", options_.connection.tls_cert_file,
                    "our certificate, PEM; implies --tls");
    app_.add_option("--tls-key-file", options_.connection.tls_key_file, "its key");
    app_.add_option("--token-file", options_.connection.token_file,
                    "a file that holds our bearer token");
    app_.add_flag("--json", options_.json,
                  "print an array of objects, with protobuf's JSON names, instead of a table");
    AddStatus();
    AddExplain();
    AddDiscovery();
    AddSync();
    AddOffline();
  }

  int Run(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      const std::vector<std::string> unknown = app_.remaining(/*recurse=*/true);
      if (error.get_exit_code() != 0 && !unknown.empty()) {
        std::fprintf(stderr, "trawlctl: unknown command or argument %s; see trawlctl --help\n",
                     unknown.front().c_str());
        return kExitUsage;
      }
      if (error.get_exit_code() == 0) return app_.exit(error);  // help, version
      std::fprintf(stderr, "trawlctl: %s; see trawlctl --help\n", error.what());
      return kExitUsage;
    }
    // A scrape may take as long as its target's timeout.
    const bool patient = app_.got_subcommand("scrape") && app_.count("--timeout") == 0;
    options_.connection.timeout = absl::Seconds(patient ? 120 : options_.timeout_seconds);
    const absl::Status status = command_();
    if (status.ok()) return exit_code_;
    for (const absl::string_view line : absl::StrSplit(status.message(), '\n')) {
      std::fprintf(stderr, "trawlctl: %s\n", std::string(line).c_str());
    }
    if (trawl::IsUsageError(status)) return kExitUsage;
    return absl::IsUnavailable(status) ? kExitUnreachable : kExitRefused;
  }

 private:
  CLI::App* Add(CLI::App* parent, const std::string& name, const std::string& help,
                const std::function<absl::Status(Connection&)>& run) {
    CLI::App* command = parent->add_subcommand(name, help);
    command->callback([this, command, run] {
      if (!command->get_subcommands().empty()) return;  // which is meant
      command_ = [this, run]() -> absl::Status {
        if (Addresses().size() != 1) {
          return trawl::UsageError("this command speaks to one server: give one --address");
        }
        absl::StatusOr<std::unique_ptr<Connection>> connection =
            Connection::Open(options_.connection);
        return connection.ok() ? run(**connection) : connection.status();
      };
    });
    return command;
  }

  // A command that asks several servers, and merges what they list.
  CLI::App* AddListing(const std::string& name, const std::string& help,
                       const std::function<absl::Status(trawl::Servers&)>& run) {
    CLI::App* command = app_.add_subcommand(name, help);
    command->callback([this, command, run] {
      if (!command->get_subcommands().empty()) return;  // which is meant
      command_ = [this, run] {
        absl::StatusOr<trawl::Servers> servers = trawl::Servers::Open(options_.connection);
        return servers.ok() ? run(*servers) : servers.status();
      };
    });
    return command;
  }

  void AddStatus() {
    CLI::App* targets =
        AddListing("targets", "targets with their health, last scrape and last error",
                   [this](trawl::Servers& servers) {
                     options_.targets.json = options_.json;
                     return trawl::RunTargets(servers, options_.targets);
                   });
    targets->add_option("--job", options_.targets.job, "only of this job");
    targets->add_option("--source", options_.targets.source, "only those this source wants");
    targets->add_option("--health", options_.targets.health, "only with this health")
        ->check(CLI::IsMember({"up", "down", "unknown"}));
    targets->add_option("--state", options_.targets.state, "active, dropped or any")
        ->capture_default_str()
        ->check(CLI::IsMember({"active", "dropped", "any"}));
    targets->add_flag("--watch", options_.targets.watch,
                      "then each target that comes, goes or changes its health; with --json each "
                      "message of the stream, one a line");
    targets->add_option("matchers", options_.targets.matchers, "label matchers, as in team=\"db\"");

    CLI::App* target =
        Add(&app_, "target", "one target and its last scrapes", [this](Connection& c) {
          options_.target.json = options_.json;
          return trawl::RunTarget(c, options_.target);
        });
    target->add_option("target", options_.target.target, "its URL, id, or job/instance")
        ->required();
    target->add_option("--job", options_.target.job, "only of this job");

    AddListing("pools", "scrape pools, one a job", [this](trawl::Servers& servers) {
      return trawl::RunPools(servers, options_.job, options_.json);
    })->add_option("--job", options_.job, "only this one");
    Add(&app_, "sinks", "where samples go, and how far each sink is",
        [this](Connection& c) { return trawl::RunSinks(c, options_.json); });
    AddSpool();
    Add(&app_, "reload", "reload trawld's configuration",
        [this](Connection& c) { return trawl::RunReload(c, options_.json); });
    Add(&app_, "version", "version of the running trawld",
        [this](Connection& c) { return trawl::RunVersion(c, options_.json); });
  }

  void AddSpool() {
    CLI::App* spool = app_.add_subcommand("spool", "records that wait for storage");
    spool->require_subcommand(1);
    CLI::App* skip =
        Add(spool, "skip", "give up the record that a sink is stuck at (see sinks), for it alone",
            [this](Connection& c) {
              options_.skip.json = options_.json;
              return trawl::RunSkip(c, options_.skip);
            });
    skip->add_option("sink", options_.skip.sink, "its name")->required();
    skip->add_option("lane", options_.skip.lane, "the lane")->required();
    skip->add_option("number", options_.skip.number, "the record")->required();
    skip->add_option("--epoch", options_.skip.epoch, "the run that made it [this one]");
    skip->add_flag("--dry-run", options_.skip.dry_run, "say what would be lost; change nothing");
    AddOfflineSpool(spool, "ls", "the spool's lanes, from its files", trawl::RunSpoolLs);
    AddOfflineSpool(spool, "verify", "read all of the spool's files, and list what is missing",
                    trawl::RunSpoolVerify);
    CLI::App* dump =
        AddOfflineSpool(spool, "dump", "samples in the spool's files", trawl::RunSpoolDump);
    dump->add_option("--from", options_.spool.from, "first record");
    dump->add_option("--to", options_.spool.to, "last record");
  }

  CLI::App* AddOfflineSpool(CLI::App* parent, const std::string& name, const std::string& help,
                            absl::Status (*run)(const trawl::SpoolOptions&)) {
    CLI::App* command = parent->add_subcommand(name, help);
    command->add_option("--data-dir", options_.spool.data_dir, "trawld's")->capture_default_str();
    command->add_option("--epoch", options_.spool.epoch, "only of this run");
    command->add_option("--lane", options_.spool.lane, "only this lane");
    command->callback([this, run] {
      command_ = [this, run] {
        options_.spool.json = options_.json;
        return run(options_.spool);
      };
    });
    return command;
  }

  void AddExplain() {
    CLI::App* explain = Add(&app_, "explain", "how a target came to be what it is, rule by rule",
                            [this](Connection& c) {
                              options_.explain.json = options_.json;
                              return trawl::RunExplain(c, options_.explain);
                            });
    explain->add_option("target", options_.explain.target, "its id or URL");
    explain->add_option("--job", options_.explain.job, "its job; required with --label");
    explain
        ->add_option("--label", options_.explain.labels,
                     "instead of a target: name=value as discovery would say, again and again")
        ->allow_extra_args(false)
        ->excludes("target");

    CLI::App* scrape = Add(&app_, "scrape",
                           "scrape a target now, out of turn: what becomes of each sample; nothing "
                           "is stored; exit code 1 if the scrape fails",
                           [this](Connection& c) {
                             options_.scrape.json = options_.json;
                             return trawl::RunScrape(c, options_.scrape);
                           });
    scrape->add_option("target", options_.scrape.target, "its id or URL")->required();
    scrape->add_option("--job", options_.scrape.job, "its job");
    scrape->add_option("--samples", options_.scrape.max_samples, "samples to list")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    scrape->add_flag("--body", options_.scrape.body, "print the page instead");

    CLI::App* plan = Add(&app_, "plan",
                         "what a reload of a configuration would do, target by target; changes "
                         "nothing; exit code 0 if it would do nothing, 4 if it would do something",
                         [this](Connection& c) {
                           options_.plan.json = options_.json;
                           const absl::StatusOr<bool> changes = trawl::RunPlan(c, options_.plan);
                           if (changes.ok() && *changes) exit_code_ = kExitWouldChange;
                           return changes.status();
                         });
    plan->add_option("file", options_.plan.file, "Prometheus' YAML; - for stdin")->required();
    plan->add_option("--trawl.config", options_.plan.trawl_config,
                     "trawl's own file; without it the running one");
    plan->add_option("--targets", options_.plan.max_targets, "targets to list, a job")
        ->capture_default_str();

    Add(&app_, "config", "the running configuration, with secrets masked", [this](Connection& c) {
      return trawl::RunConfig(c, options_.job, options_.json);
    })->add_option("--job", options_.job, "only this job, with what it inherits");
  }

  void AddDiscovery() {
    CLI::App* push = Add(&app_, "push", "replace a source's targets in a job by those of a file",
                         [this](Connection& c) {
                           options_.push.json = options_.json;
                           return trawl::RunPush(c, options_.push);
                         });
    push->add_option("file", options_.push.file, "groups as file_sd's JSON or YAML; - for stdin")
        ->required();
    push->add_option("--job", options_.push.job, "the scrape config's job_name")->required();
    push->add_option("--source", options_.push.source, "name of the owner")->capture_default_str();
    push->add_flag("--allow-shrink", options_.push.allow_shrink,
                   "its removals are meant, however many, and those that are held");
    push->add_flag("--dry-run", options_.push.dry_run, "check and count, change nothing");
    AddUpdate();
    AddSources();
    CLI::App* groups = Add(&app_, "groups", "target groups as applied", [this](Connection& c) {
      return trawl::RunGroups(c, options_.source, options_.job, options_.json);
    });
    groups->add_option("--source", options_.source, "only of this source");
    groups->add_option("--job", options_.job, "only of this job");

    CLI::App* release = Add(&app_, "release", "give a source up", [this](Connection& c) {
      options_.release.json = options_.json;
      return trawl::RunRelease(c, options_.release);
    });
    release->add_option("source", options_.release.source, "its name")->required();
    release->add_flag("--remove-targets", options_.release.remove_targets,
                      "remove its targets; otherwise they stay");
    release->add_flag("--force", options_.release.force, "whoever holds it");
    release->add_flag("--dry-run", options_.release.dry_run, "count, change nothing");
  }

  void AddUpdate() {
    CLI::App* update =
        Add(&app_, "update", "put or remove single groups of a source; none renews its lease",
            [this](Connection& c) {
              options_.update.json = options_.json;
              return trawl::RunUpdate(c, options_.update);
            });
    update->add_option("targets", options_.update.targets, "addresses of the group that is put");
    update->add_option("--job", options_.update.job, "the scrape config's job_name");
    update->add_option("--source", options_.update.source, "name of the owner")
        ->capture_default_str();
    update->add_option("--key", options_.update.key, "name of the group that is put");
    update->add_option("--label", options_.update.labels, "name=value, of that group; repeatable")
        ->allow_extra_args(false);
    update->add_option("--remove", options_.update.remove, "key of a group that goes; repeatable")
        ->allow_extra_args(false);
    update->add_flag("--allow-shrink", options_.update.allow_shrink,
                     "its removals are meant, however many, and those that are held");
    update->add_flag("--dry-run", options_.update.dry_run, "check and count, change nothing");
  }

  void AddSources() {
    CLI::App* sources = AddListing(
        "sources", "who pushed which number of targets",
        [this](trawl::Servers& servers) { return trawl::RunSources(servers, options_.json); });
    CLI::App* accept =
        Add(sources, "accept", "decide about what is held of a source", [this](Connection& c) {
          options_.accept.json = options_.json;
          return trawl::RunAccept(c, options_.accept);
        });
    accept->add_option("source", options_.accept.source, "its name")->required();
    accept
        ->add_option("--what", options_.accept.what,
                     "removals: carry them out; discard: keep the targets until an update "
                     "removes them again; restored: scrape a source that is held")
        ->capture_default_str()
        ->check(CLI::IsMember({"removals", "restored", "discard"}));
    accept->add_option("--job", options_.accept.jobs, "only of this job; repeatable")
        ->allow_extra_args(false);
    accept->add_flag("--dry-run", options_.accept.dry_run, "count, change nothing");
  }

  void AddSync() {
    CLI::App* sync = app_.add_subcommand(
        "sync",
        "keep trawlds at what file_sd files say, until SIGTERM; several addresses share the "
        "targets");
    trawl::SyncOptions& options = options_.sync;
    sync->add_option("--file-sd", options.patterns,
                     "files of target groups, JSON or YAML, watched: JOB=GLOB, or GLOB with --job; "
                     "repeatable")
        ->required()
        ->allow_extra_args(false);
    sync->add_option("--job", options.job, "the scrape config's job_name, for all files");
    sync->add_option("--source", options.source, "name of the owner")->capture_default_str();
    sync->add_option("--instance", options.instance,
                     "which replica of the owner this is [the host's name]");
    sync->add_option("--replicas", options.replicas, "trawlds that scrape each target")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    sync->add_option("--leaving", options.leaving,
                     "addresses of an earlier run that are not used any more: they give up the "
                     "source and its targets once the others have them")
        ->delimiter(',');
    sync->add_flag("--allow-shrink", options.allow_shrink,
                   "what goes is meant to go, however much; a glob may match no file");
    sync->add_flag("--once", options.once,
                   "end when every trawld has it, or after --timeout with an error");
    sync->callback([this] {
      command_ = [this] {
        options_.sync.addresses = Addresses();
        if (Addresses().empty()) return trawl::UsageError("--address names no server");
        options_.sync.timeout = options_.connection.timeout;
        return trawl::RunSync(options_.connection, options_.sync);
      };
    });
  }

  std::vector<std::string> Addresses() const {
    return absl::StrSplit(options_.connection.address, ',', absl::SkipEmpty());
  }

  void AddOffline() {
    CLI::App* check = app_.add_subcommand("check", "check files, without a server");
    check->require_subcommand(1);
    CLI::App* config = check->add_subcommand("config", "a configuration file, as trawld reads it");
    config->add_option("file", options_.check.file, "Prometheus' YAML")->required();
    config->add_option("--trawl.config", options_.check.trawl_config, "trawl's own file");
    config->callback([this] {
      command_ = [this] {
        options_.check.json = options_.json;
        return trawl::RunCheckConfig(options_.check);
      };
    });

    CLI::App* samples = app_.add_subcommand("samples", "stored samples, from the SQLite file");
    samples->add_option("selector", options_.samples.selector,
                        "metric and label matchers, as in up{job=\"node\"}");
    samples->add_option("--sqlite.path", options_.samples.path, "the file")->capture_default_str();
    samples->add_option("--last", options_.samples.last, "newest samples of each series")
        ->capture_default_str()
        ->check(CLI::Range(1u, 1'000'000'000u));
    samples->add_flag("--summary", options_.samples.summary, "one line on what is stored");
    samples->callback([this] {
      command_ = [this] {
        options_.samples.json = options_.json;
        return trawl::RunSamples(options_.samples);
      };
    });
  }

  CLI::App app_;
  Options options_;
  Command command_;
  int exit_code_ = 0;  // of a command that was done
};

}  // namespace

int main(int argc, char** argv) { return Program().Run(argc, argv); }

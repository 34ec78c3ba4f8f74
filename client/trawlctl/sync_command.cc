#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/discovery/discovery_client.h"
#include "client/trawlctl/commands.h"
#include "client/trawlctl/file_groups.h"
#include "client/trawlctl/output.h"
#include "client/trawlctl/program.h"
#include "client/trawlctl/servers.h"
#include "client/trawlctl/usage.h"
#include "core/base/clock.h"
#include "core/base/directory_watch.h"
#include "core/base/epoll_loop.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

constexpr int kExitHeld = 5;  // every trawld has it, and holds removals

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
  bool json = false;                                   // of `once`
};

std::string Hostname() {
  std::array<char, 256> name = {};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

sigset_t EndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM}) sigaddset(&signals, signal);
  return signals;
}

absl::Status ProblemsOf(const std::vector<TargetFiles::Problem>& problems) {
  if (problems.empty()) return absl::OkStatus();
  std::vector<std::string> lines;
  lines.reserve(problems.size());
  for (const TargetFiles::Problem& problem : problems) {
    lines.push_back(absl::StrCat(problem.status.message(), "; file ", problem.path));
  }
  return absl::InvalidArgumentError(absl::StrJoin(lines, "\n"));
}

// Errors of a trawld that waiting hardly mends: `once` ends, a daemon goes on trying.
bool IsFinal(const TrawldStatus& trawld) {
  if (trawld.state == PushState::kFenced) return true;
  const absl::StatusCode code = trawld.last_error.code();
  return trawld.state == PushState::kWaiting &&
         (code == absl::StatusCode::kInvalidArgument ||
          code == absl::StatusCode::kPermissionDenied ||
          code == absl::StatusCode::kUnauthenticated || code == absl::StatusCode::kUnimplemented ||
          code == absl::StatusCode::kFailedPrecondition);
}

absl::Status ErrorOf(const TrawldStatus& trawld) {
  const absl::Status error = trawld.last_error.ok()
                                 ? absl::UnavailableError(PushStateName(trawld.state))
                                 : trawld.last_error;
  return Annotate(error, absl::StrCat("server ", trawld.address));
}

std::string DescribeRefused(const PusherStatus& status) {
  std::vector<std::string> lines;
  for (const TrawldStatus& trawld : status.trawlds) {
    for (const discovery::v1::Issue& issue : trawld.refused) {
      lines.push_back(absl::StrCat(issue.field(), ": ", issue.detail(), "; job ",
                                   issue.group().job(), ", group ", issue.group().key(),
                                   "; server ", trawld.address));
    }
  }
  return absl::StrJoin(lines, "\n");
}

uint64_t HeldOf(const PusherStatus& status) {
  uint64_t held = 0;
  for (const TrawldStatus& trawld : status.trawlds) held += trawld.counts.held();
  return held;
}

// What a trawld said to all that it was told.
discovery::v1::Ack AnswerOf(const TrawldStatus& trawld) {
  discovery::v1::Ack answer;
  answer.set_applied_version(trawld.applied_version);
  *answer.mutable_counts() = trawld.counts;
  answer.mutable_issues()->Add(trawld.refused.begin(), trawld.refused.end());
  answer.mutable_issues()->Add(trawld.warnings.begin(), trawld.warnings.end());
  return answer;
}

absl::Status PrintAnswers(const PusherStatus& status) {
  Listing listing({}, /*with_server=*/true, /*json=*/true);
  for (const TrawldStatus& trawld : status.trawlds) {
    RETURN_IF_ERROR(listing.Add(trawld.address, AnswerOf(trawld), {}));
  }
  return listing.Print(absl::OkStatus());
}

void PrintSummary(const PusherStatus& status, const std::string& source) {
  const uint64_t held = HeldOf(status);
  Print(absl::StrCat("in sync: ", status.targets, " targets in ", status.groups,
                     " groups of source ", source, ", on ", status.trawlds.size(), " trawlds",
                     held > 0 ? absl::StrCat("; ", held, " removals are held") : "", "\n"));
}

void WarnOfHeld(const PusherStatus& status, const std::string& source) {
  for (const TrawldStatus& trawld : status.trawlds) {
    if (trawld.counts.held() == 0) continue;
    std::fprintf(stderr,
                 "trawlctl: the removal of %s targets is held, they are still scraped: confirm by "
                 "--allow-shrink or trawlctl --address %s sources accept %s\n",
                 absl::StrCat(trawld.counts.held()).c_str(), trawld.address.c_str(),
                 source.c_str());
  }
}

// The command at work: files on the main thread's loop, the client on its own.
class Sync {
 public:
  Sync(SyncOptions options, FileGroups groups)
      : options_(std::move(options)),
        groups_(std::move(groups)),
        loop_(clock_),
        watch_(loop_, [this](const std::set<std::string>&) { OnFilesChanged(); }) {}
  ~Sync() {
    client_.reset();  // tells no more
    if (signal_fd_ < 0) return;
    loop_.Unwatch(signal_fd_);
    close(signal_fd_);
  }

  // How many removals are held in the end.
  absl::StatusOr<uint64_t> Run(DiscoveryClient::Options client) {
    TakeSignals();
    watch_.Set(groups_.Directories());
    RETURN_IF_ERROR(ProblemsOf(groups_.Refresh(files_)));
    if (!options_.allow_shrink) RETURN_IF_ERROR(groups_.CheckPatterns(files_));
    client.on_changed = [this](const PusherStatus& status) {
      loop_.Post([this, status] { OnStatus(status); });
    };
    ASSIGN_OR_RETURN(client_, DiscoveryClient::Start(std::move(client)));
    RETURN_IF_ERROR(Push());
    if (options_.once) {
      loop_.RunAfter(options_.timeout, [this] { OnTimeout(); });
    } else {
      ArmRefresh();
    }
    loop_.Run();
    RETURN_IF_ERROR(result_);
    return HeldOf(status_);
  }

 private:
  void TakeSignals() {
    const sigset_t signals = EndSignals();
    signal_fd_ = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    loop_.Watch(signal_fd_, FdWatcher::kReadable, [this](uint32_t) {
      LogInfo("Stopping, the trawlds keep their targets", {{"source", options_.source}});
      End(absl::OkStatus());
    });
  }

  absl::Status Push() { return client_->Replace(groups_.Groups(), {options_.allow_shrink}); }

  void OnFilesChanged() {
    if (client_ == nullptr) return;
    for (const TargetFiles::Problem& problem : groups_.Refresh(files_)) {
      LogError("Error reading file", {{"path", problem.path}, {"err", problem.status}});
    }
    const absl::Status pushed = Push();
    if (!pushed.ok()) LogError("Can't push what the files say", {{"err", pushed}});
  }

  void ArmRefresh() {
    loop_.RunAfter(options_.refresh_interval, [this] {
      OnFilesChanged();
      ArmRefresh();
    });
  }

  void OnStatus(const PusherStatus& status) {
    status_ = status;
    if (!options_.once) return;  // the client logs what is wrong
    for (const TrawldStatus& trawld : status.trawlds) {
      if (IsFinal(trawld)) return End(ErrorOf(trawld));
    }
    if (status.InSync()) End(Report(status));
  }

  // What `once` came to.
  absl::Status Report(const PusherStatus& status) const {
    if (options_.json) RETURN_IF_ERROR(PrintAnswers(status));
    WarnOfHeld(status, options_.source);
    const std::string refused = DescribeRefused(status);
    if (!refused.empty()) return absl::InvalidArgumentError(refused);
    if (!options_.json) PrintSummary(status, options_.source);
    return absl::OkStatus();
  }

  void OnTimeout() {
    for (const TrawldStatus& trawld : status_.trawlds) {
      if (trawld.state != PushState::kInSync) return End(ErrorOf(trawld));
    }
    End(absl::UnavailableError("no trawld has answered"));
  }

  void End(absl::Status result) {
    result_ = std::move(result);
    loop_.Stop();
  }

  const SyncOptions options_;
  const SystemClock clock_;
  PosixFileSystem files_;
  FileGroups groups_;
  EpollLoop loop_;
  DirectoryWatch watch_;
  int signal_fd_ = -1;
  PusherStatus status_;
  absl::Status result_;
  std::unique_ptr<DiscoveryClient> client_;
};

// Keeps the trawlds at what file_sd files say until SIGTERM, or, with `once`, until they have it.
// How many removals they hold.
absl::StatusOr<uint64_t> RunSync(const Connection::Options& connection,
                                 const SyncOptions& options) {
  // Blocked before gRPC starts its threads, so that a descriptor alone sees them.
  const sigset_t signals = EndSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ASSIGN_OR_RETURN(FileGroups groups, FileGroups::Make(options.patterns, options.job));
  ASSIGN_OR_RETURN(ClientCredentials credentials, LoadCredentials(connection));
  DiscoveryClient::Options client;
  client.source = options.source;
  client.instance = options.instance.empty() ? Hostname() : options.instance;
  client.addresses = options.addresses;
  client.replicas = options.replicas;
  client.leaving = options.leaving;
  client.credentials = std::move(credentials.channel);
  client.read_token = [path = connection.token_file, last = credentials.token]() mutable {
    absl::StatusOr<std::string> token = ReadToken(path);
    if (!token.ok()) {
      LogError("Error reading file", {{"path", path}, {"err", token.status()}});
      return last;
    }
    return last = *std::move(token);
  };
  return Sync(options, std::move(groups)).Run(std::move(client));
}

}  // namespace

void AddSyncCommand(Program& program) {
  const auto options = std::make_shared<SyncOptions>();
  CLI::App* sync = program.AddOffline(
      program.app(), "sync",
      "keep trawlds at what file_sd files say, until SIGTERM; several addresses share the targets",
      [&program, options]() -> absl::Status {
        options->addresses = program.Addresses();
        if (options->addresses.empty()) return UsageError("--address names no server");
        if (options->replicas > options->addresses.size()) {
          return UsageError(absl::StrCat("--replicas ", options->replicas, ": --address names ",
                                         options->addresses.size(), " servers"));
        }
        options->timeout = program.connection().timeout;
        options->json = program.json();
        const absl::StatusOr<uint64_t> held = RunSync(program.connection(), *options);
        if (held.ok() && *held > 0 && options->once) program.set_exit_code(kExitHeld);
        return held.status();
      });
  sync->add_option("--file-sd", options->patterns,
                   "files of target groups, JSON or YAML, watched: JOB=GLOB, or GLOB with --job; "
                   "repeatable")
      ->required()
      ->allow_extra_args(false);
  sync->add_option("--job", options->job, "the scrape config's job_name, for all files");
  sync->add_option("--source", options->source, "name of the owner")->capture_default_str();
  sync->add_option("--instance", options->instance,
                   "which replica of the owner this is [the host's name]");
  sync->add_option("--replicas", options->replicas, "trawlds that scrape each target")
      ->capture_default_str()
      ->check(CLI::Range(1u, 1'000u));
  sync->add_option("--leaving", options->leaving,
                   "addresses of an earlier run that are not used any more: they give up the "
                   "source and its targets once the others have them")
      ->delimiter(',');
  sync->add_flag("--allow-shrink", options->allow_shrink,
                 "what goes is meant to go, however much; a glob may match no file");
  sync->add_flag("--once", options->once,
                 "end when every trawld has it, or after --timeout with an error; exit code 5 if "
                 "removals are held; with --json each trawld's answer");
}

}  // namespace trawl

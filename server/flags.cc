#include "server/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <functional>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/duration.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"
#include "server/version.h"

namespace trawl {
namespace {

using Setter = std::function<absl::Status(const std::string& value, Flags& flags)>;

struct Flag {
  const char* group;
  const char* name;
  const char* value;  // as help shows it; "": a switch
  const char* help;
  Setter set;
  bool repeats = false;  // each occurrence counts, not the last alone
};

absl::Status SetAddress(const std::string& value, ListenAddress& out) {
  ASSIGN_OR_RETURN(out, ParseListenAddress(value));
  return absl::OkStatus();
}

absl::Status SetDuration(const std::string& value, absl::Duration& out) {
  ASSIGN_OR_RETURN(out, ParsePrometheusDuration(value));
  return absl::OkStatus();
}

absl::Status SetPositive(const std::string& value, absl::Duration& out) {
  RETURN_IF_ERROR(SetDuration(value, out));
  return out > absl::ZeroDuration() ? absl::OkStatus()
                                    : absl::InvalidArgumentError("must be above 0");
}

// As short as what a pusher may ask for.
absl::Status SetLease(const std::string& value, absl::Duration& out) {
  const absl::Duration kMin = TargetSets::Options().min_lease;
  RETURN_IF_ERROR(SetDuration(value, out));
  return out >= kMin ? absl::OkStatus()
                     : absl::InvalidArgumentError(
                           absl::StrCat("must be at least ", absl::FormatDuration(kMin)));
}

// A size with a unit (256MiB), or a number of bytes.
template <typename Number>
absl::Status SetBytes(const std::string& value, Number& out) {
  uint64_t bytes = 0;
  if (!absl::SimpleAtoi(value, &bytes)) {
    ASSIGN_OR_RETURN(bytes, ParseByteSize(value));
  }
  if (bytes == 0) return absl::InvalidArgumentError("must be above 0");
  out = static_cast<Number>(bytes);
  return absl::OkStatus();
}

template <typename Number>
absl::Status SetCount(const std::string& value, uint64_t max, Number& out) {
  uint64_t count = 0;
  if (!absl::SimpleAtoi(value, &count) || count == 0 || count > max) {
    return absl::InvalidArgumentError(absl::StrCat("want a number from 1 to ", max));
  }
  out = static_cast<Number>(count);
  return absl::OkStatus();
}

absl::Status SetLevel(const std::string& value, LogLevel& out) {
  if (value == "debug")
    out = LogLevel::kDebug;
  else if (value == "info")
    out = LogLevel::kInfo;
  else if (value == "warn")
    out = LogLevel::kWarn;
  else if (value == "error")
    out = LogLevel::kError;
  else
    return absl::InvalidArgumentError("want debug, info, warn or error");
  return absl::OkStatus();
}

absl::Status SetFormat(const std::string& value, LogFormat& out) {
  if (value == "logfmt")
    out = LogFormat::kLogfmt;
  else if (value == "json")
    out = LogFormat::kJson;
  else
    return absl::InvalidArgumentError("want logfmt or json");
  return absl::OkStatus();
}

absl::Status SetText(const std::string& value, std::string& out) {
  if (value.empty()) return absl::InvalidArgumentError("must not be empty");
  out = value;
  return absl::OkStatus();
}

absl::Status AddPushRule(const std::string& value, AccessRules& rules) {
  ASSIGN_OR_RETURN(PushRule rule, ParsePushRule(value));
  rules.push.push_back(std::move(rule));
  return absl::OkStatus();
}

absl::Status AddName(const std::string& value, std::vector<std::string>& names) {
  names.emplace_back();
  return SetText(value, names.back());
}

// Where gRPC connects to: host:port, or one of its other names of places (unix:PATH,
// dns:///HOST:PORT, ...).
absl::Status SetStorageAddress(const std::string& value, std::string& out) {
  if (absl::StartsWithIgnoreCase(value, "http://") ||
      absl::StartsWithIgnoreCase(value, "https://")) {
    return absl::InvalidArgumentError("want HOST:PORT, not a URL");
  }
  const bool named = std::ranges::any_of(
      std::to_array<std::string_view>({"unix:", "unix-abstract:", "dns:", "ipv4:", "ipv6:"}),
      [&value](std::string_view scheme) { return value.starts_with(scheme); });
  if (!named) {
    const auto address = ParseListenAddress(value);
    if (!address.ok() || address->host.empty() || address->port == 0) {
      return absl::InvalidArgumentError("want HOST:PORT");
    }
  }
  return SetText(value, out);
}

constexpr uint64_t kMaxCount = 1'000'000'000;

#define TRAWL_SET(call) [](const std::string& value, Flags& f) -> absl::Status { return call; }
#define TRAWL_SWITCH(member)                                   \
  [](const std::string& /*value*/, Flags& f) -> absl::Status { \
    f.member = true;                                           \
    return absl::OkStatus();                                   \
  }

const std::vector<Flag>& AllFlags() {
  static const std::vector<Flag>& flags = *new std::vector<Flag>{
      {"Configuration", "--config.file", "FILE",
       "Prometheus' configuration. SIGHUP reads it again. (prometheus.yml)",
       TRAWL_SET(SetText(value, f.config_file))},
      {"Configuration", "--trawl.config", "FILE", "Options that are trawl's own. (none)",
       TRAWL_SET(SetText(value, f.trawl_config))},
      {"Configuration", "--data-dir", "DIR",
       "Where trawld keeps its state; of one process at a time. (./data)",
       TRAWL_SET(SetText(value, f.data_dir))},
      {"Configuration", "--shards", "N", "Threads that scrape, and lanes to storage. (cores)",
       TRAWL_SET(SetCount(value, 1024, f.shards))},

      {"Listening", "--grpc.listen-address", "ADDR",
       "Of the discovery and status services. (127.0.0.1:8729)",
       TRAWL_SET(SetAddress(value, f.grpc_listen))},
      {"Listening", "--insecure", "",
       "Allow a gRPC address that others can reach, without TLS: whoever can connect may say "
       "what is scraped.",
       TRAWL_SWITCH(insecure)},
      {"Listening", "--grpc.tls-cert-file", "FILE",
       "Certificate, with its chain, of the gRPC port: PEM, read again when it changes. (none: no "
       "TLS)",
       TRAWL_SET(SetText(value, f.grpc_tls.cert_file))},
      {"Listening", "--grpc.tls-key-file", "FILE", "Its key.",
       TRAWL_SET(SetText(value, f.grpc_tls.key_file))},
      {"Listening", "--grpc.tls-client-ca-file", "FILE",
       "Clients must have a certificate that one of these CAs signed, or, with --grpc.token-file, "
       "a token. (none: clients are not asked)",
       TRAWL_SET(SetText(value, f.grpc_tls.client_ca_file))},
      {"Listening", "--grpc.token-file", "FILE",
       "Bearer tokens, a line each: NAME TOKEN. Read again when it changes, which ends streams "
       "whose token is there no more. (none)",
       TRAWL_SET(SetText(value, f.grpc_token_file))},
      {"Listening", "--discovery.allow", "RULE",
       "Who may push what: NAME [sources=S,...] [jobs=J,...], where NAME is one of a client's "
       "certificate or its token, and * stands for any characters. May be given more than once. "
       "(whoever can connect, if no rule and no role is given)",
       TRAWL_SET(AddPushRule(value, f.access)), /*repeats=*/true},
      {"Listening", "--status.viewer", "NAME", "May look at everything. May be repeated.",
       TRAWL_SET(AddName(value, f.access.viewers)), /*repeats=*/true},
      {"Listening", "--status.operator", "NAME",
       "May look, reload, plan, scrape now, accept held removals and release sources by force. May "
       "be repeated.",
       TRAWL_SET(AddName(value, f.access.operators)), /*repeats=*/true},
      {"Listening", "--web.listen-address", "ADDR",
       "Of metrics, health and the targets page. (127.0.0.1:8730)",
       TRAWL_SET(SetAddress(value, f.web_listen))},
      {"Listening", "--grpc.max-connections", "N",
       "Connections to the gRPC port; more are closed as they come. (1000)",
       TRAWL_SET(SetCount(value, kMaxCount, f.max_grpc_connections))},
      {"Listening", "--grpc.max-resets", "N",
       "Calls that a connection may give up in a second; with more it is closed. (200)",
       TRAWL_SET(SetCount(value, kMaxCount, f.max_grpc_resets))},
      {"Listening", "--web.max-connections", "N",
       "Connections to the HTTP port; with more the oldest goes that has not said what it wants. "
       "(512)",
       TRAWL_SET(SetCount(value, kMaxCount, f.max_web_connections))},
      {"Listening", "--web.read-timeout", "TIME",
       "A client of the HTTP port has so long to say what it wants. (10s)",
       TRAWL_SET(SetPositive(value, f.web_read_timeout))},
      {"Listening", "--web.config.file", "FILE",
       "TLS and users of the HTTP port, as in Prometheus. Read again when it changes. (none)",
       TRAWL_SET(SetText(value, f.web_config_file))},
      {"Listening", "--web.enable-lifecycle", "", "Serve /-/reload and /-/quit.",
       TRAWL_SWITCH(enable_lifecycle)},
      {"Listening", "--web.enable-admin-api", "", "Serve /api/v1/targets/scrape.",
       TRAWL_SWITCH(enable_admin_api)},

      {"Scraping", "--scrape.max-inflight-bytes", "SIZE",
       "Memory for what targets have sent and is not yet parsed; over it they wait, inside their "
       "timeouts. (256MiB)",
       TRAWL_SET(SetBytes(value, f.max_inflight_bytes))},

      {"Storage", "--storage.address", "ADDR", "A storage service to send samples to. (none)",
       TRAWL_SET(SetStorageAddress(value, f.storage_address))},
      {"Storage", "--storage.embedded-path", "FILE",
       "Also keep samples in this SQLite file. Without it the file is DIR/samples.db, used if "
       "there is neither --storage.address nor remote_write. If its disk is full at the start, "
       "opening it is tried again, and samples wait in the spool.",
       TRAWL_SET(SetText(value, f.embedded_path.emplace()))},
      {"Storage", "--storage.max-queue-bytes", "SIZE",
       "Memory for samples that storage doesn't have yet, where the spool can't take them; over it "
       "the oldest go. At least 1MiB for each shard. (256MiB)",
       TRAWL_SET(SetBytes(value, f.max_queue_bytes))},

      {"Storage", "--spool.max-bytes", "SIZE",
       "Disk for samples that storage doesn't have yet, in DIR/spool; never more than half of what "
       "is free. Over it the oldest go. (16GiB)",
       TRAWL_SET(SetBytes(value, f.spool.max_bytes))},
      {"Storage", "--spool.max-age", "TIME", "Samples in the spool that are older go. (7d)",
       TRAWL_SET(SetPositive(value, f.spool.max_age))},
      {"Storage", "--spool.sync-interval", "TIME",
       "How much of the newest samples a power loss may take. (1s)",
       TRAWL_SET(SetPositive(value, f.spool.sync_interval))},
      {"Storage", "--spool.in-memory", "",
       "No spool: what storage doesn't have waits in memory, and ends with the process.",
       TRAWL_SWITCH(spool.in_memory)},

      {"Discovery", "--discovery.max-sources", "N", "Sources that may push. (1000)",
       TRAWL_SET(SetCount(value, kMaxCount, f.discovery.sets.max_sources))},
      {"Discovery", "--discovery.max-id-bytes", "SIZE",
       "Of a source's name, an instance and a history id. (16KiB)",
       TRAWL_SET(SetBytes(value, f.discovery.sets.max_id_bytes))},
      {"Discovery", "--discovery.max-groups", "N", "Target groups of one source. (1000000)",
       TRAWL_SET(SetCount(value, kMaxCount, f.discovery.sets.plan.max_groups))},
      {"Discovery", "--discovery.max-targets", "N", "Targets of one source. (1000000)",
       TRAWL_SET(SetCount(value, kMaxCount, f.discovery.sets.plan.max_targets))},
      {"Discovery", "--discovery.max-group-targets", "N", "Targets of one group. (100000)",
       TRAWL_SET(SetCount(value, kMaxCount, f.discovery.sets.plan.group.max_targets))},
      {"Discovery", "--discovery.max-group-labels", "N", "Labels of one group. (256)",
       TRAWL_SET(SetCount(value, kMaxCount, f.discovery.sets.plan.group.max_labels))},
      {"Discovery", "--discovery.max-name-bytes", "SIZE",
       "Of the names of jobs, groups and labels. (1KiB)",
       TRAWL_SET(SetBytes(value, f.discovery.sets.plan.group.max_name_bytes))},
      {"Discovery", "--discovery.max-value-bytes", "SIZE", "Of addresses and label values. (64KiB)",
       TRAWL_SET(SetBytes(value, f.discovery.sets.plan.group.max_value_bytes))},
      {"Discovery", "--discovery.max-message-bytes", "SIZE", "Of a message on a stream. (4MiB)",
       TRAWL_SET(SetBytes(value, f.discovery.max_message_bytes))},
      {"Discovery", "--discovery.max-request-bytes", "SIZE", "Of a unary call. (32MiB)",
       TRAWL_SET(SetBytes(value, f.discovery.max_request_bytes))},
      {"Discovery", "--discovery.max-streams", "N",
       "Sync streams at a time; and so many that did not say Hello yet. (1000)",
       TRAWL_SET(SetCount(value, kMaxCount, f.discovery.max_streams))},
      {"Discovery", "--discovery.max-staged-bytes", "SIZE",
       "Snapshots on their way, together. (256MiB)",
       TRAWL_SET(SetBytes(value, f.discovery.max_staged_bytes))},
      {"Discovery", "--discovery.max-refused", "N",
       "Refused groups of a source that are remembered, to be asked for again. (10000)",
       TRAWL_SET(SetCount(value, kMaxCount, f.discovery.sets.max_refused))},
      {"Discovery", "--discovery.max-wanted", "N",
       "Refused groups that one message asks for; the next ones ask for the rest. (1000)",
       TRAWL_SET(SetCount(value, kMaxCount, f.discovery.max_wanted))},
      {"Discovery", "--discovery.silent-after", "TIME",
       "A source that is silent for so long is listed as orphaned. (1h)",
       TRAWL_SET(SetDuration(value, f.discovery.sets.silent_after))},
      {"Discovery", "--discovery.default-lease", "TIME",
       "Length of leases that state none; and how long a pusher counts as heard after a message. "
       "(1m)",
       TRAWL_SET(SetLease(value, f.discovery.default_lease))},
      {"Discovery", "--discovery.shrink-hold", "TIME",
       "Removals that look like a mistake are held for so long while their pusher is heard. 0s: "
       "never. (5m)",
       TRAWL_SET(SetDuration(value, f.discovery.sets.plan.guard.hold))},
      {"Discovery", "--discovery.shrink-min", "N", "A mistake removes more targets than this. (20)",
       TRAWL_SET(SetCount(value, kMaxCount, f.discovery.sets.plan.guard.min_removals))},
      {"Discovery", "--discovery.max-restored-age", "TIME",
       "What was pushed before trawld was not running for longer is not scraped until it is "
       "confirmed. (1h)",
       TRAWL_SET(SetDuration(value, f.discovery.max_restored_age))},

      {"Status", "--status.max-scrape-now", "N",
       "Targets that are scraped out of turn (ScrapeNow) at a time. (4)",
       TRAWL_SET(SetCount(value, 1000, f.max_scrape_now))},
      {"Status", "--status.max-plans", "N",
       "Plans of configurations (PlanConfig) that wait while one is worked out. (8)",
       TRAWL_SET(SetCount(value, 1000, f.max_plans))},
      {"Status", "--status.max-watchers", "N", "Watches of targets at a time. (32)",
       TRAWL_SET(SetCount(value, 10'000, f.max_watchers))},
      {"Status", "--status.max-watcher-silence", "TIME",
       "Nothing is kept for a watcher that reads nothing for so long; it starts anew. (10m)",
       TRAWL_SET(SetPositive(value, f.max_watcher_silence))},

      {"Logging", "--log.level", "LEVEL", "debug, info, warn or error. (info)",
       TRAWL_SET(SetLevel(value, f.log_level))},
      {"Logging", "--log.format", "FORMAT", "logfmt or json. (logfmt)",
       TRAWL_SET(SetFormat(value, f.log_format))},
  };
  return flags;
}
#undef TRAWL_SET
#undef TRAWL_SWITCH

// Words in lines of at most 100 columns, from column 4 on.
void AddWrapped(std::string_view text, std::string& out) {
  constexpr size_t kIndent = 10;
  constexpr size_t kColumns = 100;
  size_t column = 0;  // 0: before the first word
  for (const std::string_view word : absl::StrSplit(text, ' ')) {
    if (column == 0 || column + 1 + word.size() > kColumns) {
      absl::StrAppend(&out, column == 0 ? "" : "\n", std::string(kIndent, ' '), word);
      column = kIndent + word.size();
    } else {
      absl::StrAppend(&out, " ", word);
      column += 1 + word.size();
    }
  }
  out += '\n';
}

std::string HelpText() {
  std::string out =
      "trawld scrapes targets as Prometheus does, and sends what they say to storage.\n\n"
      "Usage: trawld [--config.file=FILE] [FLAG ...]\n";
  std::string_view group;
  for (const Flag& flag : AllFlags()) {
    if (group != flag.group) absl::StrAppend(&out, "\n", flag.group, "\n");
    group = flag.group;
    absl::StrAppend(&out, "  ", flag.name, *flag.value == '\0' ? "" : "=", flag.value, "\n");
    AddWrapped(flag.help, out);
  }
  out +=
      "\nOther\n  --help\n          This text.\n  --version\n          Which program this is.\n"
      "\nIn parentheses: what holds without the flag. TIME is as in Prometheus: 1h30m.\n"
      "SIZE has a unit: 64MiB.\n";
  return out;
}

ParsedFlags Wrong(std::string_view what) {
  return {.flags = std::nullopt,
          .text = absl::StrCat("trawld: ", what, "; trawld --help lists the flags\n"),
          .exit_code = 2};
}

// CLI11 says which flag it is at the beginning.
std::string MissingValue(std::string_view error) {
  for (const Flag& flag : AllFlags()) {
    if (*flag.value == '\0' || !error.starts_with(absl::StrCat(flag.name, ":"))) continue;
    return absl::StrCat(flag.name, " needs a value: ", flag.name, "=", flag.value);
  }
  return std::string(error);
}

absl::Status CheckAccess(const Flags& flags) {
  const RpcTls& tls = flags.grpc_tls;
  if (tls.cert_file.empty() != tls.key_file.empty()) {
    return absl::InvalidArgumentError(
        "--grpc.tls-cert-file and --grpc.tls-key-file go together: one of them is missing");
  }
  if (!tls.client_ca_file.empty() && !tls.enabled()) {
    return absl::InvalidArgumentError("--grpc.tls-client-ca-file needs --grpc.tls-cert-file");
  }
  const bool rules = !flags.access.push.empty() || !flags.access.viewers.empty() ||
                     !flags.access.operators.empty();
  if (rules && tls.client_ca_file.empty() && flags.grpc_token_file.empty()) {
    return absl::InvalidArgumentError(
        "--discovery.allow, --status.viewer and --status.operator name callers, which nothing "
        "proves: give --grpc.tls-client-ca-file or --grpc.token-file");
  }
  return absl::OkStatus();
}

// Below it a page of some thousand series can't be defined.
absl::Status CheckQueue(const Flags& flags) {
  constexpr uint64_t kMinOfShard = uint64_t{1} << 20;
  const uint64_t shards = ShardCount(flags);
  if (flags.max_queue_bytes >= kMinOfShard * shards) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--storage.max-queue-bytes=", flags.max_queue_bytes,
                   " is too little for --shards=", shards, ": each needs 1MiB"));
}

absl::Status CheckTogether(const Flags& flags) {
  RETURN_IF_ERROR(CheckAccess(flags));
  RETURN_IF_ERROR(CheckQueue(flags));
  if (!flags.grpc_listen.IsLoopback() && !flags.grpc_tls.enabled() && !flags.insecure) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--grpc.listen-address ", flags.grpc_listen.ToString(),
        " can be reached from elsewhere, without TLS: give --grpc.tls-cert-file, or say --insecure "
        "if that is meant"));
  }
  return absl::OkStatus();
}

}  // namespace

uint32_t ShardCount(const Flags& flags) {
  return flags.shards != 0 ? flags.shards : std::max(1u, std::thread::hardware_concurrency());
}

ParsedFlags ParseFlags(std::vector<std::string> arguments) {
  Flags flags;
  absl::Status problem;
  bool help = false;
  bool version = false;
  CLI::App app;
  app.set_help_flag();
  app.add_flag("--help,-h", help);
  app.add_flag("--version", version);
  for (const Flag& flag : AllFlags()) {
    const auto set = [&](const std::string& value) {
      const absl::Status status = flag.set(value, flags);
      if (status.ok() || !problem.ok()) return;
      problem =
          absl::InvalidArgumentError(absl::StrCat(flag.name, "=", value, ": ", status.message()));
    };
    if (*flag.value == '\0') {
      app.add_flag_callback(flag.name, [set] { set(""); });
    } else if (flag.repeats) {
      app.add_option_function<std::vector<std::string>>(
             flag.name,
             [set](const std::vector<std::string>& values) {
               for (const std::string& value : values) set(value);
             })
          ->allow_extra_args(false);
    } else {
      app.add_option_function<std::string>(flag.name, set)->take_last();
    }
  }
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ExtrasError&) {
    return Wrong(absl::StrCat("unknown flag or argument ", app.remaining().front()));
  } catch (const CLI::ArgumentMismatch& error) {
    return Wrong(MissingValue(error.what()));
  } catch (const CLI::ParseError& error) {
    return Wrong(error.what());
  }
  if (help) return {.flags = std::nullopt, .text = HelpText(), .exit_code = 0};
  if (version) return {std::nullopt, absl::StrCat(VersionLine("trawld"), "\n"), 0};
  flags.grpc_tls.client_certificate_optional = !flags.grpc_token_file.empty();
  if (problem.ok()) problem = CheckTogether(flags);
  if (!problem.ok()) return Wrong(problem.message());
  return {.flags = std::move(flags), .text = "", .exit_code = 0};
}

}  // namespace trawl

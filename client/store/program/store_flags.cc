#include "client/store/program/store_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/store/http_senders.h"
#include "core/base/duration.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"
#include "server/version.h"

namespace trawl {
namespace {

// As they stand on the command line.
struct Texts {
  std::string listen;
  std::string max_connections;
  std::string retention_time;
  std::string retention_size;
  std::string log_level;
  std::string log_format;
  bool discard = false;
  bool version = false;
};

std::unique_ptr<CLI::App> MakeApp(StoreFlags& flags, Texts& texts) {
  auto app = std::make_unique<CLI::App>(
      "Keeps what trawld scrapes: a storage service over SQLite, or in front of Prometheus remote "
      "write.",
      "trawl-store");
  const auto add = [&app](const char* group, const char* name, std::string& to, const char* value,
                          const char* help) {
    app->add_option(name, to, help)->group(group)->type_name(value);
  };
  add("Service", "--grpc.listen-address", texts.listen, "ADDR",
      "Where the storage service listens. (127.0.0.1:8731)");
  app->add_flag("--insecure", flags.insecure,
                "Allow a gRPC address that others can reach: there is no TLS, and whoever can "
                "connect may write samples.")
      ->group("Service");
  add("Service", "--grpc.max-connections", texts.max_connections, "N",
      "Connections at a time; more are closed as they come. (1000)");
  add("Service", "--data-dir", flags.data_dir, "DIR",
      "Where trawl-store keeps its files; of one process at a time. (./data-store)");
  add("Where samples go, one of", "--sqlite.path", flags.sqlite_path, "FILE",
      "Into this SQLite file; any sqlite3 reads its view `samples`, also meanwhile. This is what "
      "happens without a flag. (DATA_DIR/samples.db)");
  add("Where samples go, one of", "--remote-write.url", flags.remote_write_url, "URL",
      "On to this Prometheus remote-write endpoint.");
  app->add_flag("--discard", texts.discard, "Nowhere: decoded, counted, forgotten.")
      ->group("Where samples go, one of");
  add("SQLite", "--retention.time", texts.retention_time, "DURATION",
      "Samples older than this are deleted; 0: never. (15d)");
  add("SQLite", "--retention.size", texts.retention_size, "SIZE",
      "Above this many bytes in use the oldest samples are deleted; 0: never. (16GiB)");
  add("Other", "--log.level", texts.log_level, "LEVEL", "debug, info, warn or error. (info)");
  add("Other", "--log.format", texts.log_format, "FORMAT", "logfmt or json. (logfmt)");
  app->add_flag("--version", texts.version, "Print the version and exit.")->group("Other");
  app->set_help_flag("-h,--help", "Print this and exit.")->group("Other");
  return app;
}

absl::Status ReadBackend(const Texts& texts, StoreFlags& flags) {
  const bool remote = !flags.remote_write_url.empty();
  if (int{texts.discard} + int{remote} + int{!flags.sqlite_path.empty()} > 1) {
    return absl::InvalidArgumentError(
        "want at most one of --sqlite.path, --remote-write.url and --discard");
  }
  if (texts.discard) flags.backend = StoreFlags::Backend::kDiscard;
  if (remote) {
    RETURN_IF_ERROR(Annotate(CheckRemoteWriteUrl(flags.remote_write_url), "--remote-write.url"));
    flags.backend = StoreFlags::Backend::kRemoteWrite;
  }
  if (flags.sqlite_path.empty()) flags.sqlite_path = flags.data_dir + "/samples.db";
  return absl::OkStatus();
}

absl::Status ReadRetention(const Texts& texts, StoreFlags& flags) {
  if (!texts.retention_time.empty()) {
    const auto time = ParsePrometheusDuration(texts.retention_time);
    if (!time.ok()) return Annotate(time.status(), "--retention.time");
    flags.retention_time = *time;
  }
  if (!texts.retention_size.empty() &&
      !absl::SimpleAtoi(texts.retention_size, &flags.retention_bytes)) {
    const auto size = ParseByteSize(texts.retention_size);
    if (!size.ok()) return Annotate(size.status(), "--retention.size");
    flags.retention_bytes = *size;
  }
  return absl::OkStatus();
}

absl::Status ReadLog(const Texts& texts, StoreFlags& flags) {
  const std::pair<const char*, LogLevel> levels[] = {{"debug", LogLevel::kDebug},
                                                     {"info", LogLevel::kInfo},
                                                     {"warn", LogLevel::kWarn},
                                                     {"error", LogLevel::kError}};
  const auto level = std::find_if(std::begin(levels), std::end(levels),
                                  [&](const auto& l) { return texts.log_level == l.first; });
  if (level != std::end(levels)) {
    flags.log_level = level->second;
  } else if (!texts.log_level.empty()) {
    return absl::InvalidArgumentError("--log.level: want debug, info, warn or error");
  }
  if (texts.log_format == "json") {
    flags.log_format = LogFormat::kJson;
  } else if (!texts.log_format.empty() && texts.log_format != "logfmt") {
    return absl::InvalidArgumentError("--log.format: want logfmt or json");
  }
  return absl::OkStatus();
}

absl::Status ReadService(const Texts& texts, StoreFlags& flags) {
  if (!texts.listen.empty()) {
    auto address = ParseListenAddress(texts.listen);
    if (!address.ok()) return Annotate(address.status(), "--grpc.listen-address");
    flags.grpc_listen = *std::move(address);
  }
  if (!texts.max_connections.empty() &&
      (!absl::SimpleAtoi(texts.max_connections, &flags.max_connections) ||
       flags.max_connections == 0)) {
    return absl::InvalidArgumentError("--grpc.max-connections: want a number above 0");
  }
  if (!flags.grpc_listen.IsLoopback() && !flags.insecure) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--grpc.listen-address ", flags.grpc_listen.ToString(),
        " can be reached from elsewhere, without TLS: say --insecure if that is meant"));
  }
  return absl::OkStatus();
}

absl::Status Read(const Texts& texts, StoreFlags& flags) {
  absl::Status status = ReadService(texts, flags);
  if (status.ok()) status = ReadBackend(texts, flags);
  if (status.ok()) status = ReadRetention(texts, flags);
  if (status.ok()) status = ReadLog(texts, flags);
  return status;
}

}  // namespace

ParsedStoreFlags ParseStoreFlags(std::vector<std::string> arguments) {
  StoreFlags flags;
  Texts texts;
  const std::unique_ptr<CLI::App> app = MakeApp(flags, texts);
  try {
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
    app->parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    return {.text = app->help()};
  } catch (const CLI::ParseError& error) {
    return {.text = absl::StrCat("trawl-store: ", error.what(), "; see --help"), .exit_code = 2};
  }
  if (texts.version) return {.text = VersionLine("trawl-store") + "\n"};
  const absl::Status status = Read(texts, flags);
  if (!status.ok()) {
    return {.text = absl::StrCat("trawl-store: ", status.message(), "; see --help"),
            .exit_code = 2};
  }
  return {.flags = std::move(flags)};
}

}  // namespace trawl

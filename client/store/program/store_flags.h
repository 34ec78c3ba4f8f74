#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/base/log.h"
#include "server/listen_address.h"

namespace trawl {

// What trawl-store's command line says.
struct StoreFlags {
  enum class Backend { kSqlite, kRemoteWrite, kDiscard };

  ListenAddress grpc_listen{"127.0.0.1", 8731};
  bool insecure = false;  // others may reach it
  size_t max_connections = 1000;
  std::string data_dir = "./data-store";
  Backend backend = Backend::kSqlite;
  std::string sqlite_path;  // DATA_DIR/samples.db unless given
  std::string remote_write_url;
  absl::Duration retention_time = absl::Hours(24 * 15);  // 0: for ever
  uint64_t retention_bytes = uint64_t{16} << 30;         // 0: without bound
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kLogfmt;
};

// What main is to do: run with `flags`, or print `text` and exit.
struct ParsedStoreFlags {
  std::optional<StoreFlags> flags;
  std::string text;   // help, version, or one line that says what is wrong
  int exit_code = 0;  // 2: a wrong flag; `text` goes to standard error
};

// `arguments` without the program's name. Wraps CLI11.
ParsedStoreFlags ParseStoreFlags(std::vector<std::string> arguments);

}  // namespace trawl

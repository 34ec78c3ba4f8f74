#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/base/log.h"
#include "core/discovery/discovery.h"
#include "server/access/access_policy.h"
#include "server/access/rpc_certificates.h"
#include "server/listen_address.h"

namespace trawl {

// What trawld's command line says. Flags have Prometheus' names where it has them.
struct Flags {
  std::string config_file = "prometheus.yml";
  std::string trawl_config;  // "": none
  ListenAddress web_listen{"127.0.0.1", 8730};
  size_t max_grpc_connections = 1000;
  size_t max_grpc_resets = 200;  // of a connection in a second
  size_t max_web_connections = 512;
  absl::Duration web_read_timeout = absl::Seconds(10);
  bool enable_lifecycle = false;
  bool enable_admin_api = false;
  ListenAddress grpc_listen{"127.0.0.1", 8729};
  bool insecure = false;
  RpcTls grpc_tls;
  std::string grpc_token_file;  // "": no tokens
  AccessRules access;
  std::string web_config_file;               // "": none
  std::string storage_address;               // "": none
  std::optional<std::string> embedded_path;  // unset: DATA_DIR/samples.db, if nothing else stores
  uint64_t max_inflight_bytes = 256 << 20;   // of bodies, over all shards
  uint64_t max_queue_bytes = 256 << 20;      // over all lanes; 1 MiB each at least
  struct Spool {
    bool in_memory = false;
    uint64_t max_bytes = uint64_t{16} << 30;
    absl::Duration max_age = absl::Hours(24 * 7);
    absl::Duration sync_interval = absl::Seconds(1);
  };
  Spool spool;
  std::string data_dir = "./data";
  uint32_t shards = 0;  // 0: one a core
  Discovery::Options discovery;
  size_t max_scrape_now = 4;
  size_t max_plans = 8;
  uint32_t max_watchers = 32;
  absl::Duration max_watcher_silence = absl::Minutes(10);
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kLogfmt;
};
uint32_t ShardCount(const Flags& flags);

// What main is to do: run with `flags`, or print `text` and exit.
struct ParsedFlags {
  std::optional<Flags> flags;
  std::string text;   // help, version, or one line that says what is wrong
  int exit_code = 0;  // 2: a wrong flag; `text` goes to standard error
};

// `arguments` without the program's name. Wraps CLI11.
ParsedFlags ParseFlags(std::vector<std::string> arguments);

}  // namespace trawl

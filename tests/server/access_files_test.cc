#include "server/access/access_files.h"

#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <string_view>

#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

TEST(AccessFilesTest, ThatFilesAreWrongIsAMetricForAsLongAsTheyAre) {
  MemFileSystem files;
  files.Put("/tokens", "ops 0123456789abcdef\n");
  files.Put("/web.yml", "basic_auth_users: {}\n");
  prometheus::Registry registry;
  ServerMetrics metrics(registry);
  const auto access = AccessFiles::Open(
      {.rules = {}, .rpc_tls = {}, .token_file = "/tokens", .web_config_file = "/web.yml"},
      {files, metrics});
  ASSERT_OK(access);
  const auto successful = [&](std::string_view what) {
    return metrics.access_last_reload_successful.Value({what});
  };
  (*access)->Refresh();
  EXPECT_EQ(successful("grpc_tokens"), 1);
  EXPECT_EQ(successful("web_config"), 1);

  files.Put("/tokens", "broken\n");
  (*access)->Refresh();
  EXPECT_EQ(successful("grpc_tokens"), 0);
  EXPECT_EQ(successful("web_config"), 1);

  files.Put("/tokens", "ops fedcba9876543210\n");
  files.Put("/web.yml", "nonsense");
  (*access)->Refresh();
  EXPECT_EQ(successful("grpc_tokens"), 1);
  EXPECT_EQ(successful("web_config"), 0);
}

}  // namespace
}  // namespace trawl

#include "server/sinks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trawl {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Names(const SinkFlags& flags, const Config& config) {
  std::vector<std::string> names;
  for (const SinkSpec& spec : DesiredSinks(flags, config)) names.push_back(spec.name);
  return names;
}

Config WithRemoteWrite(const std::string& name) {
  Config config;
  config.remote_writes.push_back({.url = "http://h/", .name = name});
  return config;
}

TEST(DesiredSinksTest, SqliteStoresWhatNobodyElseDoes) {
  EXPECT_THAT(Names({.default_embedded_path = "d/samples.db"}, {}), ElementsAre("embedded"));
  EXPECT_EQ(DesiredSinks({.default_embedded_path = "d/samples.db"}, {})[0].address, "d/samples.db");
  EXPECT_THAT(Names({.storage_address = "a:1"}, {}), ElementsAre("storage"));
  EXPECT_THAT(Names({}, WithRemoteWrite("mimir")), ElementsAre("mimir"));
}

TEST(DesiredSinksTest, SqliteThatIsAskedForStandsBesideTheOthers) {
  const SinkFlags flags{.storage_address = "a:1", .embedded_path = "x.db"};

  EXPECT_THAT(Names(flags, WithRemoteWrite("mimir")), ElementsAre("storage", "embedded", "mimir"));
}

TEST(DesiredSinksTest, NamesAreUnique) {
  EXPECT_THAT(Names({.storage_address = "a:1"}, WithRemoteWrite("storage")),
              ElementsAre("storage", "storage-remote"));
}

}  // namespace
}  // namespace trawl

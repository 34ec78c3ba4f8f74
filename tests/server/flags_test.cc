#include "server/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trawl {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A wrong command line: one line, exit code 2.
void ExpectWrong(std::vector<std::string> arguments, const std::string& part) {
  const ParsedFlags parsed = ParseFlags(std::move(arguments));
  EXPECT_FALSE(parsed.flags);
  EXPECT_EQ(parsed.exit_code, 2);
  EXPECT_THAT(parsed.text, AllOf(StartsWith("trawld: "), HasSubstr(part), EndsWith("\n")));
  EXPECT_EQ(std::count(parsed.text.begin(), parsed.text.end(), '\n'), 1) << parsed.text;
}

TEST(FlagsTest, DefaultsAreThoseOfTheHelp) {
  const ParsedFlags parsed = ParseFlags({});

  ASSERT_TRUE(parsed.flags) << parsed.text;
  EXPECT_EQ(parsed.flags->config_file, "prometheus.yml");
  EXPECT_EQ(parsed.flags->grpc_listen.ToString(), "127.0.0.1:8729");
  EXPECT_EQ(parsed.flags->web_listen.ToString(), "127.0.0.1:8730");
  EXPECT_EQ(parsed.flags->data_dir, "./data");
  EXPECT_EQ(parsed.flags->max_queue_bytes, 256u << 20);
  EXPECT_EQ(parsed.flags->spool.max_bytes, uint64_t{16} << 30);
  EXPECT_EQ(parsed.flags->spool.max_age, absl::Hours(24 * 7));
  EXPECT_EQ(parsed.flags->spool.sync_interval, absl::Seconds(1));
  EXPECT_FALSE(parsed.flags->spool.in_memory);
  EXPECT_FALSE(parsed.flags->embedded_path);
}

TEST(FlagsTest, TakesValuesBehindAnEqualsSignAndAsTheNextWord) {
  const ParsedFlags parsed = ParseFlags(
      {"--config.file=a.yml", "--web.listen-address", "[::1]:0", "--web.enable-lifecycle",
       "--web.read-timeout=3s", "--storage.max-queue-bytes=64MiB", "--spool.max-bytes=1GiB",
       "--spool.max-age=2h", "--spool.sync-interval=100ms", "--spool.in-memory",
       "--storage.embedded-path=x.db", "--shards=3", "--status.max-scrape-now=9",
       "--status.max-plans=3", "--status.max-watcher-silence=1m", "--web.enable-admin-api",
       "--log.level=debug", "--log.format=json", "--discovery.silent-after=5m"});

  ASSERT_TRUE(parsed.flags) << parsed.text;
  EXPECT_EQ(parsed.flags->config_file, "a.yml");
  EXPECT_EQ(parsed.flags->web_listen.ToString(), "[::1]:0");
  EXPECT_TRUE(parsed.flags->enable_lifecycle);
  EXPECT_EQ(parsed.flags->web_read_timeout, absl::Seconds(3));
  EXPECT_EQ(parsed.flags->max_queue_bytes, 64u << 20);
  EXPECT_EQ(parsed.flags->spool.max_bytes, 1u << 30);
  EXPECT_EQ(parsed.flags->spool.max_age, absl::Hours(2));
  EXPECT_EQ(parsed.flags->spool.sync_interval, absl::Milliseconds(100));
  EXPECT_TRUE(parsed.flags->spool.in_memory);
  EXPECT_EQ(parsed.flags->embedded_path, "x.db");
  EXPECT_EQ(parsed.flags->shards, 3u);
  EXPECT_EQ(parsed.flags->max_scrape_now, 9u);
  EXPECT_EQ(parsed.flags->max_plans, 3u);
  EXPECT_EQ(parsed.flags->max_watcher_silence, absl::Minutes(1));
  EXPECT_TRUE(parsed.flags->enable_admin_api);
  EXPECT_EQ(parsed.flags->log_level, LogLevel::kDebug);
  EXPECT_EQ(parsed.flags->discovery.sets.silent_after, absl::Minutes(5));
}

TEST(FlagsTest, DiscoverysLimitsAndTimesAreOptions) {
  const ParsedFlags parsed = ParseFlags(
      {"--discovery.max-group-labels=3", "--discovery.max-name-bytes=1KiB",
       "--discovery.max-id-bytes=5KiB", "--discovery.max-value-bytes=2KiB",
       "--discovery.max-message-bytes=3KiB", "--discovery.max-request-bytes=4KiB",
       "--discovery.shrink-hold=0s", "--discovery.shrink-min=7", "--discovery.max-restored-age=2h",
       "--discovery.max-refused=5", "--discovery.max-wanted=6"});

  ASSERT_TRUE(parsed.flags) << parsed.text;
  const Discovery::Options& discovery = parsed.flags->discovery;
  EXPECT_EQ(discovery.sets.plan.group.max_labels, 3u);
  EXPECT_EQ(discovery.sets.plan.group.max_name_bytes, 1024u);
  EXPECT_EQ(discovery.sets.max_id_bytes, 5120u);
  EXPECT_EQ(discovery.sets.plan.group.max_value_bytes, 2048u);
  EXPECT_EQ(discovery.max_message_bytes, 3072u);
  EXPECT_EQ(discovery.max_request_bytes, 4096u);
  EXPECT_EQ(discovery.sets.plan.guard.hold, absl::ZeroDuration());
  EXPECT_EQ(discovery.sets.plan.guard.min_removals, 7u);
  EXPECT_EQ(discovery.max_restored_age, absl::Hours(2));
  EXPECT_EQ(discovery.sets.max_refused, 5u);
  EXPECT_EQ(discovery.max_wanted, 6u);
}

TEST(FlagsTest, AccessRulesAddUp) {
  const ParsedFlags parsed =
      ParseFlags({"--grpc.token-file=tokens", "--discovery.allow=k8s sources=k8s-* jobs=node",
                  "--discovery.allow", "ops", "--status.viewer=a", "--status.viewer=b",
                  "--status.operator=c"});

  ASSERT_TRUE(parsed.flags) << parsed.text;
  EXPECT_EQ(parsed.flags->access.push,
            (std::vector<PushRule>{{"k8s", {"k8s-*"}, {"node"}}, {"ops", {"*"}, {"*"}}}));
  EXPECT_EQ(parsed.flags->access.viewers, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(parsed.flags->access.operators, std::vector<std::string>{"c"});
  EXPECT_TRUE(parsed.flags->grpc_tls.client_certificate_optional);
}

TEST(FlagsTest, AccessThatNothingCanProveIsRefused) {
  ExpectWrong({"--grpc.tls-cert-file=c"}, "go together");
  ExpectWrong({"--grpc.tls-client-ca-file=c"}, "needs --grpc.tls-cert-file");
  ExpectWrong({"--status.viewer=a"}, "which nothing proves");
  ExpectWrong({"--discovery.allow=a x=y", "--grpc.token-file=t"}, "\"x=y\"");
  ExpectWrong({"--grpc.listen-address=:8729", "--grpc.token-file=t"}, "say --insecure");
  EXPECT_TRUE(
      ParseFlags({"--grpc.listen-address=:8729", "--grpc.tls-cert-file=c", "--grpc.tls-key-file=k"})
          .flags);
}

TEST(FlagsTest, WhatIsWrongIsOneLineAndExitCodeTwo) {
  ExpectWrong({"--config.fil=x"}, "--config.fil");
  ExpectWrong({"stray"}, "stray");
  ExpectWrong({"--storage.address=http://store:8731"}, "want HOST:PORT");
  ExpectWrong({"--storage.address=store"}, "--storage.address=store: want HOST:PORT");
  ExpectWrong({"--storage.address=:8731"}, "want HOST:PORT");
  ExpectWrong({"--storage.address="}, "--storage.address needs a value: --storage.address=ADDR");
  ExpectWrong({"--config.file"}, "--config.file");
  ExpectWrong({"--shards=0"}, "--shards=0: want a number from 1 to 1024");
  ExpectWrong({"--shards=many"}, "--shards=many");
  ExpectWrong({"--storage.max-queue-bytes=-1"}, "--storage.max-queue-bytes=-1");
  ExpectWrong({"--storage.max-queue-bytes=3MiB", "--shards=4"},
              "--storage.max-queue-bytes=3145728 is too little for --shards=4: each needs 1MiB");
  ExpectWrong({"--spool.max-bytes=0"}, "--spool.max-bytes=0");
  ExpectWrong({"--discovery.default-lease=0s"}, "must be at least 1s");
  ExpectWrong({"--spool.max-age=0s"}, "--spool.max-age=0s");
  ExpectWrong({"--spool.sync-interval=0s"}, "--spool.sync-interval=0s");
  ExpectWrong({"--log.level=loud"}, "want debug, info, warn or error");
  ExpectWrong({"--grpc.listen-address=8729"}, "missing port in address");
  ExpectWrong({"--web.listen-address=a:99999"}, "invalid port");
}

TEST(FlagsTest, AnAddressThatOthersReachNeedsAWord) {
  ExpectWrong({"--grpc.listen-address=0.0.0.0:8729"}, "--insecure");
  ExpectWrong({"--grpc.listen-address=:8729"}, "--insecure");
  EXPECT_TRUE(ParseFlags({"--grpc.listen-address=0.0.0.0:8729", "--insecure"}).flags);
  ExpectWrong({"--grpc.listen-address=127.example.org:8729"}, "--insecure");
  ExpectWrong({"--grpc.listen-address=[::]:8729"}, "--insecure");
  EXPECT_TRUE(ParseFlags({"--grpc.listen-address=localhost:8729"}).flags);
  EXPECT_TRUE(ParseFlags({"--grpc.listen-address=127.1.2.3:8729"}).flags);
  EXPECT_TRUE(ParseFlags({"--grpc.listen-address=[::1]:8729"}).flags);
}

TEST(FlagsTest, HelpIsGroupedAndFitsTheScreen) {
  const ParsedFlags parsed = ParseFlags({"--help"});

  EXPECT_EQ(parsed.exit_code, 0);
  EXPECT_THAT(parsed.text, AllOf(HasSubstr("\nStorage\n"), HasSubstr("  --storage.address=ADDR\n"),
                                 HasSubstr("\nLogging\n")));
  size_t begin = 0;
  for (size_t end; (end = parsed.text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    EXPECT_LE(end - begin, 100u) << parsed.text.substr(begin, end - begin);
  }
}

TEST(FlagsTest, VersionIsOneLine) {
  const ParsedFlags parsed = ParseFlags({"--version"});

  EXPECT_EQ(parsed.exit_code, 0);
  EXPECT_THAT(parsed.text, AllOf(StartsWith("trawld, version "), HasSubstr("revision ")));
}

}  // namespace
}  // namespace trawl

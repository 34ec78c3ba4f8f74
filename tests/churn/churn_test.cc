// Days of series churn in virtual time: the real scrape loops, lane, spool on files and two stores,
// one of which checks every sample. Memory and disk stay as they are, and nothing is lost or comes
// twice where segments end. Each period storage is away for a while.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/store/sqlite/sqlite_backend.h"
#include "client/store/store_sessions.h"
#include "core/append/lane.h"
#include "core/config/config.h"
#include "core/discovery/desired_targets.h"
#include "core/scrape/scrape_manager.h"
#include "core/scrape/scrape_scratch.h"
#include "core/spool/spool.h"
#include "core/telemetry/metrics.h"
#include "tests/churn/checking_backend.h"
#include "tests/churn/churning_pages.h"
#include "tests/churn/store_link.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/fakes/fake_fetcher.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::IsEmpty;

// How long and how much. Each period is like the one before.
struct ChurnSize {
  int targets = 4;
  int slots = 100;
  int warm_up = 3;  // periods before what is compared: retention begins, what counts times fills up
  int periods = 3;
  absl::Duration period = absl::Hours(1);
  absl::Duration outage = absl::Minutes(6);  // in each
};

ChurnSize SizeOfTheTest() {
  const char* const size = std::getenv("TRAWL_TEST_SIZE");
  if (size == nullptr || std::string_view(size) != "long") return {};
  return {.targets = 10,
          .slots = 200,
          .periods = 7,
          .period = absl::Hours(24),
          .outage = absl::Hours(1)};
}

// In memory where there is a file system of that kind: days have many syncs.
std::filesystem::path MakeDirectory() {
  const bool in_memory = std::filesystem::exists("/dev/shm");
  std::string path = in_memory ? "/dev/shm/trawl_churn_XXXXXX" : "/tmp/trawl_churn_XXXXXX";
  EXPECT_NE(mkdtemp(path.data()), nullptr);
  return path;
}

// What is held, in bytes; of each the highest of a period.
struct Footprint {
  uint64_t spool = 0;   // of files
  uint64_t trawld = 0;  // of the heap, with the checking store
  uint64_t store = 0;   // of the heap, by SQLite
  uint64_t keys = 0;    // not bytes: series that trawld knows

  void Max(const Footprint& other) {
    spool = std::max(spool, other.spool);
    trawld = std::max(trawld, other.trawld);
    store = std::max(store, other.store);
    keys = std::max(keys, other.keys);
  }
};

// A store on the same loop, over a back end.
struct StoreOnLoop {
  StoreOnLoop(FakeEventLoop& loop, std::unique_ptr<StoreBackend> with)
      : backend(std::move(with)),
        sessions({.version = "test"}, {loop, *backend}),
        link(loop, sessions) {}

  std::unique_ptr<StoreBackend> backend;
  StoreSessions sessions;
  StoreLink link;
};

class ChurnWorld {
 public:
  explicit ChurnWorld(const ChurnSize& size)
      : size_(size),
        directory_(MakeDirectory()),
        page_{.slots = size.slots},
        pages_(loop_, page_),
        checking_(loop_, std::make_unique<CheckingBackend>(page_)),
        sqlite_(loop_, OpenSqlite()),
        syncer_({}, {loop_, files_}),
        spool_(SpoolOptions(), {loop_, files_, syncer_, budget_}),
        lane_(LaneOptions(), {loop_, spool_, random_}),
        shard_{0, loop_, pages_, lane_, keys_, scratch_, HashKey{1}, metrics_.scrape(), bodies_},
        manager_({.fqdn = "host"}, {loop_, {&shard_}, clients_, metrics_.scrape()}) {
    lane_.AddSink("checking", checking_.link);
    lane_.AddSink("sqlite", sqlite_.link);
    StartScraping();
  }
  ~ChurnWorld() { std::filesystem::remove_all(directory_); }

  // One period; the highest of what was held.
  Footprint Live() {
    Footprint highest;
    const absl::Duration up = size_.period - size_.outage;
    LiveFor(up / 2, highest);
    checking_.link.Cut();
    sqlite_.link.Cut();
    LiveFor(size_.outage, highest);
    checking_.link.Mend();
    sqlite_.link.Mend();
    LiveFor(up - up / 2, highest);
    return highest;
  }

  // No more scrapes; all that was scraped is brought to the stores.
  void Finish() {
    bool stopped = false;
    manager_.Stop([&] { stopped = true; });
    loop_.Advance(absl::Minutes(1));
    EXPECT_TRUE(stopped);
    const LaneStatus status = lane_.Snapshot();
    for (const SinkStatus& sink : status.sinks) {
      EXPECT_EQ(sink.durable + 1, status.next_number) << sink.name;
      EXPECT_THAT(sink.gap_samples, IsEmpty()) << sink.name;
    }
  }

  const CheckingBackend& checking() const {
    return static_cast<const CheckingBackend&>(*checking_.backend);
  }
  uint64_t sqlite_samples() { return sqlite_.backend->Stats().samples_total; }
  int64_t scrapes() const { return pages_.scrapes(); }
  LaneStatus lane() const { return lane_.Snapshot(); }
  int64_t replaced_series() const {
    return page_.Replaced(absl::ToInt64Minutes(loop_.Now() - start_)) * size_.targets;
  }

 private:
  std::unique_ptr<StoreBackend> OpenSqlite() {
    SqliteOptions options;
    options.path = (directory_ / "samples.db").string();
    options.retention_time = size_.period / 8;
    auto backend = SqliteBackendFactory(options, files_)(loop_);
    EXPECT_OK(backend.status());
    return *std::move(backend);
  }
  Spool::Options SpoolOptions() const {
    Spool::Options options;
    options.directory = (directory_ / "spool").string();
    options.identity = {"0123456789abcdef0123456789abcdef", 7, 0};
    return options;
  }
  static Lane::Options LaneOptions() {
    Lane::Options options;
    options.identity.writer_id = "0123456789abcdef0123456789abcdef";
    options.identity.incarnation = 7;
    options.identity.epoch = 7;
    options.keyframe_bytes = size_t{8} << 10;  // some in each segment
    return options;
  }

  void StartScraping() {
    auto config = std::make_shared<Config>();
    ScrapeConfig& job = config->scrape_configs.emplace_back();
    job.job_name = "churn";
    job.scrape_interval = absl::Seconds(15);
    job.scrape_timeout = absl::Seconds(10);
    manager_.ApplyConfig(config, std::make_shared<const TrawlConfig>(),
                         [](const absl::Status& status) { EXPECT_OK(status); });
    TargetGroup group;
    for (int i = 0; i < size_.targets; ++i) group.targets.push_back(absl::StrCat("host", i, ":1"));
    std::vector<OwnedGroup> groups = {{"static/0", std::make_shared<const TargetGroup>(group)}};
    manager_.SetTargets(
        std::make_shared<const DesiredTargets>(DesiredTargets{"churn", std::move(groups)}), [] {});
  }

  void LiveFor(absl::Duration duration, Footprint& highest) {
    for (; duration > absl::ZeroDuration(); duration -= absl::Minutes(1)) {
      loop_.Advance(absl::Minutes(1));
      highest.Max(Held());
    }
  }

  Footprint Held() const {
    const struct mallinfo2 heap = mallinfo2();
    const auto sqlite = static_cast<uint64_t>(sqlite3_memory_used());
    const uint64_t all = heap.uordblks + heap.hblkhd;
    return {lane_.Snapshot().log_bytes, all > sqlite ? all - sqlite : 0, sqlite, keys_.live_keys()};
  }

  const ChurnSize size_;
  const std::filesystem::path directory_;
  FakeEventLoop loop_;
  const absl::Time start_ = loop_.Now();
  PosixFileSystem files_;
  std::mt19937 random_{1};
  const ChurningPage page_;
  ChurningPages pages_;
  StoreOnLoop checking_;
  StoreOnLoop sqlite_;
  SpoolBudget budget_{uint64_t{1} << 40};
  SpoolSyncer syncer_;
  Spool spool_;
  Lane lane_;
  FakeHttpClientFactory clients_;
  KeyTable keys_;
  Metrics metrics_;
  BodyBudget bodies_;
  ScrapeScratch scratch_;
  Shard shard_;
  ScrapeManager manager_;
};

// Within a tenth.
void ExpectFlat(uint64_t first, uint64_t now, const std::string& what) {
  EXPECT_LE(now, first + first / 10) << what << " grows";
  EXPECT_GE(now, first - first / 10) << what << " shrinks";
}

void ExpectFlat(const Footprint& first, const Footprint& now, const std::string& when) {
  ExpectFlat(first.spool, now.spool, "the spool" + when);
  ExpectFlat(first.trawld, now.trawld, "trawld's memory" + when);
  ExpectFlat(first.store, now.store, "the store's memory" + when);
  ExpectFlat(first.keys, now.keys, "what trawld knows" + when);
}

TEST(ChurnTest, AHundredthOfTheSeriesAMinuteLeavesMemoryAndSpoolFlatAndLosesNothing) {
  const ChurnSize size = SizeOfTheTest();
  ChurnWorld world(size);
  Footprint first;
  for (int period = 1; period <= size.warm_up + size.periods; ++period) {
    const Footprint highest = world.Live();
    std::printf("period %d: spool %lu, trawld %lu, store %lu bytes; %lu series\n", period,
                highest.spool, highest.trawld, highest.store, highest.keys);
    std::fflush(stdout);
    if (period == size.warm_up + 1) first = highest;
    if (period > size.warm_up + 1) ExpectFlat(first, highest, absl::StrCat(" in period ", period));
  }

  world.Finish();

  EXPECT_THAT(world.checking().complaints(), IsEmpty());
  EXPECT_EQ(world.checking().lost(), 0u);
  EXPECT_GT(world.scrapes(), size.targets * 200);
  EXPECT_GT(world.lane().segments, uint64_t(size.periods));
  EXPECT_GT(world.lane().keyframes, world.lane().segments);
  // Each scrape once; a target's end, which comes with Stop, is no scrape of a page.
  EXPECT_EQ(world.checking().scrapes(), world.scrapes());
  EXPECT_NEAR(static_cast<double>(world.checking().markers()),
              static_cast<double>(world.replaced_series()), size.targets * size.slots / 50.0);
  EXPECT_EQ(world.sqlite_samples(), world.lane().samples);
}

}  // namespace
}  // namespace trawl

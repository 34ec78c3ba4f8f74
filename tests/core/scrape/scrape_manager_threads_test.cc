#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/epoll_loop.h"
#include "core/base/mutex.h"
#include "core/scrape/scrape_manager.h"
#include "core/scrape/scrape_scratch.h"
#include "core/telemetry/metrics.h"
#include "tests/core/scrape/scrape_world.h"
#include "tests/fakes/fake_fetcher.h"

namespace trawl {
namespace {

// Something that one thread waits for and another one tells.
class Event {
 public:
  void Set() {
    MutexLock lock(mutex_);
    set_ = true;
    changed_.NotifyAll();
  }
  void Wait() {
    MutexLock lock(mutex_);
    while (!set_) changed_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool set_ TRAWL_GUARDED_BY(mutex_) = false;
};

// A shard with a thread of its own.
struct ThreadedShard {
  ThreadedShard(const Clock& clock, uint32_t number, ScrapeMetrics& metrics)
      : thread(clock, absl::StrCat("shard-", number)),
        fetcher(thread.loop()),
        shard{number,  thread.loop(), fetcher, appender, keys,
              scratch, HashKey{1},    metrics, bodies} {}

  KeyTable keys;
  ScrapeScratch scratch;
  SampleLog appender;
  LoopThread thread;
  FakeFetcher fetcher;
  BodyBudget bodies;
  Shard shard;
};

// For ThreadSanitizer: what is thread-safe is used from several threads, over real loops.
TEST(ScrapeManagerThreadsTest, TargetsConfigsAndSnapshotsMayComeFromAnyThread) {
  const SystemClock clock;
  Metrics metrics;
  FakeHttpClientFactory clients;
  std::vector<std::unique_ptr<ThreadedShard>> shards;
  std::vector<Shard*> pointers;
  for (uint32_t i = 0; i < 2; ++i) {
    shards.push_back(std::make_unique<ThreadedShard>(clock, i, metrics.scrape()));
    pointers.push_back(&shards.back()->shard);
  }
  LoopThread thread(clock, "manager");
  ScrapeManager manager({}, {thread.loop(), pointers, clients, metrics.scrape()});

  constexpr int kThreads = 2;
  constexpr int kUpdates = 100;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::string job = absl::StrCat("job-", t);
      for (int i = 0; i < kUpdates; ++i) {
        auto config = std::make_shared<Config>();
        for (int j = 0; j < kThreads; ++j) {
          config->scrape_configs.push_back(
              ScrapeWorld::Job(absl::StrCat("job-", j), absl::Milliseconds(5 + i % 3)));
        }
        if (i % 10 == 0) manager.ApplyConfig(config, nullptr, {});
        auto desired = std::make_shared<DesiredTargets>();
        desired->job = job;
        desired->groups = {ScrapeWorld::Group(
            "s", "0", {absl::StrCat("host-", i % 7), absl::StrCat("host-", i % 11)})};
        Event done;
        manager.SetTargets(desired, [&] { done.Set(); });
        done.Wait();
        const auto snapshot = manager.Snapshot();
        for (const auto& pool : snapshot->pools) {
          for (const auto& target : pool->active.ByUrl()) target->status->Get();
        }
      }
    });
  }
  for (std::thread& t : threads) t.join();

  ASSERT_EQ(manager.Snapshot()->pools.size(), 2u);
  EXPECT_GE(manager.Snapshot()->pools[0]->active.size(), 1u);
  Event stopped;
  manager.Stop([&] { stopped.Set(); });
  stopped.Wait();
  thread.Shutdown();
  for (const auto& shard : shards) shard->thread.Shutdown();
}

}  // namespace
}  // namespace trawl

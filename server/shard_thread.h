#pragma once

#include <cstdint>
#include <memory>

#include "absl/random/random.h"
#include "core/append/earlier_lanes.h"
#include "core/append/lane.h"
#include "core/append/memory_record_log.h"
#include "core/base/clock.h"
#include "core/base/epoll_loop.h"
#include "core/base/hash.h"
#include "core/fetch/cares_resolver.h"
#include "core/fetch/curl_fetcher.h"
#include "core/fetch/descriptor_budget.h"
#include "core/model/series_key.h"
#include "core/scrape/scrape_scratch.h"
#include "core/scrape/shard.h"
#include "core/telemetry/scrape_metrics.h"
#include "server/spooling.h"

namespace trawl {

// One shard: a thread with its loop, and all that only this thread touches. The one place where
// the seams of a shard meet their implementations.
//
// Made, shut down and destroyed by the main thread.
class ShardThread {
 public:
  struct Options {
    uint32_t number = 0;
    HashKey hash_key;
    CurlFetcher::Options fetcher;
    MemoryRecordLog::Options log;  // where there is no spool
    Lane::Options lane;
    uint64_t max_body_bytes = uint64_t{128} << 20;  // of bodies that are on their way
  };
  struct Deps {
    const Clock& clock;
    DescriptorBudget& budget;
    ScrapeMetrics& metrics;
    EarlierLanes::Callbacks earlier;  // run on the shard's thread
    Spooling* spooling = nullptr;     // null: records are in memory
  };

  ShardThread(const Options& options, const Deps& deps);
  // As Shutdown.
  ~ShardThread();

  // Idempotent; waits for the thread. What is on it stays until the object goes.
  void Shutdown() { thread_.Shutdown(); }

  EventLoop& loop() { return thread_.loop(); }
  Shard& shard() { return *shard_; }
  // The loop's thread, but for status().
  Lane& lane() { return *lane_; }
  // What earlier runs left for this shard to drain. The loop's thread, but for status().
  EarlierLanes& earlier() { return *earlier_; }
  // Null: records are in memory. Any thread.
  std::shared_ptr<const SpoolStatus> spool_status() const {
    return spool_ == nullptr ? nullptr : spool_->status();
  }
  // Any thread: its counts only.
  const BodyBudget& bodies() const { return bodies_; }
  // Any thread: their totals only.
  const CurlFetcher& fetcher() const { return *fetcher_; }
  const CaresResolver& resolver() const { return *resolver_; }

 private:
  void Build(const Options& options, const Deps& deps);

  // Destroyed in reverse, when the thread has ended.
  LoopThread thread_;
  absl::BitGen random_;
  KeyTable keys_;
  ScrapeScratch scratch_;
  BodyBudget bodies_;
  std::unique_ptr<RecordLog> log_;
  Spool* spool_ = nullptr;  // log_, if it is one
  std::unique_ptr<Lane> lane_;
  std::unique_ptr<EarlierLanes> earlier_;
  std::unique_ptr<CaresResolver> resolver_;
  std::unique_ptr<CurlFetcher> fetcher_;
  std::unique_ptr<Shard> shard_;
};

}  // namespace trawl

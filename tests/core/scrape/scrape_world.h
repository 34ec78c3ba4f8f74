#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/append/appender.h"
#include "core/config/config.h"
#include "core/config/trawl_config.h"
#include "core/discovery/desired_targets.h"
#include "core/model/series_key.h"
#include "core/scrape/scrape_manager.h"
#include "core/scrape/scrape_scratch.h"
#include "core/scrape/shard.h"
#include "core/telemetry/metrics.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/fakes/fake_fetcher.h"

namespace trawl {

// An Appender that keeps what it gets as labelled samples, as a storage would.
class SampleLog final : public Appender {
 public:
  struct Scrape {
    int64_t timestamp_ms = 0;
    uint32_t flags = 0;
    std::map<std::string, double> samples;  // by label text; stale markers are values too

    // The value of the only series of this metric; fails the test when there is none.
    double Get(std::string_view metric) const;
    bool Has(std::string_view metric) const;
    bool IsStale(std::string_view metric) const;
    int StaleMarkers() const;
  };

  absl::Status Append(const ScrapeBatch& batch) override;
  void Forget(const LayoutPtr& layout) override;

  std::vector<Scrape> scrapes;
  int forgotten = 0;
  absl::Status next_status;      // of the next Append
  size_t max_series = SIZE_MAX;  // of a layout; a larger one is kResourceExhausted
};

// A scrape manager with one or more shards on one loop of virtual time.
class ScrapeWorld {
 public:
  explicit ScrapeWorld(int shards = 1);
  ~ScrapeWorld();

  static ScrapeConfig Job(std::string name, absl::Duration interval = absl::Seconds(10));
  // Rules given in their plain form are compiled.
  absl::Status Apply(std::vector<ScrapeConfig> jobs, TrawlConfig trawl_config = {});
  // One group of one source, the job's only one.
  void SetTargets(const std::string& job, std::vector<std::string> addresses, Labels labels = {});
  void SetGroups(const std::string& job, std::vector<OwnedGroup> groups);
  // The page at an address under /metrics; text format.
  void Serve(const std::string& address, std::string page);
  void Stop();

  static std::string Url(const std::string& address) { return "http://" + address + "/metrics"; }
  static OwnedGroup Group(std::string source, std::string key, std::vector<std::string> addresses,
                          Labels labels = {});

  std::shared_ptr<const PoolStatus> Pool(std::string_view job) const;
  // Of the job's only target.
  ScrapeReport Report(std::string_view job) const;
  std::vector<ScrapeRecord> History(std::string_view job) const;
  const std::vector<SampleLog::Scrape>& scrapes() const { return appender.scrapes; }
  const SampleLog::Scrape& last() const { return appender.scrapes.back(); }
  // Until just after the next scrape; false if none comes within an hour.
  bool NextScrape();
  Shard& shard() { return *shards_.front(); }

  FakeEventLoop loop;
  FakeFetcher fetcher{loop};
  FakeHttpClientFactory clients;
  KeyTable keys;
  Metrics metrics;
  SampleLog appender;
  BodyBudget bodies;

 private:
  std::shared_ptr<const TargetStatus> Status(std::string_view job) const;

  ScrapeScratch scratch_;
  std::vector<std::unique_ptr<Shard>> shards_;

 public:
  std::unique_ptr<ScrapeManager> manager;
};

}  // namespace trawl

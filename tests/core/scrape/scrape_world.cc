#include "tests/core/scrape/scrape_world.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/model/value.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

bool TestBit(std::span<const uint64_t> bits, size_t i) {
  return i / 64 < bits.size() && (bits[i / 64] >> (i % 64) & 1) != 0;
}

bool IsOf(std::string_view label_text, std::string_view metric) {
  return absl::StartsWith(label_text, absl::StrCat("{__name__=\"", metric, "\""));
}

void Compile(const std::vector<RelabelConfig>& configs, CompiledRelabelRules& rules) {
  auto compiled = RelabelRules::Compile(configs, NameValidation::kUtf8);
  ASSERT_OK(compiled);
  rules.rules = std::make_shared<const RelabelRules>(*std::move(compiled));
}

}  // namespace

double SampleLog::Scrape::Get(std::string_view metric) const {
  for (const auto& [labels, value] : samples) {
    if (IsOf(labels, metric)) return value;
  }
  ADD_FAILURE() << "no sample of " << metric;
  return std::numeric_limits<double>::quiet_NaN();
}

bool SampleLog::Scrape::Has(std::string_view metric) const {
  for (const auto& [labels, value] : samples) {
    if (IsOf(labels, metric)) return true;
  }
  return false;
}

bool SampleLog::Scrape::IsStale(std::string_view metric) const {
  return Has(metric) && IsStaleMarker(Get(metric));
}

int SampleLog::Scrape::StaleMarkers() const {
  int count = 0;
  for (const auto& [labels, value] : samples) count += IsStaleMarker(value) ? 1 : 0;
  return count;
}

absl::Status SampleLog::Append(const ScrapeBatch& batch) {
  if (!next_status.ok()) return std::exchange(next_status, absl::OkStatus());
  if (batch.layout->size() > max_series) return absl::ResourceExhaustedError("too many series");
  Scrape scrape{batch.timestamp_ms, batch.flags, {}};
  const bool ended = (batch.flags & (ScrapeBatch::kTargetGone | ScrapeBatch::kScrapeFailed)) != 0;
  for (size_t i = 0; i < batch.layout->size(); ++i) {
    const bool stale = ended && TestBit(batch.stale, i);
    if (!stale && TestBit(batch.absent, i)) continue;
    scrape.samples[batch.layout->SeriesLabels(i).ToString()] =
        stale ? StaleMarker() : batch.values[i];
  }
  scrapes.push_back(std::move(scrape));
  return absl::OkStatus();
}

void SampleLog::Forget(const LayoutPtr& layout) {
  EXPECT_NE(layout, nullptr);
  ++forgotten;
}

ScrapeWorld::ScrapeWorld(int shards) {
  for (int i = 0; i < shards; ++i) {
    shards_.push_back(
        std::make_unique<Shard>(Shard{static_cast<uint32_t>(i), loop, fetcher, appender, keys,
                                      scratch_, HashKey{1}, metrics.scrape(), bodies}));
  }
  std::vector<Shard*> pointers;
  for (const auto& shard : shards_) pointers.push_back(shard.get());
  ScrapeManager::Options options;
  options.fqdn = "host";
  manager = std::make_unique<ScrapeManager>(
      options, ScrapeManager::Deps{loop, pointers, clients, metrics.scrape()});
}

ScrapeWorld::~ScrapeWorld() { Stop(); }

ScrapeConfig ScrapeWorld::Job(std::string name, absl::Duration interval) {
  ScrapeConfig job;
  job.job_name = std::move(name);
  job.scrape_interval = interval;
  job.scrape_timeout = interval;
  return job;
}

absl::Status ScrapeWorld::Apply(std::vector<ScrapeConfig> jobs, TrawlConfig trawl_config) {
  auto config = std::make_shared<Config>();
  for (ScrapeConfig& job : jobs) {
    Compile(job.relabel_configs, job.relabel_rules);
    Compile(job.metric_relabel_configs, job.metric_relabel_rules);
  }
  config->scrape_configs = std::move(jobs);
  absl::Status result = absl::UnknownError("not done");
  manager->ApplyConfig(config, std::make_shared<const TrawlConfig>(std::move(trawl_config)),
                       [&](absl::Status status) { result = std::move(status); });
  loop.Advance(absl::Milliseconds(10));
  return result;
}

OwnedGroup ScrapeWorld::Group(std::string source, std::string key,
                              std::vector<std::string> addresses, Labels labels) {
  return {std::move(source), std::make_shared<const TargetGroup>(TargetGroup{
                                 std::move(key), std::move(addresses), std::move(labels)})};
}

void ScrapeWorld::SetTargets(const std::string& job, std::vector<std::string> addresses,
                             Labels labels) {
  SetGroups(job, {Group("static/0", "0", std::move(addresses), std::move(labels))});
}

void ScrapeWorld::SetGroups(const std::string& job, std::vector<OwnedGroup> groups) {
  bool done = false;
  manager->SetTargets(
      std::make_shared<const DesiredTargets>(DesiredTargets{job, std::move(groups)}),
      [&] { done = true; });
  loop.Advance(absl::Milliseconds(10));
  EXPECT_TRUE(done);
}

void ScrapeWorld::Serve(const std::string& address, std::string page) {
  fetcher.Serve(Url(address),
                {.content_type = "text/plain; version=0.0.4", .body = std::move(page)});
}

void ScrapeWorld::Stop() {
  if (manager == nullptr) return;
  bool stopped = false;
  manager->Stop([&] { stopped = true; });
  loop.Advance(absl::Seconds(2));
  EXPECT_TRUE(stopped);
  manager.reset();
}

std::shared_ptr<const PoolStatus> ScrapeWorld::Pool(std::string_view job) const {
  const auto snapshot = manager->Snapshot();
  for (const auto& pool : snapshot->pools) {
    if (pool->job == job) return pool;
  }
  return nullptr;
}

std::shared_ptr<const TargetStatus> ScrapeWorld::Status(std::string_view job) const {
  const auto pool = Pool(job);
  if (pool == nullptr || pool->active.size() != 1) {
    ADD_FAILURE() << "job " << job << " has not one target";
    return std::make_shared<TargetStatus>();
  }
  return (*pool->active.begin())->status;
}

ScrapeReport ScrapeWorld::Report(std::string_view job) const { return Status(job)->Get(); }

std::vector<ScrapeRecord> ScrapeWorld::History(std::string_view job) const {
  return Status(job)->History();
}

bool ScrapeWorld::NextScrape() {
  const size_t before = appender.scrapes.size();
  const absl::Time end = loop.Now() + absl::Hours(1);
  while (appender.scrapes.size() == before && loop.Now() < end) {
    if (!loop.AdvanceToNextTimer()) return false;
    loop.RunUntilIdle();
  }
  return appender.scrapes.size() > before;
}

}  // namespace trawl

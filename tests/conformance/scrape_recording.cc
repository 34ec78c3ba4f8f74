#include "tests/conformance/scrape_recording.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "core/base/text.h"
#include "core/config/load.h"
#include "core/discovery/desired_targets.h"
#include "core/model/series_key.h"
#include "core/model/value.h"
#include "core/scrape/scrape_manager.h"
#include "core/scrape/scrape_scratch.h"
#include "core/scrape/shard.h"
#include "core/telemetry/metrics.h"
#include "tests/conformance/page_fetcher.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/fakes/fake_fetcher.h"
#include "tests/fakes/recording_appender.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

// When the virtual time of Go's testing/synctest begins.
constexpr int64_t kStartSeconds = 946684800;
constexpr absl::Duration kSettle = absl::Milliseconds(10);

std::string FormatValue(double value) {
  if (IsStaleMarker(value)) return "stale";
  const bool negative_zero = value == 0 && std::signbit(value);
  if (value == std::trunc(value) && std::abs(value) < 1e15 && !negative_zero) {
    return absl::StrCat(static_cast<int64_t>(value));
  }
  return absl::StrFormat("%016x", std::bit_cast<uint64_t>(value));
}

std::string_view HealthName(TargetHealth health) {
  switch (health) {
    case TargetHealth::kUp:
      return "up";
    case TargetHealth::kDown:
      return "down";
    case TargetHealth::kUnknown:
      return "unknown";
  }
  return "";
}

// Our parse errors say where, too.
std::string_view WithoutPlace(std::string_view error) {
  return error.substr(0, error.rfind("; line "));
}

absl::Duration ParseDuration(std::string_view text) {
  absl::Duration duration;
  EXPECT_TRUE(absl::ParseDuration(text, &duration)) << text;
  return duration;
}

Page ReadPage(const ScenarioStep& step) {
  Page page;
  page.body = step.text;
  for (size_t i = 2; i < step.words.size(); ++i) {
    const std::pair<std::string, std::string> word =
        absl::StrSplit(step.words[i], absl::MaxSplits('=', 1));
    if (word.first == "status") {
      EXPECT_TRUE(absl::SimpleAtoi(word.second, &page.status));
    } else if (word.first == "type") {
      page.content_type = word.second;
    } else if (word.first == "delay") {
      page.delay = ParseDuration(word.second);
    } else if (word.first == "refused") {
      page.refused = true;
    } else {
      ADD_FAILURE() << "unknown word " << step.words[i];
    }
  }
  return page;
}

// A scrape manager with one shard, in the virtual time of the recording.
class Player {
 public:
  Player() {
    ScrapeManager::Options options;
    options.fqdn = "host";
    manager_ = std::make_unique<ScrapeManager>(
        options, ScrapeManager::Deps{loop_, {&shard_}, clients_, metrics_.scrape()});
  }
  ~Player() {
    manager_->Stop([] {});
    loop_.Advance(absl::Seconds(20));
  }

  std::vector<std::string> Play(const Scenario& scenario) {
    for (const ScenarioStep& step : scenario.steps) {
      if (step.words[0] == "config") {
        ApplyConfig(step.text);
      } else if (step.words[0] == "page") {
        fetcher_.Serve(step.words[1], ReadPage(step));
      } else if (step.words[0] == "targets") {
        SetTargets(step.words[1], {step.words.begin() + 2, step.words.end()});
        loop_.Advance(kSettle);
      } else if (step.words[0] == "ours") {
        continue;  // for who compares
      } else {
        loop_.Advance(ParseDuration(step.words[1]));
        Show();
      }
    }
    return std::move(lines_);
  }

 private:
  void ApplyConfig(const std::string& text) {
    absl::StatusOr<LoadResult> loaded = LoadConfig(text, {});
    ASSERT_OK(loaded);
    auto config = std::make_shared<const Config>(std::move(loaded->config));
    manager_->ApplyConfig(config, std::make_shared<const TrawlConfig>(),
                          [](const absl::Status& status) { EXPECT_OK(status); });
    for (const ScrapeConfig& job : config->scrape_configs) SetTargets(job);
    loop_.Advance(kSettle);
  }

  void SetTargets(const ScrapeConfig& job) {
    auto desired = std::make_shared<DesiredTargets>();
    desired->job = job.job_name;
    std::vector<OwnedGroup> groups;
    for (const TargetGroup& group : job.static_configs) {
      groups.push_back({"static", std::make_shared<const TargetGroup>(group)});
    }
    desired->groups = std::move(groups);
    manager_->SetTargets(std::move(desired));
  }

  void SetTargets(const std::string& job, std::vector<std::string> addresses) {
    auto group = std::make_shared<TargetGroup>();
    group->key = "0";
    group->targets = std::move(addresses);
    auto desired = std::make_shared<DesiredTargets>();
    desired->job = job;
    desired->groups = {{"static", std::move(group)}};
    manager_->SetTargets(std::move(desired));
  }

  void Show() {
    for (const std::string& url : fetcher_.TakeRequests()) lines_.push_back("request " + url);
    std::multiset<std::string> samples;
    for (const RecordedSample& sample : appender_.samples()) {
      samples.insert(absl::StrCat("sample ", sample.timestamp_ms, " ", sample.labels.ToString(),
                                  " ", FormatValue(sample.value)));
    }
    appender_.Clear();
    lines_.insert(lines_.end(), samples.begin(), samples.end());
    ShowTargets();
  }

  void ShowTargets() {
    std::multiset<std::string> lines;
    const auto snapshot = manager_->Snapshot();  // stays while it is read
    for (const auto& pool : snapshot->pools) {
      lines.insert(absl::StrCat("dropped ", pool->job, " ", pool->dropped_count));
      for (const auto& target : pool->active) {
        const ScrapeReport report = target->status->Get();
        lines.insert(absl::StrCat("target ", pool->job, " ", target->target->url, " ",
                                  HealthName(report.health), " ",
                                  GoQuote(WithoutPlace(report.last.error))));
      }
    }
    lines_.insert(lines_.end(), lines.begin(), lines.end());
  }

  FakeEventLoop loop_{absl::FromUnixSeconds(kStartSeconds)};
  PageFetcher fetcher_{loop_};
  FakeHttpClientFactory clients_;
  RecordingAppender appender_;
  KeyTable keys_;
  ScrapeScratch scratch_;
  Metrics metrics_;
  BodyBudget bodies_;
  Shard shard_{0,        loop_,      fetcher_,          appender_, keys_,
               scratch_, HashKey{1}, metrics_.scrape(), bodies_};
  std::unique_ptr<ScrapeManager> manager_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<Scenario> ReadScenarios(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::vector<Scenario> scenarios;
  for (std::string line; std::getline(file, line);) {
    if (absl::StartsWith(line, "  ")) {
      absl::StrAppend(&scenarios.back().steps.back().text, line.substr(2), "\n");
      continue;
    }
    std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipWhitespace());
    if (words.empty() || words[0][0] == '#') continue;
    if (words[0] == "scenario") {
      scenarios.push_back({words[1], {}});
    } else {
      scenarios.back().steps.push_back({std::move(words), ""});
    }
  }
  return scenarios;
}

std::vector<std::string> PlayScenario(const Scenario& scenario) { return Player().Play(scenario); }

std::vector<std::pair<std::string, std::vector<std::string>>> ReadScrapeRecording(
    const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::vector<std::pair<std::string, std::vector<std::string>>> recording;
  for (std::string line; std::getline(file, line);) {
    if (absl::StartsWith(line, "scenario ")) {
      recording.push_back({line.substr(9), {}});
    } else {
      recording.back().second.push_back(line);
    }
  }
  return recording;
}

}  // namespace trawl

#include "core/scrape/scrape_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/core/scrape/scrape_world.h"
#include "tests/fakes/gzip.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Fate = SampleFate;

// A manager with one job and one target, which is probed beside its loop.
class ScrapeProbeTest : public ::testing::Test {
 protected:
  using Result = std::optional<absl::StatusOr<ProbeResult>>;

  void Start(ScrapeConfig job = ScrapeWorld::Job("job")) {
    ASSERT_OK(world_.Apply({std::move(job)}));
    world_.SetTargets("job", {"a"});
  }

  // Begins one; the result is there when it has ended.
  std::shared_ptr<Result> Begin(const std::string& address = "a") {
    auto result = std::make_shared<Result>();
    const auto pool = world_.Pool("job");
    for (const auto& target : pool->active) {
      if (target->target->url != ScrapeWorld::Url(address)) continue;
      world_.manager->Probe({"job", target->target->hash, 0}, limits_,
                            [result](absl::StatusOr<ProbeResult> r) { *result = std::move(r); });
    }
    return result;
  }

  ProbeResult Probe() {
    const std::shared_ptr<Result> result = Begin();
    loop_.RunUntilIdle();
    for (int i = 0; i < 100 && !result->has_value(); ++i) loop_.Advance(absl::Milliseconds(1));
    if (!result->has_value() || !(**result).ok()) {
      ADD_FAILURE() << (result->has_value() ? (**result).status() : absl::UnknownError("no end"));
      return {};
    }
    return ***result;
  }

  std::vector<Fate> Fates(const ProbeResult& result) {
    std::vector<Fate> fates;
    for (const ProbedSample& sample : result.samples) fates.push_back(sample.fate);
    return fates;
  }

  ScrapeWorld world_;
  FakeEventLoop& loop_ = world_.loop;
  ScrapeProbe::Limits limits_;
};

TEST_F(ScrapeProbeTest, ShowsHeadBodyAndSamples) {
  world_.fetcher.Serve(ScrapeWorld::Url("a"), {.content_type = "text/plain",
                                               .body = "# HELP x y\nx 1\n\ny{b=\"c\"} 2 1000\n",
                                               .headers = {"X-Other: 1"}});
  Start();

  const ProbeResult result = Probe();

  EXPECT_OK(result.scrape.status);
  EXPECT_EQ(result.http_status, 200);
  EXPECT_THAT(result.head,
              ElementsAre("HTTP/1.1 200 OK", "Content-Type: text/plain", "X-Other: 1"));
  EXPECT_EQ(result.body, "# HELP x y\nx 1\n\ny{b=\"c\"} 2 1000\n");
  EXPECT_FALSE(result.body_cut);
  EXPECT_EQ(result.body_bytes, result.body.size());
  ASSERT_THAT(result.samples, SizeIs(2));
  EXPECT_EQ(result.samples[0].text, "x");
  EXPECT_EQ(result.samples[0].line, 2);
  EXPECT_EQ(result.samples[0].labels,
            Labels({{"__name__", "x"}, {"instance", "a"}, {"job", "job"}}));
  EXPECT_EQ(result.samples[1].line, 4);
  EXPECT_EQ(result.samples[1].timestamp_ms, 1000);
  EXPECT_EQ(result.scrape.total, 2);
}

TEST_F(ScrapeProbeTest, TheRequestIsTheOneOfTheLoop) {
  world_.Serve("a", "x 1\n");
  Start();
  ASSERT_TRUE(world_.NextScrape());
  Probe();

  ASSERT_THAT(world_.fetcher.requests(), SizeIs(2));
  const FetchRequest& of_loop = world_.fetcher.requests()[0];
  const FetchRequest& of_probe = world_.fetcher.requests()[1];
  EXPECT_EQ(of_probe.client, of_loop.client);
  EXPECT_EQ(of_probe.url, of_loop.url);
  EXPECT_EQ(of_probe.headers, of_loop.headers);
  EXPECT_EQ(of_probe.timeout, of_loop.timeout);
  EXPECT_FALSE(of_loop.keep_head);
}

TEST_F(ScrapeProbeTest, EachSampleHasItsFate) {
  ScrapeConfig job = ScrapeWorld::Job("job");
  RelabelConfig nothing;
  nothing.target_label = "added";
  nothing.replacement = "1";
  RelabelConfig drop;
  drop.source_labels = {"__name__"};
  drop.regex = "dropped";
  drop.action = RelabelAction::kDrop;
  job.metric_relabel_configs = {nothing, drop};
  job.sample_limit = 6;
  world_.Serve(
      "a", absl::StrCat("kept 1\n", "dropped 2\n", "kept 3\n", "timed 1 2000\n", "timed 2 1000\n",
                        "future 1 ", absl::ToUnixMillis(loop_.Now() + absl::Hours(1)), "\n",
                        "also_kept 1\n", "more 1\n", "over 1\n"));
  Start(std::move(job));

  const ProbeResult result = Probe();

  EXPECT_THAT(Fates(result), ElementsAre(Fate::kKept, Fate::kDropped, Fate::kDuplicate, Fate::kKept,
                                         Fate::kOutOfOrder, Fate::kOutOfBounds, Fate::kKept,
                                         Fate::kKept, Fate::kOverLimit));
  EXPECT_EQ(result.samples[0].labels.Get("added"), "1");
  EXPECT_EQ(result.samples[1].rule, 1);
  EXPECT_EQ(result.samples.back().detail, "sample_limit 6");
  EXPECT_EQ(result.scrape.status.message(), "sample limit exceeded");
  EXPECT_EQ(result.scrape.reason, FailureReason::kSampleLimit);
}

TEST_F(ScrapeProbeTest, ALineThatCantBeReadHasItsPlace) {
  world_.Serve("a", "x 1\ny{a=} 2\nz 3\n");
  Start();

  const ProbeResult result = Probe();

  ASSERT_THAT(result.samples, SizeIs(2));
  const ProbedSample& bad = result.samples[1];
  EXPECT_EQ(bad.fate, Fate::kBad);
  EXPECT_EQ(bad.text, "y{a=} 2");
  EXPECT_EQ(bad.line, 2);
  EXPECT_EQ(bad.column, 5);
  EXPECT_EQ(result.scrape.reason, FailureReason::kParse);
}

TEST_F(ScrapeProbeTest, ALimitOnLabelsIsTold) {
  ScrapeConfig job = ScrapeWorld::Job("job");
  job.label_limit = 3;
  world_.Serve("a", "x 1\ny{a=\"b\"} 2\nz 3\n");
  Start(std::move(job));

  const ProbeResult result = Probe();

  EXPECT_THAT(Fates(result), ElementsAre(Fate::kKept, Fate::kOverLimit));
  EXPECT_THAT(result.samples[1].detail, HasSubstr("label_limit exceeded"));
  EXPECT_EQ(result.scrape.reason, FailureReason::kLabelLimit);
}

TEST_F(ScrapeProbeTest, TimesAreComparedWithThoseOfTheLoopsScrapes) {
  world_.Serve("a", "x 1 2000\n");
  Start();
  ASSERT_TRUE(world_.NextScrape());
  world_.Serve("a", "x 1 1000\n");

  EXPECT_THAT(Fates(Probe()), ElementsAre(Fate::kOutOfOrder));
}

TEST_F(ScrapeProbeTest, AFailedFetchIsAnAnswer) {
  Start();
  const ProbeResult refused = Probe();
  EXPECT_EQ(refused.scrape.reason, FailureReason::kConnectionRefused);
  EXPECT_FALSE(refused.answered);

  world_.fetcher.Serve(ScrapeWorld::Url("a"),
                       {.status_code = 503, .status_line = "503 Busy", .body = "come later"});
  const ProbeResult busy = Probe();
  EXPECT_EQ(busy.scrape.status.message(), "server returned HTTP status 503 Busy");
  EXPECT_EQ(busy.scrape.reason, FailureReason::kHttpStatus5xx);
  EXPECT_EQ(busy.body, "come later");
  EXPECT_THAT(busy.samples, IsEmpty());
}

TEST_F(ScrapeProbeTest, AnUnknownContentTypeAndTargetLimitFailItAsTheyFailTheLoop) {
  world_.fetcher.Serve(ScrapeWorld::Url("a"), {.content_type = "text/html", .body = "<html>"});
  Start();
  EXPECT_EQ(Probe().scrape.reason, FailureReason::kContentType);

  ScrapeConfig job = ScrapeWorld::Job("job");
  job.target_limit = 1;
  ASSERT_OK(world_.Apply({job}));
  world_.SetTargets("job", {"a", "b"});
  const size_t requests = world_.fetcher.requests().size();
  EXPECT_EQ(Probe().scrape.reason, FailureReason::kTargetLimit);
  EXPECT_THAT(world_.fetcher.requests(), SizeIs(requests));
}

TEST_F(ScrapeProbeTest, WhatIsShownIsCut) {
  limits_.max_body_bytes = 5;
  limits_.max_samples = 2;
  world_.Serve("a", "x 1\ny 2\nz 3\n");
  Start();

  const ProbeResult result = Probe();

  EXPECT_EQ(result.body, "x 1\ny");
  EXPECT_TRUE(result.body_cut);
  EXPECT_THAT(result.samples, SizeIs(2));
  EXPECT_EQ(result.scrape.total, 3);

  limits_.max_samples = 100;
  limits_.max_text_bytes = 1;
  EXPECT_THAT(Probe().samples, SizeIs(1));
}

TEST_F(ScrapeProbeTest, APageOverItsLimitIsRefusedAndOneOverTheJobsLimitHasFailed) {
  std::string page;
  for (int i = 0; i < 1000; ++i) absl::StrAppend(&page, "metric_", i, " 1\n");
  for (const bool gzip : {false, true}) {
    world_.fetcher.Serve(ScrapeWorld::Url("a"), {.content_type = "text/plain",
                                                 .content_encoding = gzip ? "gzip" : "",
                                                 .body = gzip ? Gzip(page) : page});
    Start();
    limits_.max_page_bytes = 10000;
    const std::shared_ptr<Result> result = Begin();
    loop_.Advance(absl::Milliseconds(100));
    ASSERT_TRUE(result->has_value());
    EXPECT_EQ((**result).status().code(), absl::StatusCode::kResourceExhausted);

    ScrapeConfig job = ScrapeWorld::Job("job");
    job.body_size_limit = 5000;
    Start(job);
    EXPECT_EQ(Probe().scrape.reason, FailureReason::kBodySizeLimit);
  }
}

TEST_F(ScrapeProbeTest, ALargeGzippedPageIsReadInSlices) {
  constexpr int kSamples = 20000;
  std::string page;
  for (int i = 0; i < kSamples; ++i) absl::StrAppend(&page, "metric{n=\"", i, "\"} 1\n");
  world_.fetcher.Serve(
      ScrapeWorld::Url("a"),
      {.content_type = "text/plain", .content_encoding = "gzip", .body = Gzip(page)});
  Start();
  const std::shared_ptr<Result> result = Begin();
  int others = 0;  // what the thread did besides
  std::function<void()> other = [&] {
    ++others;
    if (!result->has_value()) loop_.RunAfter(absl::ZeroDuration(), other);
  };
  other();
  loop_.Advance(absl::Milliseconds(100));

  ASSERT_TRUE(result->has_value());
  ASSERT_OK(**result);
  EXPECT_EQ((**result)->scrape.total, kSamples);
  EXPECT_EQ((**result)->inflated_bytes, page.size());
  EXPECT_THAT((**result)->samples, SizeIs(10000));
  EXPECT_GT(others, static_cast<int>(page.size() / 16384));
}

// T7: what the target's series, schedule, cache and health do is what they do without probes.
TEST(ScrapeProbeSideEffectsTest, LoopCacheAndHealthGoOnAsIfNothingWas) {
  const auto run = [](bool probe) {
    ScrapeWorld world;
    std::mt19937 random(7);  // NOLINT: the same pages each time
    ScrapeConfig job = ScrapeWorld::Job("job");
    job.track_timestamps_staleness = true;
    EXPECT_OK(world.Apply({job}));
    world.SetTargets("job", {"a"});
    const auto serve = [&] {
      std::string page;
      for (size_t i = random() % 10; i > 0; --i) {
        absl::StrAppend(&page, "m", random() % 12, "{a=\"", random() % 3, "\"} ", random() % 5);
        if (random() % 4 == 0) absl::StrAppend(&page, " ", 1000 + random() % 100);
        page += "\n";
      }
      if (random() % 10 == 0) page += "bad{\n";
      world.Serve("a", page);
    };
    for (int i = 0; i < 200; ++i) {
      serve();
      EXPECT_TRUE(world.NextScrape());
      serve();
      const ScrapeReport before = world.Report("job");
      if (probe) {
        const ActiveTarget& target = **world.Pool("job")->active.begin();
        bool done = false;
        world.manager->Probe({"job", target.target->hash, 0}, {},
                             [&](const absl::StatusOr<ProbeResult>& result) {
                               EXPECT_OK(result);
                               done = true;
                             });
        for (int turn = 0; turn < 20; ++turn) world.loop.RunUntilIdle();
        EXPECT_TRUE(done);
      }
      EXPECT_EQ(world.Report("job").scrapes, before.scrapes);
      EXPECT_EQ(world.Report("job").health, before.health);
    }
    std::vector<std::pair<int64_t, std::string>> samples;
    for (const SampleLog::Scrape& scrape : world.scrapes()) {
      for (const auto& [labels, value] : scrape.samples) {
        samples.emplace_back(scrape.timestamp_ms, absl::StrCat(labels, " ", value));
      }
    }
    const size_t keys = world.keys.live_keys();
    return std::pair(samples, keys);
  };

  const auto without = run(false);
  EXPECT_EQ(run(true), without);
  EXPECT_GT(without.first.size(), 1000);
}

TEST_F(ScrapeProbeTest, OneATargetAndABoundedNumberAtOnce) {
  Start();
  std::vector<std::string> addresses = {"a", "b", "c", "d", "e"};
  world_.SetTargets("job", addresses);
  for (const std::string& address : addresses) world_.fetcher.Hold(ScrapeWorld::Url(address));
  std::vector<std::shared_ptr<Result>> results;
  for (const char* address : {"a", "a", "b", "c", "d", "e"}) {
    results.push_back(Begin(address));
    loop_.RunUntilIdle();
  }

  ASSERT_TRUE(results[1]->has_value());
  EXPECT_EQ((**results[1]).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT((**results[1]).status().message(), HasSubstr("of this target is under way"));
  ASSERT_TRUE(results[5]->has_value());
  EXPECT_THAT((**results[5]).status().message(), HasSubstr("4 scrapes out of turn are under way"));
  EXPECT_EQ(world_.metrics.scrape().scrape_now_refused_total.Value({"target"}), 1);
  EXPECT_EQ(world_.metrics.scrape().scrape_now_refused_total.Value({"limit"}), 1);

  world_.fetcher.Release(ScrapeWorld::Url("a"));
  loop_.Advance(absl::Milliseconds(1));
  EXPECT_TRUE(results[0]->has_value());
  const std::shared_ptr<Result> again = Begin("e");
  loop_.RunUntilIdle();
  EXPECT_FALSE(again->has_value()) << "its turn has come";
  for (const std::string& address : addresses) world_.fetcher.Release(ScrapeWorld::Url(address));
  loop_.Advance(absl::Milliseconds(1));
  EXPECT_TRUE(again->has_value());
}

TEST_F(ScrapeProbeTest, ATargetThatIsGoneIsNotFoundAndOneThatGoesMeanwhileIsAnswered) {
  Start();
  const auto target = *world_.Pool("job")->active.begin();
  world_.fetcher.Hold(ScrapeWorld::Url("a"));
  const std::shared_ptr<Result> meanwhile = Begin();
  loop_.RunUntilIdle();
  world_.SetTargets("job", {});
  absl::Status gone;
  world_.manager->Probe({"job", target->target->hash, 0}, {},
                        [&](const absl::StatusOr<ProbeResult>& r) { gone = r.status(); });
  world_.Serve("a", "x 1\n");
  world_.fetcher.Release(ScrapeWorld::Url("a"));
  loop_.Advance(absl::Milliseconds(1));

  EXPECT_EQ(gone.code(), absl::StatusCode::kResourceExhausted) << "the first is under way still";
  ASSERT_TRUE(meanwhile->has_value());
  EXPECT_OK(**meanwhile);
  world_.manager->Probe({"job", target->target->hash, 0}, {},
                        [&](const absl::StatusOr<ProbeResult>& r) { gone = r.status(); });
  loop_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(gone.code(), absl::StatusCode::kNotFound);
}

TEST_F(ScrapeProbeTest, StoppingAnswersWhatIsUnderWayAndWhatComesLater) {
  Start();
  const auto target = *world_.Pool("job")->active.begin();
  world_.fetcher.Hold(ScrapeWorld::Url("a"));
  const std::shared_ptr<Result> under_way = Begin();
  loop_.RunUntilIdle();
  bool stopped = false;
  world_.manager->Stop([&] { stopped = true; });
  loop_.Advance(absl::Milliseconds(20));
  const std::shared_ptr<Result> late = Begin();
  loop_.Advance(absl::Seconds(2));

  ASSERT_TRUE(under_way->has_value());
  EXPECT_EQ((**under_way).status().code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(late->has_value());
  EXPECT_EQ((**late).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(stopped);
  world_.manager.reset();
}

}  // namespace
}  // namespace trawl

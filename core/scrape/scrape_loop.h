#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/base/event_loop.h"
#include "core/base/failure_reason.h"
#include "core/fetch/fetcher.h"
#include "core/scrape/job_settings.h"
#include "core/scrape/schedule.h"
#include "core/scrape/scrape_request.h"
#include "core/scrape/scrape_result.h"
#include "core/scrape/series_cache.h"
#include "core/scrape/shard.h"
#include "core/scrape/target.h"
#include "core/scrape/target_status.h"

namespace trawl {

class LargeBody;
class ScrapeLoop;
class ScrapeScratch;
class ScrapeTrace;

// What a loop leaves to the loop that goes on with its series, or to their end.
struct Continuation {
  std::unique_ptr<SeriesCache> cache;  // null: never scraped
  uint64_t generation = 0;             // of the settings that it was made with
  int64_t last_timestamp_ms = kNoTimestamp;
};

// What the loops of one job on one shard look at.
struct LoopContext {
  // Hears of its loops, on the shard's thread.
  class Observer {
   public:
    virtual ~Observer() = default;
    // A reload took the loop's cache away: its series end, but for those that it finds again.
    virtual void OnCacheOutdated(const ScrapeLoop& loop, Continuation outdated) = 0;
    // The scrape that was under way when Stop was called has ended. May destroy the loop.
    virtual void OnStopped(ScrapeLoop& loop) = 0;
  };

  Shard& shard;
  Observer& observer;
  std::shared_ptr<const JobSettings> settings;  // of the next scrape
  // Set while no target of the job may be scraped (target_limit): each scrape fails with it.
  std::shared_ptr<const std::string> forced_error;
};

// One target's life: wait for its place in the interval, fetch, ingest, append, report, and again.
//
// Guarantees:
//   1. Every scrape, also a failed one, ends in exactly one batch that has the report series.
//   2. Scrapes do not overlap. Ticks that pass during one are dropped but for the last.
//   3. A scrape that has begun ends, or times out, also after Stop; only Abandon cuts it off.
//   4. Timestamps rise from scrape to scrape, but where the wall clock was set back by more than
//      ten seconds (then the batch says so).
//   5. Settings are taken up with the next scrape; a scrape has the same ones from start to end.
//
// Shard's thread only. `context` outlives the loop.
class ScrapeLoop {
 public:
  ScrapeLoop(std::shared_ptr<const Target> target, std::shared_ptr<TargetStatus> status,
             LoopContext& context);
  ~ScrapeLoop();
  ScrapeLoop(const ScrapeLoop&) = delete;
  ScrapeLoop& operator=(const ScrapeLoop&) = delete;

  // Once. The first scrape comes after `delay`, the next ones every interval from there on; or,
  // with `then_phase`, from the target's place in its interval on. A cache of another
  // generation than the settings' is not for the loop to have.
  void Run(absl::Duration delay, bool then_phase, Continuation before);

  // No more scrapes. True: none is under way; false: observer.OnStopped comes when it has ended.
  bool Stop();
  // After Stop: gives up a fetch that is still under way, without a trace. OnStopped comes before
  // it returns, or, when the body is at hand already, in a few turns of the event loop.
  void Abandon();

  // After the loop has stopped.
  Continuation TakeContinuation();
  // How long until the tick that would have been the next.
  absl::Duration UntilNextTick() const;

  const std::shared_ptr<const Target>& target() const { return target_; }
  // A copy of its series cache, for a scrape out of turn: null before the first scrape. Not while
  // it is in the middle of a body.
  std::unique_ptr<SeriesCache> CopyCache() const {
    return cache_ == nullptr ? nullptr : cache_->Copy();
  }
  bool IsAmidBody() const;
  // Of the settings that its cache was made with.
  uint64_t cache_generation() const {
    return settings_ == nullptr ? 0 : settings_->cache_generation;
  }

  // Of the last batch; null before the first.
  LayoutPtr layout() const { return cache_ == nullptr ? nullptr : cache_->layout(); }

 private:
  enum class State : uint8_t { kNew, kWaiting, kFetching, kIngesting, kStopped };
  struct Outcome;

  void WaitFor(absl::Duration delay);
  void OnTick();
  void TakeUpSettings();
  void Begin();
  ScrapeScratch& Scratch();
  ScrapeTrace& Trace();
  absl::Duration Steady() const;
  void OnFetched(const FetchOutcome& outcome);
  void OnBody(const FetchResponse& response);
  void Ingest(std::string_view text, std::string_view content_type);
  void BeginLarge(const FetchResponse& response);
  void InflateSlice();
  void IngestSlice();
  void GiveUpLarge();
  void LeaveLarge();
  absl::Status CheckContentType(std::string_view content_type) const;
  void Fail(ScrapeFailure failure, size_t body_bytes = 0);
  void Finish(Outcome outcome);
  absl::Status AppendBatch(const Outcome& outcome);
  absl::Status AppendLess(const Outcome& outcome);
  std::unique_ptr<SeriesCache> MakeCache() const;
  void Publish(const Outcome& outcome);
  void Note(const Outcome& outcome, absl::Duration now, ScrapeFigures& figures) const;
  void PublishNext(absl::Duration delay);
  void Count(const ScrapeResult& result);
  void LogFailure(const ScrapeResult& result) const;
  void WarnLeftOut(std::string_view message, int64_t samples) const;
  void TakePhase();
  void Next();
  int64_t NowMs() const;

  // Constant after construction.
  const std::shared_ptr<const Target> target_;
  const std::shared_ptr<TargetStatus> status_;
  LoopContext& context_;

  std::unique_ptr<SeriesCache> cache_;           // from the first scrape on
  std::shared_ptr<const JobSettings> settings_;  // of the scrape under way, or the last one
  std::unique_ptr<LargeBody> large_body_;        // while one waits for its turn or is in it

  State state_ = State::kNew;
  bool stopping_ = false;
  bool abandoned_ = false;
  bool then_phase_ = false;
  bool clock_stepped_ = false;
  TimerId timer_ = 0;
  Fetcher::FetchId fetch_ = 0;
  Ticker ticker_;
  TimestampAligner aligner_;
  absl::Duration started_ = -absl::InfiniteDuration();  // steady; of the last scrape
  absl::Duration lateness_;                             // of the last scrape
  int64_t timestamp_ms_ = kNoTimestamp;                 // of the last scrape
  uint64_t last_body_bytes_ = 0;                        // of the last good one: a size hint
  uint64_t scrapes_ = 0;
  uint64_t failures_ = 0;
};

}  // namespace trawl

#include "core/scrape/scrape_loop.h"

#include <prometheus/counter.h>

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/exposition/accept.h"
#include "core/exposition/inflate.h"
#include "core/scrape/large_body.h"
#include "core/scrape/scrape_body.h"
#include "core/scrape/scrape_request.h"
#include "core/scrape/scrape_scratch.h"
#include "core/telemetry/scrape_metrics.h"

namespace trawl {
namespace {

// Of an error that a target shows, which may quote what the target sent.
constexpr size_t kMaxErrorBytes = 8192;

void CountLeftOut(int64_t samples, prometheus::Counter& counter) {
  if (samples > 0) counter.Increment(static_cast<double>(samples));
}

}  // namespace

// What a scrape came to, on its way to the batch, the status and the counters.
struct ScrapeLoop::Outcome {
  ScrapeScratch& scratch;  // has the batch
  ScrapeResult result;
  int64_t body_bytes = 0;  // inflated; -1: over the limit; 0: another failure
};

ScrapeLoop::ScrapeLoop(std::shared_ptr<const Target> target, std::shared_ptr<TargetStatus> status,
                       LoopContext& context)
    : target_(std::move(target)), status_(std::move(status)), context_(context) {}

ScrapeLoop::~ScrapeLoop() {
  context_.shard.loop.Cancel(timer_);
  if (state_ == State::kFetching) context_.shard.fetcher.Cancel(fetch_);
}

void ScrapeLoop::Run(absl::Duration delay, bool then_phase, Continuation before) {
  cache_ = std::move(before.cache);
  timestamp_ms_ = before.last_timestamp_ms;
  settings_ = context_.settings;
  then_phase_ = then_phase;
  const Clock& clock = context_.shard.loop.clock();
  ticker_ = Ticker(clock.Steady() + delay, target_->interval);
  aligner_.Start(clock.Now() + delay);
  PublishNext(delay);
  WaitFor(delay);
}

bool ScrapeLoop::Stop() {
  stopping_ = true;
  if (state_ == State::kFetching || state_ == State::kIngesting) return false;
  context_.shard.loop.Cancel(timer_);
  state_ = State::kStopped;
  return true;
}

void ScrapeLoop::Abandon() {
  abandoned_ = true;
  if (state_ != State::kFetching) return;
  context_.shard.fetcher.Cancel(fetch_);
  state_ = State::kStopped;
  context_.observer.OnStopped(*this);
}

Continuation ScrapeLoop::TakeContinuation() {
  return {std::move(cache_), settings_ == nullptr ? 0 : settings_->cache_generation, timestamp_ms_};
}

bool ScrapeLoop::IsAmidBody() const { return large_body_ != nullptr && large_body_->ingesting(); }

absl::Duration ScrapeLoop::UntilNextTick() const {
  return ticker_.Wait(context_.shard.loop.clock().Steady());
}

void ScrapeLoop::WaitFor(absl::Duration delay) {
  state_ = State::kWaiting;
  timer_ = context_.shard.loop.RunAfter(delay, [this] { OnTick(); });
}

void ScrapeLoop::OnTick() {
  timer_ = 0;
  TakeUpSettings();
  Begin();
  Trace().Clear();
  if (context_.forced_error != nullptr) {
    Fail({absl::FailedPreconditionError(*context_.forced_error), FailureReason::kTargetLimit});
    return;
  }
  state_ = State::kFetching;
  fetch_ =
      context_.shard.fetcher.Fetch(MakeScrapeRequest(*settings_, *target_),
                                   [this](const FetchOutcome& outcome) { OnFetched(outcome); });
}

void ScrapeLoop::TakeUpSettings() {
  const std::shared_ptr<const JobSettings> newest = context_.settings;
  if (cache_ != nullptr && settings_->cache_generation != newest->cache_generation) {
    context_.observer.OnCacheOutdated(*this, TakeContinuation());
  }
  settings_ = newest;
  if (cache_ == nullptr) {
    cache_ = MakeCache();
  } else {
    cache_->set_samples(settings_->samples);
  }
}

std::unique_ptr<SeriesCache> ScrapeLoop::MakeCache() const {
  return std::make_unique<SeriesCache>(
      SeriesCache::Options{settings_->samples, target_->labels},
      SeriesCache::Deps{context_.shard.keys, context_.shard.hash_key});
}

// Sets the clock marks of a scrape that begins now.
void ScrapeLoop::Begin() {
  const Clock& clock = context_.shard.loop.clock();
  const absl::Duration steady = clock.Steady();
  if (scrapes_ > 0) {
    context_.shard.metrics.ObserveInterval(target_->interval, steady - started_);
  }
  started_ = steady;
  lateness_ = ticker_.Lateness(steady);
  ticker_.Serve(steady);
  const absl::Time aligned = aligner_.Align(clock.Now(), target_->interval);
  const ScrapeTimestamp timestamp = NextTimestamp(absl::ToUnixMillis(aligned), timestamp_ms_);
  timestamp_ms_ = timestamp.ms;
  clock_stepped_ = timestamp.clock_stepped;
}

// The buffers of the scrape under way.
ScrapeScratch& ScrapeLoop::Scratch() {
  return large_body_ == nullptr ? context_.shard.scratch : large_body_->scratch();
}

ScrapeTrace& ScrapeLoop::Trace() { return Scratch().trace(); }

absl::Duration ScrapeLoop::Steady() const { return context_.shard.loop.clock().Steady(); }

void ScrapeLoop::OnFetched(const FetchOutcome& outcome) {
  state_ = State::kIngesting;
  Trace().OnFetched(outcome);
  if (!outcome.ok()) return Fail(FailureOf(outcome.error, *settings_));
  const FetchResponse& response = outcome.response;
  if (response.status_code != 200) return Fail(FailureOfStatus(response));
  OnBody(response);
}

void ScrapeLoop::OnBody(const FetchResponse& response) {
  const bool gzip = response.content_encoding == "gzip";
  const uint64_t limit = BodyLimit(*settings_);
  const bool was_large = gzip && last_body_bytes_ >= kSlicedBodyBytes;
  if (was_large || response.body.size() >= kSlicedBodyBytes) return BeginLarge(response);
  if (!gzip) {
    const absl::Status fits = CheckBodySize(response.body.size(), limit);
    if (!fits.ok()) return Fail(FailureOfInflate(fits, *settings_));
    return Ingest(response.body, response.content_type);
  }
  // In one step as far as the bound; what turns out to be larger is for the slices.
  const bool bounded = limit > kSlicedBodyBytes;
  ScrapeScratch& scratch = Scratch();
  scratch.trace().BeginInflate(Steady());
  const absl::Status inflated = scratch.gunzip().Inflate(
      response.body, last_body_bytes_, bounded ? kSlicedBodyBytes : limit, scratch.body());
  if (inflated.ok()) return Ingest(scratch.body().view(), response.content_type);
  const bool too_large = inflated.code() == absl::StatusCode::kResourceExhausted;
  if (bounded && too_large) return BeginLarge(response);
  Fail(FailureOfInflate(inflated, *settings_));
}

absl::Status ScrapeLoop::CheckContentType(std::string_view content_type) const {
  const absl::StatusOr<FormatChoice> choice =
      ChooseFormat(content_type, settings_->fallback_format);
  if (!choice.ok()) return choice.status();
  if (!choice->warning.empty()) {
    LogDebug("Invalid content type on scrape, using fallback setting.",
             {{"scrape_pool", settings_->job}, {"target", target_->url}, {"err", choice->warning}});
  }
  return absl::OkStatus();
}

void ScrapeLoop::Ingest(std::string_view text, std::string_view content_type) {
  ScrapeScratch& scratch = Scratch();
  scratch.trace().BeginParse(Steady());
  if (text.empty()) {
    return Finish({scratch, cache_->IngestNothing(timestamp_ms_, /*failed=*/false, scratch), 0});
  }
  const absl::Status known = CheckContentType(content_type);
  if (!known.ok()) return Fail({known, FailureReason::kContentType}, text.size());
  ScrapeBody body(*cache_, scratch, {text, timestamp_ms_, NowMs()});
  Finish({scratch, body.Finish(), static_cast<int64_t>(text.size())});
}

void ScrapeLoop::BeginLarge(const FetchResponse& response) {
  large_body_ = std::make_unique<LargeBody>(
      LargeBody::Input{std::string(response.body), response.content_type,
                       response.content_encoding == "gzip", BodyLimit(*settings_)},
      context_.shard.bodies);
  Trace() = context_.shard.scratch.trace();
  // Waiting for a turn among the large ones counts as inflating.
  if (response.content_encoding == "gzip") Trace().BeginInflate(Steady());
  context_.shard.large_bodies.Enter([this] { InflateSlice(); });
}

void ScrapeLoop::InflateSlice() {
  if (abandoned_) return GiveUpLarge();
  const absl::StatusOr<bool> complete = large_body_->StepInflate();
  if (!complete.ok()) return Fail(FailureOfInflate(complete.status(), *settings_));
  if (!*complete) return context_.shard.loop.Post([this] { InflateSlice(); });
  const std::string_view text = large_body_->text();
  if (text.empty()) return Ingest(text, "");
  const absl::Status known = CheckContentType(large_body_->content_type());
  if (!known.ok()) return Fail({known, FailureReason::kContentType}, text.size());
  Trace().BeginParse(Steady());
  large_body_->BeginIngest(*cache_, timestamp_ms_, NowMs());
  IngestSlice();
}

void ScrapeLoop::GiveUpLarge() {
  LeaveLarge();
  state_ = State::kStopped;
  context_.observer.OnStopped(*this);
}

void ScrapeLoop::LeaveLarge() {
  if (large_body_ == nullptr) return;
  large_body_.reset();
  context_.shard.large_bodies.Leave();
}

void ScrapeLoop::IngestSlice() {
  if (!large_body_->StepIngest()) return context_.shard.loop.Post([this] { IngestSlice(); });
  ScrapeResult result = large_body_->Finish();
  Finish({large_body_->scratch(), std::move(result),
          static_cast<int64_t>(large_body_->text().size())});
}

int64_t ScrapeLoop::NowMs() const { return absl::ToUnixMillis(context_.shard.loop.clock().Now()); }

// A scrape that has no body to ingest: what the target had ends here.
void ScrapeLoop::Fail(ScrapeFailure failure, size_t body_bytes) {
  ScrapeScratch& scratch = Scratch();
  ScrapeResult result = cache_->IngestNothing(timestamp_ms_, /*failed=*/true, scratch);
  result.status = std::move(failure.status);
  result.reason = failure.reason;
  const bool too_large = failure.reason == FailureReason::kBodySizeLimit;
  Finish({scratch, std::move(result), too_large ? -1 : static_cast<int64_t>(body_bytes)});
}

void ScrapeLoop::Finish(Outcome outcome) {
  absl::Status appended = AppendBatch(outcome);
  const bool too_large = absl::IsInvalidArgument(appended) || absl::IsResourceExhausted(appended);
  if (!appended.ok() && outcome.result.status.ok()) {
    outcome.result.status = appended;
    outcome.result.reason =
        absl::IsInvalidArgument(appended) ? FailureReason::kTooLarge : FailureReason::kAppend;
  }
  if (too_large) appended = AppendLess(outcome);
  if (!appended.ok()) {
    LogWarn("Scrape commit failed",
            {{"scrape_pool", settings_->job}, {"target", target_->url}, {"err", appended}});
  }
  TakePhase();
  Publish(outcome);
  LeaveLarge();
  Next();
}

// A scrape that is too large for a record, or for the log, has failed; to say so takes a small
// one. Where not even the stale markers of its series have room it goes without them, and without
// these series.
absl::Status ScrapeLoop::AppendLess(const Outcome& outcome) {
  cache_->IngestNothing(timestamp_ms_, /*failed=*/true, outcome.scratch);
  absl::Status appended = AppendBatch(outcome);
  if (!absl::IsInvalidArgument(appended) && !absl::IsResourceExhausted(appended)) return appended;
  context_.shard.appender.Forget(cache_->layout());
  cache_ = MakeCache();
  cache_->IngestNothing(timestamp_ms_, /*failed=*/true, outcome.scratch);
  return AppendBatch(outcome);
}

absl::Status ScrapeLoop::AppendBatch(const Outcome& outcome) {
  const ScrapeResult& result = outcome.result;
  const absl::Duration duration = context_.shard.loop.clock().Steady() - started_;
  const std::array<double, 8> report = {
      result.status.ok() ? 1.0 : 0.0,
      absl::ToDoubleSeconds(duration),
      static_cast<double>(result.total),
      static_cast<double>(result.added),
      static_cast<double>(result.series_added),
      absl::ToDoubleSeconds(target_->timeout),
      static_cast<double>(settings_->samples->sample_limit),
      static_cast<double>(outcome.body_bytes),
  };
  outcome.scratch.SetReport(std::span(report).first(cache_->report_count()));
  ScrapeBatch batch = outcome.scratch.batch();
  if (clock_stepped_) batch.flags |= ScrapeBatch::kClockStepped;
  return context_.shard.appender.Append(batch);
}

void ScrapeLoop::Publish(const Outcome& outcome) {
  const ScrapeResult& result = outcome.result;
  const bool up = result.status.ok();
  ++scrapes_;
  failures_ += up ? 0 : 1;
  if (up) last_body_bytes_ = static_cast<uint64_t>(outcome.body_bytes);
  const absl::Duration now = Steady();
  ScrapeRecord& record = outcome.scratch.trace().Finish(now);
  Note(outcome, now, record);
  ScrapeReport report;
  report.health = up ? TargetHealth::kUp : TargetHealth::kDown;
  report.last = record.figures();
  if (!stopping_) report.next_scrape = context_.shard.loop.clock().Now() + ticker_.Wait(now);
  report.series = cache_->series_count();
  report.scrapes = scrapes_;
  report.failures = failures_;
  status_->Set(std::move(report), record);
  Count(result);
}

void ScrapeLoop::Note(const Outcome& outcome, absl::Duration now, ScrapeFigures& figures) const {
  const ScrapeResult& result = outcome.result;
  figures.start = absl::FromUnixMillis(timestamp_ms_);
  figures.lateness = lateness_;
  figures.duration = now - started_;
  figures.inflated_bytes = static_cast<uint64_t>(std::max<int64_t>(outcome.body_bytes, 0));
  figures.samples_scraped = static_cast<uint64_t>(result.total);
  figures.samples_post_relabeling = static_cast<uint64_t>(result.added);
  figures.series_added = static_cast<uint64_t>(result.series_added);
  figures.out_of_order = static_cast<uint64_t>(result.out_of_order);
  figures.duplicates = static_cast<uint64_t>(result.duplicates);
  figures.out_of_bounds = static_cast<uint64_t>(result.out_of_bounds);
  figures.reason = result.reason;
  figures.error = PresentableText(result.status.message(), kMaxErrorBytes);
}

// Before the first scrape of a loop.
void ScrapeLoop::PublishNext(absl::Duration delay) {
  ScrapeReport report = status_->Get();
  report.next_scrape = context_.shard.loop.clock().Now() + delay;
  status_->Set(std::move(report));
}

void ScrapeLoop::Count(const ScrapeResult& result) {
  ScrapeMetrics& metrics = context_.shard.metrics;
  if (!result.status.ok()) {
    metrics.CountFailure(settings_->job, result.reason);
    LogFailure(result);
  }
  if (result.reason == FailureReason::kBodySizeLimit) {
    metrics.exceeded_body_size_limit_total.Increment();
  }
  if (result.sample_limit_exceeded) metrics.exceeded_sample_limit_total.Increment();
  if (result.label_limit_exceeded) metrics.exceeded_label_limits_total.Increment();
  if (result.cache_flush_forced) metrics.cache_flush_forced_total.Increment();
  CountLeftOut(result.out_of_order, metrics.sample_out_of_order_total);
  CountLeftOut(result.duplicates, metrics.sample_duplicate_timestamp_total);
  CountLeftOut(result.out_of_bounds, metrics.sample_out_of_bounds_total);
  WarnLeftOut("Error on ingesting out-of-order samples", result.out_of_order);
  WarnLeftOut("Error on ingesting samples with different value but same timestamp",
              result.duplicates);
  WarnLeftOut("Error on ingesting samples that are too old or are too far into the future",
              result.out_of_bounds);
}

void ScrapeLoop::LogFailure(const ScrapeResult& result) const {
  if (!LogEnabled(LogLevel::kDebug)) return;
  LogDebug("Scrape failed", {{"scrape_pool", settings_->job},
                             {"target", target_->url},
                             {"reason", FailureReasonName(result.reason)},
                             {"err", result.status}});
}

void ScrapeLoop::WarnLeftOut(std::string_view message, int64_t samples) const {
  if (samples == 0) return;
  LogWarn(message,
          {{"scrape_pool", settings_->job}, {"target", target_->url}, {"num_dropped", samples}});
}

// After a first scrape that did not wait for its place in the interval.
void ScrapeLoop::TakePhase() {
  if (!std::exchange(then_phase_, false)) return;
  const Clock& clock = context_.shard.loop.clock();
  const absl::Duration delay =
      OffsetFromNow(target_->hash, settings_->offset_seed, target_->interval, clock.Now());
  ticker_ = Ticker(clock.Steady() + delay, target_->interval);
  aligner_.Start(clock.Now() + delay);
}

void ScrapeLoop::Next() {
  if (stopping_) {
    state_ = State::kStopped;
    context_.observer.OnStopped(*this);  // may destroy this
    return;
  }
  WaitFor(UntilNextTick());
}

}  // namespace trawl

#include "client/store/remote_write_queue.h"

#include <snappy.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/base/log.h"
#include "core/fetch/fetch_url.h"

namespace trawl {
namespace {

// Of the endpoint's words in logs and rejects.
constexpr size_t kMaxReasonBytes = 256;

enum class Verdict { kAccepted, kRetry, kMend, kRefused, kRefusedWhole };

// kMend: a person must do something about us or the address, not about the data.
Verdict Judge(int status) {
  if (status / 100 == 2) return Verdict::kAccepted;
  switch (status) {
    case 408:
    case 429:
      return Verdict::kRetry;
    case 401:
    case 403:
    case 404:
    case 405:
    case 407:
      return Verdict::kMend;
    case 400:
    case 413:
    case 422:
      return Verdict::kRefused;
    default:
      return status / 100 == 4 ? Verdict::kRefusedWhole : Verdict::kRetry;
  }
}

std::string Reason(const BlockingHttpResponse& response) {
  std::string reason = response.status_line;
  const std::string body(absl::StripAsciiWhitespace(response.body));
  if (!body.empty()) absl::StrAppend(&reason, ": ", body);
  return reason.substr(0, kMaxReasonBytes);
}

// Seconds, or an HTTP date.
absl::Duration ParseRetryAfter(const std::string& text, absl::Time now) {
  uint32_t seconds = 0;
  if (absl::SimpleAtoi(text, &seconds)) return absl::Seconds(seconds);
  absl::Time time;
  if (absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", text, &time, nullptr)) return time - now;
  return absl::ZeroDuration();
}

}  // namespace

RemoteWriteQueue::RemoteWriteQueue(const Options& options, const Deps& deps, Callbacks callbacks)
    : options_(options),
      loop_(deps.loop),
      senders_(deps.senders),
      callbacks_(std::move(callbacks)),
      backoff_(options.backoff) {}

RemoteWriteQueue::~RemoteWriteQueue() {
  *alive_ = false;
  loop_.Cancel(retry_timer_);
}

void RemoteWriteQueue::Push(Item item) {
  items_.push_back(std::move(item));
  Pump();
}

void RemoteWriteQueue::Drop(std::function<void()> quiet) {
  quiet_ = std::move(quiet);
  loop_.Cancel(std::exchange(retry_timer_, 0));
  if (!sending_) GoQuiet();
}

void RemoteWriteQueue::GoQuiet() {
  items_.clear();
  batch_.clear();
  ranges_.clear();
  body_.clear();
  front_sample_ = 0;
  std::exchange(quiet_, nullptr)();
}

void RemoteWriteQueue::Pump() {
  if (sending_ || retry_timer_ != 0) return;
  while (!items_.empty() && items_.front().samples.empty()) FinishFront();
  if (ranges_.empty()) FillBatch();
  if (!ranges_.empty()) SendFront();
}

void RemoteWriteQueue::FillBatch() {
  batch_.clear();
  size_t sample = front_sample_;
  for (size_t i = 0; i < items_.size() && batch_.size() < options_.max_samples; ++i, sample = 0) {
    const size_t left = options_.max_samples - batch_.size();
    const size_t end = std::min(items_[i].samples.size(), sample + left);
    for (; sample < end; ++sample) batch_.push_back({i, sample});
  }
  if (batch_.empty()) return;
  size_t encoded = 0;
  const std::string body = Encode({0, batch_.size()}, &encoded);
  batch_.resize(encoded);
  snappy::Compress(body.data(), body.size(), &body_);
  ranges_.push_back({0, encoded});
  refusals_ = 0;
  refused_ = 0;
  undivided_ = 0;
}

std::string RemoteWriteQueue::Encode(Range range, size_t* encoded) const {
  std::string body;
  size_t i = range.begin;
  for (; i < range.end && (body.size() < options_.max_bytes || i == range.begin); ++i) {
    const Item& item = items_[batch_[i].item];
    const Sample& sample = item.samples[batch_[i].sample];
    AppendTimeSeries(*item.layout, sample.position, sample.value, sample.time_ms, body);
  }
  *encoded = i - range.begin;
  return body;
}

void RemoteWriteQueue::SendFront() {
  if (body_.empty()) {
    size_t encoded = 0;
    const std::string body = Encode(ranges_.front(), &encoded);
    snappy::Compress(body.data(), body.size(), &body_);
  }
  sending_ = true;
  senders_.Send(body_, [this, alive = alive_](const absl::StatusOr<BlockingHttpResponse>& answer) {
    if (*alive) OnAnswer(answer);
  });
}

void RemoteWriteQueue::OnAnswer(const absl::StatusOr<BlockingHttpResponse>& answer) {
  sending_ = false;
  if (!answer.ok()) {
    RetryLater(std::string(answer.status().message()), absl::ZeroDuration(), false);
  } else {
    const Verdict verdict = Judge(answer->status_code);
    switch (verdict) {
      case Verdict::kAccepted:
        refusals_ = 0;
        FinishRange();
        if (!ranges_.empty()) ranges_.front().as_before = false;
        break;
      case Verdict::kRetry:
      case Verdict::kMend:
        RetryLater(Reason(*answer), ParseRetryAfter(answer->retry_after, loop_.clock().Now()),
                   verdict == Verdict::kMend);
        break;
      case Verdict::kRefused:
      case Verdict::kRefusedWhole:
        OnRefused(Reason(*answer), verdict == Verdict::kRefused);
        break;
    }
  }
  if (quiet_ != nullptr) return GoQuiet();
  Pump();
}

void RemoteWriteQueue::OnRefused(const std::string& what, bool may_halve) {
  const Range range = ranges_.front();
  const size_t size = range.end - range.begin;
  const bool halves = size > Grain();
  ++refusals_;
  if (may_halve && size > 1) {
    const size_t middle = range.begin + (halves ? size / 2 : 1);
    ranges_.front() = {middle, range.end, /*as_before=*/!halves};
    ranges_.push_front({range.begin, middle});
    body_.clear();
    return;
  }
  TellAnswer(absl::InvalidArgumentError(what));
  Refuse(range, what);
  if (ranges_.size() > 1 && ranges_[1].as_before) {
    Refuse(ranges_[1], what);
    undivided_ += ranges_[1].end - ranges_[1].begin;
    ranges_.pop_front();
  }
  FinishRange();
}

size_t RemoteWriteQueue::Grain() const {
  const size_t doublings = refusals_ / std::max<size_t>(1, options_.bisect_requests);
  return size_t{1} << std::min<size_t>(doublings, 31);
}

void RemoteWriteQueue::Refuse(Range range, const std::string& what) {
  refused_ += range.end - range.begin;
  refusal_ = what;
  for (size_t i = range.begin; i < range.end; ++i) {
    Item& item = items_[batch_[i].item];
    item.refused.push_back(item.samples[batch_[i].sample].position);
    item.refusal = what;
    if (range.as_before) ++item.undivided;
  }
}

void RemoteWriteQueue::RetryLater(const std::string& why, absl::Duration at_least, bool slowly) {
  if (!options_.retry) {
    items_.clear();
    batch_.clear();
    ranges_.clear();
    callbacks_.failed(absl::UnavailableError(why));
    return;
  }
  TellAnswer(absl::UnavailableError(why));
  if (slowly) backoff_.UseMax();
  const absl::Duration asked = std::clamp(at_least, absl::ZeroDuration(), options_.max_retry_after);
  const absl::Duration delay = std::max(backoff_.Next(random_), asked);
  if (!std::exchange(complained_, true)) {
    LogWarn("remote write: the endpoint takes nothing, trying again",
            {{"url", RedactUrl(senders_.url())}, {"err", why}});
  }
  retry_timer_ = loop_.RunAfter(delay, [this] {
    retry_timer_ = 0;
    Pump();
  });
}

void RemoteWriteQueue::TellAnswer(const absl::Status& answer) const {
  if (callbacks_.answered != nullptr) callbacks_.answered(answer);
}

void RemoteWriteQueue::FinishRange() {
  if (std::exchange(complained_, false)) {
    LogInfo("remote write: the endpoint answers again", {{"url", RedactUrl(senders_.url())}});
    TellAnswer(absl::OkStatus());
  }
  backoff_.Reset();
  body_.clear();
  ranges_.pop_front();
  if (ranges_.empty()) FinishBatch();
}

void RemoteWriteQueue::FinishBatch() {
  const Ref last = batch_.back();
  if (refused_ > 0) {
    LogWarn("remote write: samples refused for good", {{"url", RedactUrl(senders_.url())},
                                                       {"samples", refused_},
                                                       {"undivided", undivided_},
                                                       {"of", batch_.size()},
                                                       {"err", refusal_}});
  }
  batch_.clear();
  for (size_t i = 0; i < last.item; ++i) FinishFront();
  front_sample_ = last.sample + 1;
  if (front_sample_ == items_.front().samples.size()) FinishFront();
}

void RemoteWriteQueue::FinishFront() {
  const Item item = std::move(items_.front());
  items_.pop_front();
  front_sample_ = 0;
  callbacks_.done(item);
}

}  // namespace trawl

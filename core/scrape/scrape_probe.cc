#include "core/scrape/scrape_probe.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/exposition/accept.h"
#include "core/scrape/sample_labels.h"
#include "core/scrape/scrape_body.h"

namespace trawl {
namespace {

// A sample costs some microseconds here: a slice is to take about a millisecond.
constexpr size_t kStepBytes = size_t{16} << 10;

size_t TextBytes(const ProbedSample& sample) {
  size_t bytes = sample.text.size() + sample.detail.size() + 32;
  for (const Label& label : sample.labels) bytes += label.name.size() + label.value.size() + 8;
  return bytes;
}

}  // namespace

// Writes down what became of each sample, up to the limits.
class ScrapeProbe::Collector final : public ScrapeBody::Observer {
 public:
  Collector(std::string_view text, const Input& input, const Limits& limits,
            std::vector<ProbedSample>& out)
      : text_(text),
        options_(*input.settings->samples),
        target_labels_(*input.target->labels),
        limits_(limits),
        out_(out) {}

  void OnSample(const TextParser& parser, SampleFate fate, const absl::Status& failure) override {
    if (IsFull()) return;
    ProbedSample sample;
    sample.text = parser.series();
    sample.value = parser.value();
    if (options_.honor_timestamps) sample.timestamp_ms = parser.timestamp();
    sample.fate = fate;
    sample.line = LineOf(parser.series());
    sample.detail = std::string(failure.message());
    AddLabels(parser, sample);
    Add(std::move(sample));
  }

  void OnError(const TextParser& parser) override {
    if (IsFull()) return;
    ProbedSample sample;
    sample.fate = SampleFate::kBad;
    sample.line = parser.error_line();
    sample.text = Line(sample.line).substr(0, kMaxBadLine);
    sample.column = parser.error_column();
    sample.detail = parser.error();
    Add(std::move(sample));
  }

 private:
  static constexpr size_t kMaxBadLine = 4096;

  bool IsFull() const {
    return out_.size() >= limits_.max_samples || bytes_ >= limits_.max_text_bytes;
  }

  void Add(ProbedSample sample) {
    bytes_ += TextBytes(sample);
    out_.push_back(std::move(sample));
  }

  std::string_view Line(size_t number) const {
    size_t begin = 0;
    for (size_t line = 1; line < number; ++line) begin = text_.find('\n', begin) + 1;
    return text_.substr(begin, text_.find('\n', begin) - begin);
  }

  // The number of the line in which a part of the text stands. Parts come in the text's order.
  size_t LineOf(std::string_view part) {
    const auto at = static_cast<size_t>(part.data() - text_.data());
    line_ += static_cast<size_t>(std::count(text_.begin() + static_cast<ptrdiff_t>(counted_),
                                            text_.begin() + static_cast<ptrdiff_t>(at), '\n'));
    counted_ = at;
    return line_;
  }

  void AddLabels(const TextParser& parser, ProbedSample& sample) {
    if (sample.fate == SampleFate::kOverLimit && sample.detail.empty()) {
      sample.detail = absl::StrCat("sample_limit ", options_.sample_limit);
    }
    if (sample.fate != SampleFate::kKept && sample.fate != SampleFate::kDropped) return;
    parser.ReadLabels(&exposed_);
    MergeSampleLabels(options_, target_labels_, exposed_, &builder_);
    RelabelTrace trace;
    const RelabelRules* const rules = options_.metric_relabel_rules.get();
    const bool kept = rules == nullptr || rules->Apply(builder_, trace);
    if (sample.fate == SampleFate::kKept) {
      sample.labels = builder_.Build();
    } else if (kept) {
      sample.detail = "no labels are left";
    } else {
      sample.rule = trace.dropped_by.value_or(0);
    }
  }

  const std::string_view text_;
  const SampleOptions& options_;
  const Labels& target_labels_;
  const Limits& limits_;
  std::vector<ProbedSample>& out_;
  size_t bytes_ = 0;
  size_t line_ = 1;
  size_t counted_ = 0;
  std::vector<Label> exposed_;
  LabelsBuilder builder_;
};

ScrapeProbe::ScrapeProbe(Shard& shard, Input input, const Limits& limits, Callback done)
    : shard_(shard), input_(std::move(input)), limits_(limits), done_(std::move(done)) {}

ScrapeProbe::~ScrapeProbe() {
  shard_.loop.Cancel(next_);
  if (fetch_ != 0) shard_.fetcher.Cancel(fetch_);
}

void ScrapeProbe::Start() {
  started_ = shard_.loop.clock().Steady();
  result_.start = shard_.loop.clock().Now();
  if (input_.forced_error != nullptr) {
    failure_ = {absl::FailedPreconditionError(*input_.forced_error), FailureReason::kTargetLimit};
    return Post(&ScrapeProbe::End);
  }
  FetchRequest request = MakeScrapeRequest(*input_.settings, *input_.target);
  request.keep_head = true;
  request.max_wire_bytes = std::min(request.max_wire_bytes, limits_.max_page_bytes);
  fetch_ = shard_.fetcher.Fetch(std::move(request),
                                [this](const FetchOutcome& outcome) { OnFetched(outcome); });
}

void ScrapeProbe::Abandon(absl::Status why) {
  if (done_ != nullptr) Call(std::move(why));
}

void ScrapeProbe::OnFetched(const FetchOutcome& outcome) {
  fetch_ = 0;
  step_started_ = shard_.loop.clock().Steady();
  if (!outcome.ok()) {
    result_.timings = outcome.error.timings;
    return Fail(FailureOf(outcome.error, *input_.settings));
  }
  const FetchResponse& response = outcome.response;
  result_.timings = response.timings;
  result_.answered = true;
  result_.http_status = response.status_code;
  result_.head = response.head;
  result_.content_type = response.content_type;
  result_.body_bytes = response.body.size();
  if (response.status_code != 200) failure_ = FailureOfStatus(response);
  body_ = std::make_unique<LargeBody>(
      LargeBody::Input{std::string(response.body), response.content_type,
                       response.content_encoding == "gzip",
                       std::min(BodyLimit(*input_.settings), limits_.max_page_bytes)},
      shard_.bodies);
  Post(&ScrapeProbe::Inflate);
}

void ScrapeProbe::Inflate() {
  const absl::StatusOr<bool> complete = body_->StepInflate();
  if (!complete.ok()) {
    // An error page that can't be read is no news beside the error.
    if (!failure_.status.ok()) return End();
    return Fail(FailureOfInflate(complete.status(), *input_.settings));
  }
  if (!*complete) return Post(&ScrapeProbe::Inflate);
  OnInflated();
}

void ScrapeProbe::OnInflated() {
  const absl::Duration now = shard_.loop.clock().Steady();
  result_.inflate = now - std::exchange(step_started_, now);
  const std::string_view text = body_->text();
  result_.inflated_bytes = text.size();
  result_.body = text.substr(0, limits_.max_body_bytes);
  result_.body_cut = text.size() > limits_.max_body_bytes;
  if (!failure_.status.ok() || text.empty()) return End();
  const absl::Status known =
      ChooseFormat(body_->content_type(), input_.settings->fallback_format).status();
  if (!known.ok()) return Fail({known, FailureReason::kContentType});
  collector_ = std::make_unique<Collector>(text, input_, limits_, result_.samples);
  const int64_t now_ms = absl::ToUnixMillis(shard_.loop.clock().Now());
  body_->BeginIngest(*input_.cache, now_ms, now_ms, collector_.get());
  Post(&ScrapeProbe::Read);
}

void ScrapeProbe::Read() {
  if (!body_->StepIngest(kStepBytes)) return Post(&ScrapeProbe::Read);
  result_.scrape = body_->Finish();
  result_.parse = shard_.loop.clock().Steady() - step_started_;
  End();
}

void ScrapeProbe::Fail(ScrapeFailure failure) {
  if (IsPageTooLarge(failure)) {
    return Call(absl::ResourceExhaustedError(
        absl::StrCat("the page is larger than ", limits_.max_page_bytes >> 20,
                     " MiB, the most that is read out of turn")));
  }
  failure_ = std::move(failure);
  End();
}

// By the probe's own limit: the target's loop might well have read it.
bool ScrapeProbe::IsPageTooLarge(const ScrapeFailure& failure) const {
  return failure.reason == FailureReason::kBodySizeLimit &&
         limits_.max_page_bytes < BodyLimit(*input_.settings);
}

void ScrapeProbe::Post(void (ScrapeProbe::*step)()) {
  next_ = shard_.loop.RunAfter(absl::ZeroDuration(), [this, step] {
    next_ = 0;
    (this->*step)();
  });
}

void ScrapeProbe::End() {
  if (!failure_.status.ok()) {
    result_.scrape.status = failure_.status;
    result_.scrape.reason = failure_.reason;
  }
  result_.duration = shard_.loop.clock().Steady() - started_;
  Call(std::move(result_));
}

// May destroy this.
void ScrapeProbe::Call(absl::StatusOr<ProbeResult> result) {
  Callback done = std::exchange(done_, nullptr);
  done(std::move(result));
}

}  // namespace trawl

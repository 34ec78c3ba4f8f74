#include "client/store/append_session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"

namespace trawl {

AppendSession::AppendSession(const Options& options, const LaneState& state,
                             std::unique_ptr<LaneWriter> writer)
    : options_(options),
      resumed_at_(state.durable),
      writer_(std::move(writer)),
      told_limit_(options.window_bytes) {}

AppendSession::~AppendSession() = default;

// A writer that does not use `rebuild` may begin below durable: it is decoded from there, and what
// is at or below durable is counted as duplicate.
RecordDecoder& AppendSession::Decoder(uint64_t first_number) {
  if (decoder_ == nullptr) {
    const uint64_t before = first_number == 0 ? 0 : first_number - 1;
    decoder_ = std::make_unique<RecordDecoder>(
        RecordDecoder::Options{.durable = std::min(before, resumed_at_)});
  }
  return *decoder_;
}

absl::Status AppendSession::OnRecords(const storage::v1::Records& records) {
  if (received_bytes_ >= told_limit_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("window overrun: ", received_bytes_, " bytes sent, limit ", told_limit_));
  }
  const uint64_t bytes = records.body().size();
  received_bytes_ += bytes;
  RecordDecoder& decoder = Decoder(records.rebuild() ? resumed_at_ + 1 : records.first_number());
  const absl::Status decoded = decoder.Decode(records, *this);
  RETURN_IF_ERROR(backend_status_);
  const uint64_t last = decoder.next_number() - 1;
  if (last > resumed_at_ && !records.rebuild()) {
    // Also what came before a damaged record is whole, and stays.
    backend_status_ = writer_->Advance(last, 0);
    RETURN_IF_ERROR(backend_status_);
  }
  RETURN_IF_ERROR(decoded);
  if (last > resumed_at_ && !records.rebuild()) {
    uncommitted_.push_back({last, bytes});
  } else {
    released_bytes_ += bytes;
  }
  return absl::OkStatus();
}

absl::Status AppendSession::OnGap(const storage::v1::Gap& gap) {
  RETURN_IF_ERROR(Decoder(resumed_at_ + 1).Skip(gap));
  if (gap.to() <= resumed_at_) return absl::OkStatus();
  const bool is_loss = gap.reason() != storage::v1::Gap::BEFORE_SINK;
  backend_status_ = writer_->Advance(gap.to(), is_loss ? gap.samples() : 0);
  return backend_status_;
}

void AppendSession::OnScrape(const DecodedScrape& scrape) {
  if (!backend_status_.ok()) return;
  backend_status_ =
      scrape.number <= resumed_at_ ? writer_->CountDuplicate(scrape) : writer_->Write(scrape);
}

void AppendSession::OnLayoutReplaced(const DecodedLayout& gone, const DecodedLayout&) {
  writer_->ForgetLayout(gone.uid);
}

void AppendSession::OnSegment(const DecodedSegment&) { writer_->ForgetAll(); }

void AppendSession::OnDurable(uint64_t durable) {
  while (!uncommitted_.empty() && uncommitted_.front().last_number <= durable) {
    released_bytes_ += uncommitted_.front().bytes;
    uncommitted_.pop_front();
  }
}

uint64_t AppendSession::TellWindow() {
  told_limit_ = limit();
  return told_limit_;
}

bool AppendSession::window_worth_telling() const {
  return limit() - told_limit_ >= options_.window_bytes / 4;
}

}  // namespace trawl

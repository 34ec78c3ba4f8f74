#include "core/append/record_encoder.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/append/decimal_delta_codec.h"
#include "core/append/record.h"
#include "core/base/status_macros.h"
#include "core/model/value.h"

namespace trawl {
namespace {

constexpr uint32_t kMarkerFlags = ScrapeBatch::kTargetGone | ScrapeBatch::kScrapeFailed;
// Of an S record, without its columns, bitmaps and times.
constexpr size_t kMaxFixedScrapeBytes = 128;
// Of one explicit time: two varints.
constexpr size_t kMaxTimeBytes = 15;

void AppendVarint(uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}

uint64_t CountSamples(size_t positions, BitWords absent, BitWords stale) {
  return positions - CountBits(absent) + CountBits(stale);
}

// No bit at or above `positions`.
bool Fits(BitWords words, size_t positions) {
  if (words.size() < BitWordCount(positions)) return true;
  for (size_t w = BitWordCount(positions); w < words.size(); ++w) {
    if (words[w] != 0) return false;
  }
  if (positions % 64 == 0) return true;
  return words[positions / 64] >> (positions % 64) == 0;
}

std::unique_ptr<ColumnEncoder> MakeColumns(storage::v1::Encoding encoding) {
  if (encoding == storage::v1::ENCODING_RAW_COLUMNS) return std::make_unique<RawColumnEncoder>();
  return std::make_unique<DecimalDeltaEncoder>();
}

}  // namespace

RecordEncoder::RecordEncoder(storage::v1::Encoding encoding) : columns_(MakeColumns(encoding)) {}

void RecordEncoder::BeginSegment(const Labels& external_labels, std::string_view tenant) {
  dictionary_.BeginSegment(external_labels, tenant);
  needs_segment_ = false;
  keyframe_ = true;
}

absl::Status RecordEncoder::Encode(const ScrapeBatch& batch, Encoded& encoded) {
  RETURN_IF_ERROR(Check(batch));
  encoded.dictionary.clear();
  absl::StatusOr<uint64_t> layout =
      dictionary_.Define(*batch.layout, *columns_, encoded.dictionary);
  absl::Status status =
      layout.ok() ? EncodeScrape(batch, *layout, encoded) : std::move(layout).status();
  needs_segment_ = !status.ok();
  return status;
}

absl::Status RecordEncoder::Check(const ScrapeBatch& batch) const {
  const size_t positions = batch.layout->size();
  const bool no_values = batch.values.empty() && (batch.flags & ScrapeBatch::kTargetGone) != 0;
  if (batch.values.size() != positions && !no_values) {
    return absl::InvalidArgumentError(
        absl::StrCat(batch.values.size(), " values for a layout of ", positions, " series"));
  }
  if (!Fits(batch.absent, positions) || !Fits(batch.stale, positions)) {
    return absl::InvalidArgumentError("a bitmap is longer than the layout");
  }
  const size_t bytes = kMaxFixedScrapeBytes + columns_->MaxBytes(positions) + positions / 8 +
                       batch.times.size() * kMaxTimeBytes;
  if (bytes > kMaxRecordPayloadBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("scrape of ", positions, " series is too large for a record"));
  }
  return absl::OkStatus();
}

absl::Status RecordEncoder::EncodeScrape(const ScrapeBatch& batch, uint64_t layout,
                                         Encoded& encoded) {
  const bool markers = (batch.flags & kMarkerFlags) != 0;
  if (keyframe_) columns_->Reset();
  scrape_.Clear();
  scrape_.set_layout(layout);
  scrape_.set_time_ms(batch.timestamp_ms);
  scrape_.set_flags(batch.flags | (keyframe_ ? uint32_t{storage::v1::Scrape::KEYFRAME} : 0));
  const BitWords absent = AbsentPositions(batch);
  columns_->Encode(layout, batch.values, absent, scrape_);
  if (markers) BitWordsToBytes(batch.stale, *scrape_.mutable_stale());
  if (!batch.times.empty()) EncodeTimes(batch, absent, *scrape_.mutable_times());

  encoded.scrape.clear();
  const size_t start = BeginRecord(encoded.scrape);
  scrape_.AppendToString(&encoded.scrape);
  if (encoded.scrape.size() - start > kRecordHeaderBytes + kMaxRecordPayloadBytes) {
    return absl::InvalidArgumentError("scrape is too large for a record");
  }
  FinishRecord(RecordKind::kScrape, start, encoded.scrape);
  encoded.samples = CountSamples(batch.layout->size(), absent, markers ? batch.stale : BitWords());
  encoded.keyframe = keyframe_;
  keyframe_ = false;
  return absl::OkStatus();
}

// Those of the batch, and those that get a marker beside the columns. Of a target that is gone:
// all.
BitWords RecordEncoder::AbsentPositions(const ScrapeBatch& batch) {
  const size_t positions = batch.layout->size();
  const bool gone = (batch.flags & ScrapeBatch::kTargetGone) != 0;
  const bool markers = (batch.flags & kMarkerFlags) != 0 && !batch.stale.empty();
  if (!gone && !markers) return batch.absent;
  absent_.assign(BitWordCount(positions), gone ? ~uint64_t{0} : 0);
  if (gone && positions % 64 != 0) absent_.back() >>= 64 - positions % 64;
  if (gone) return absent_;
  for (size_t w = 0; w < absent_.size(); ++w) {
    if (w < batch.absent.size()) absent_[w] |= batch.absent[w];
    if (w < batch.stale.size()) absent_[w] |= batch.stale[w];
  }
  return absent_;
}

void RecordEncoder::EncodeTimes(const ScrapeBatch& batch, BitWords absent, std::string& out) const {
  uint32_t last = 0;
  for (const ScrapeBatch::ExplicitTime& time : batch.times) {
    if (BitIsSet(absent, time.position)) continue;
    AppendVarint(time.position - last, out);
    AppendVarint(ZigZag(static_cast<int64_t>(static_cast<uint64_t>(time.timestamp_ms) -
                                             static_cast<uint64_t>(batch.timestamp_ms))),
                 out);
    last = time.position;
  }
}

}  // namespace trawl

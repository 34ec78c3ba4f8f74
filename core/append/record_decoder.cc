#include "core/append/record_decoder.h"

#include <zstd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/append/column_codec.h"
#include "core/append/decimal_delta_codec.h"
#include "core/append/decoded_dictionary.h"
#include "core/append/record.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

// Buffers that grew beyond it are given back after use.
constexpr size_t kKeptBufferBytes = size_t{1} << 20;

constexpr uint32_t kMarkerFlags =
    storage::v1::Scrape::TARGET_GONE | storage::v1::Scrape::SCRAPE_FAILED;

bool ReadVarint(std::string_view& in, uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64 && !in.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

int64_t UnZigZag(uint64_t value) { return static_cast<int64_t>((value >> 1) ^ (~(value & 1) + 1)); }

bool ReadTimes(std::string_view in, size_t positions, int64_t base_ms,
               std::vector<ScrapeBatch::ExplicitTime>& times) {
  times.clear();
  uint64_t position = 0;
  while (!in.empty()) {
    uint64_t gap = 0;
    uint64_t delta = 0;
    if (!ReadVarint(in, gap) || !ReadVarint(in, delta)) return false;
    if (gap >= positions || (gap == 0 && !times.empty())) return false;
    position += gap;
    if (position >= positions) return false;
    const uint64_t time_ms =
        static_cast<uint64_t>(base_ms) + static_cast<uint64_t>(UnZigZag(delta));
    times.push_back({static_cast<uint32_t>(position), static_cast<int64_t>(time_ms)});
  }
  return true;
}

bool IsSubset(BitWords some, BitWords all) {
  for (size_t w = 0; w < some.size(); ++w) {
    if ((some[w] & ~(w < all.size() ? all[w] : 0)) != 0) return false;
  }
  return true;
}

void AppendLabels(const std::vector<DecodedLabel>& from, std::vector<Label>& out) {
  for (const DecodedLabel& label : from) {
    out.push_back({std::string(label.name), std::string(label.value)});
  }
}

absl::Status Locate(const absl::Status& status, uint64_t number) {
  return Annotate(status, absl::StrCat("record ", number));
}

struct FreeContext {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

}  // namespace

Labels DecodedLayout::TargetLabels() const {
  std::vector<Label> labels;
  AppendLabels(target_labels, labels);
  return Labels::FromSorted(std::move(labels));
}

Labels DecodedLayout::SeriesLabels(size_t position) const {
  const DecodedKey& key = *keys[position];
  LabelsBuilder labels(segment->external_labels);
  if (!key.complete) {
    for (const DecodedLabel& label : target_labels) labels.Set(label.name, label.value);
  }
  for (const DecodedLabel& label : key.labels) labels.Set(label.name, label.value);
  return std::move(labels).Build();
}

class RecordDecoder::State {
 public:
  explicit State(const Options& options)
      : options_(options),
        next_(options.durable + 1),
        dictionary_(options.max_dictionary_bytes),
        columns_(std::make_unique<DecimalDeltaDecoder>()) {}

  absl::Status Decode(const storage::v1::Records& records, Visitor& visitor);
  absl::Status DecodeRecord(uint64_t number, std::string_view record, Visitor& visitor);
  absl::Status Skip(const storage::v1::Gap& gap);

  uint64_t next_number() const { return next_; }
  size_t dictionary_bytes() const { return dictionary_.bytes(); }

 private:
  absl::Status DecodeMessage(const storage::v1::Records& records, Visitor& visitor);
  absl::StatusOr<std::string_view> Body(const storage::v1::Records& records);
  absl::StatusOr<std::string_view> Decompress(const storage::v1::Records& records);
  absl::Status CheckNumbers(const storage::v1::Records& records) const;
  absl::Status DecodeOne(const RecordView& record, uint64_t number, bool show, Visitor& visitor);
  absl::Status DecodeScrape(std::string_view payload, DecodedScrape& scrape);
  absl::Status DecodeMarkersAndTimes(DecodedScrape& scrape);
  void ShrinkBuffers();

  const Options options_;
  uint64_t next_;
  DecodedDictionary dictionary_;
  std::unique_ptr<ColumnDecoder> columns_;
  std::unique_ptr<ZSTD_DCtx, FreeContext> zstd_;
  absl::Status dead_;  // the error that ended it
  // Scratch.
  std::string body_;
  storage::v1::Scrape scrape_;
  DecodedColumns values_;
  std::vector<uint64_t> stale_;
  std::vector<ScrapeBatch::ExplicitTime> times_;
};

absl::Status RecordDecoder::State::Decode(const storage::v1::Records& records, Visitor& visitor) {
  RETURN_IF_ERROR(dead_);
  dead_ = DecodeMessage(records, visitor);
  ShrinkBuffers();
  return dead_;
}

absl::Status RecordDecoder::State::DecodeMessage(const storage::v1::Records& records,
                                                 Visitor& visitor) {
  RETURN_IF_ERROR(CheckNumbers(records));
  ASSIGN_OR_RETURN(std::string_view body, Body(records));
  for (uint32_t i = 0; i < records.count(); ++i) {
    const uint64_t number = records.first_number() + i;  // a rebuild's are about right
    absl::StatusOr<RecordView> record = ParseRecord(body);
    if (!record.ok()) return Locate(record.status(), number);
    body.remove_prefix(record->size);
    RETURN_IF_ERROR(DecodeOne(*record, number, !records.rebuild(), visitor));
    if (!records.rebuild()) next_ = number + 1;
  }
  if (body.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(body.size(), " bytes behind the last record of a message"));
}

absl::Status RecordDecoder::State::CheckNumbers(const storage::v1::Records& records) const {
  if (records.count() == 0) return absl::InvalidArgumentError("a message without records");
  if (records.rebuild() ? records.first_number() < next_ : records.first_number() == next_) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("records from ", records.first_number(),
                                                 records.rebuild() ? " to rebuild" : "", ", want ",
                                                 next_));
}

absl::StatusOr<std::string_view> RecordDecoder::State::Body(const storage::v1::Records& records) {
  switch (records.compression()) {
    case storage::v1::Records::COMPRESSION_UNSPECIFIED:
    case storage::v1::Records::NONE:
      if (records.body().size() <= options_.max_body_bytes) return records.body();
      return absl::InvalidArgumentError(
          absl::StrCat("a message of ", records.body().size(), " bytes"));
    case storage::v1::Records::ZSTD:
      return Decompress(records);
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("unknown compression ", int{records.compression()}));
  }
}

// The frame must tell its true size, so that a small bomb allocates nothing.
absl::StatusOr<std::string_view> RecordDecoder::State::Decompress(
    const storage::v1::Records& records) {
  const std::string& body = records.body();
  const size_t size = records.raw_size();
  if (size > options_.max_body_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("a message of ", size, " bytes"));
  }
  if (ZSTD_getFrameContentSize(body.data(), body.size()) != size) {
    return absl::InvalidArgumentError("raw_size is not the size in the zstd frame");
  }
  if (zstd_ == nullptr) zstd_.reset(ZSTD_createDCtx());
  if (body_.size() < size) body_.resize(size);
  const size_t got = ZSTD_decompressDCtx(zstd_.get(), body_.data(), size, body.data(), body.size());
  if (ZSTD_isError(got) || got != size) return absl::DataLossError("damaged zstd frame");
  return std::string_view(body_.data(), size);
}

absl::Status RecordDecoder::State::DecodeRecord(uint64_t number, std::string_view record,
                                                Visitor& visitor) {
  RETURN_IF_ERROR(dead_);
  if (number != next_) {
    return absl::InvalidArgumentError(absl::StrCat("record ", number, ", want ", next_));
  }
  const absl::StatusOr<RecordView> view = ParseRecord(record);
  dead_ = view.ok() ? DecodeOne(*view, number, true, visitor) : Locate(view.status(), number);
  if (dead_.ok()) next_ = number + 1;
  return dead_;
}

absl::Status RecordDecoder::State::DecodeOne(const RecordView& record, uint64_t number, bool show,
                                             Visitor& visitor) {
  if (record.kind == RecordKind::kDictionary) {
    return Locate(dictionary_.Apply(record.payload, *columns_, visitor), number);
  }
  DecodedScrape scrape;
  scrape.number = number;
  const absl::Status status = DecodeScrape(record.payload, scrape);
  if (!status.ok()) return Locate(status, number);
  if (show) visitor.OnScrape(scrape);
  return absl::OkStatus();
}

absl::Status RecordDecoder::State::DecodeScrape(std::string_view payload, DecodedScrape& scrape) {
  if (!scrape_.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return absl::InvalidArgumentError("scrape: not a message");
  }
  scrape.layout = dictionary_.FindLayout(scrape_.layout());
  if (scrape.layout == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("scrape: unknown layout ", scrape_.layout()));
  }
  if ((scrape_.flags() & storage::v1::Scrape::KEYFRAME) != 0) columns_->Reset();
  const size_t positions = scrape.layout->size();
  RETURN_IF_ERROR(columns_->Decode(scrape_.layout(), positions, scrape_, values_));
  scrape.time_ms = scrape_.time_ms();
  scrape.flags = scrape_.flags();
  scrape.values = values_.values;
  scrape.absent = values_.absent;
  scrape.message = &scrape_;
  RETURN_IF_ERROR(DecodeMarkersAndTimes(scrape));
  scrape.samples = positions - CountBits(scrape.absent) + CountBits(scrape.stale);
  return absl::OkStatus();
}

absl::Status RecordDecoder::State::DecodeMarkersAndTimes(DecodedScrape& scrape) {
  const size_t positions = scrape.layout->size();
  std::string_view stale;
  if ((scrape.flags & kMarkerFlags) != 0) stale = scrape_.stale();
  if (!BitWordsFromBytes(stale, positions, stale_)) {
    return absl::InvalidArgumentError("scrape: stale bitmap is longer than the layout");
  }
  if (!IsSubset(stale_, scrape.absent)) {
    return absl::InvalidArgumentError("scrape: a series with a value and a stale marker");
  }
  if (!ReadTimes(scrape_.times(), positions, scrape.time_ms, times_)) {
    return absl::InvalidArgumentError("scrape: times are not in order, or cut off");
  }
  scrape.stale = stale_;
  scrape.times = times_;
  return absl::OkStatus();
}

absl::Status RecordDecoder::State::Skip(const storage::v1::Gap& gap) {
  RETURN_IF_ERROR(dead_);
  // The last number there is would leave no next one.
  if (gap.from() == next_ && gap.to() >= gap.from() && gap.to() != UINT64_MAX) {
    next_ = gap.to() + 1;
    return absl::OkStatus();
  }
  dead_ = absl::InvalidArgumentError(
      absl::StrCat("gap from ", gap.from(), " to ", gap.to(), ", want it from ", next_));
  return dead_;
}

void RecordDecoder::State::ShrinkBuffers() {
  if (body_.capacity() > kKeptBufferBytes) std::string().swap(body_);
  if (scrape_.raw().capacity() > kKeptBufferBytes ||
      scrape_.integers().capacity() + scrape_.escapes().capacity() > kKeptBufferBytes) {
    scrape_ = storage::v1::Scrape();
  }
  if (values_.values.capacity() * sizeof(double) > kKeptBufferBytes) values_ = DecodedColumns();
}

RecordDecoder::RecordDecoder(const Options& options) : state_(std::make_unique<State>(options)) {}
RecordDecoder::~RecordDecoder() = default;

absl::Status RecordDecoder::Decode(const storage::v1::Records& records, Visitor& visitor) {
  return state_->Decode(records, visitor);
}

absl::Status RecordDecoder::DecodeRecord(uint64_t number, std::string_view record,
                                         Visitor& visitor) {
  return state_->DecodeRecord(number, record, visitor);
}

absl::Status RecordDecoder::Skip(const storage::v1::Gap& gap) { return state_->Skip(gap); }
uint64_t RecordDecoder::next_number() const { return state_->next_number(); }
size_t RecordDecoder::dictionary_bytes() const { return state_->dictionary_bytes(); }

}  // namespace trawl

// Records of an Append stream: RecordDecoder, as stores use it, and RawRecords, as lanes do.
//
// The input is a list of steps: what to do, two bytes of length, and so many bytes. Records get
// their checksums here, so that what stands in them is read.
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/append/raw_records.h"
#include "core/append/record.h"
#include "core/append/record_decoder.h"
#include "tests/client/store/golden_messages.h"
#include "tests/fuzz/fuzz_target.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {
namespace {

enum Step : char { kDictionary = 1, kScrape = 2, kMessage = 3 };  // others: a gap

constexpr size_t kMaxDictionaryBytes = size_t{1} << 20;

void AddStep(Step step, std::string_view bytes, std::string& out) {
  out.push_back(step);
  out.push_back(static_cast<char>(bytes.size() & 0xff));
  out.push_back(static_cast<char>(bytes.size() >> 8));
  out.append(bytes);
}

// Looks at all that a scrape says.
class ReadingVisitor final : public RecordDecoder::Visitor {
 public:
  void OnScrape(const DecodedScrape& scrape) override {
    Require(scrape.values.size() == scrape.layout->size(), "a value for each position");
    uint64_t samples = 0;
    scrape.ForEachSample([&](uint32_t position, double, int64_t) {
      ++samples;
      bytes_ += scrape.layout->keys[position]->labels.size();
    });
    Require(samples == scrape.samples, "as many samples as are told");
    if (scrape.layout->size() > 0) {
      bytes_ += scrape.layout->SeriesLabels(scrape.layout->size() - 1).ToString().size();
    }
  }

 private:
  size_t bytes_ = 0;
};

class Stream {
 public:
  void Take(char step, std::string_view bytes) {
    if (step == kDictionary || step == kScrape) return TakeRecord(RecordKind{uint8_t(step)}, bytes);
    step == kMessage ? TakeMessage(bytes) : TakeGap(bytes);
  }

 private:
  void TakeRecord(RecordKind kind, std::string_view payload) {
    std::string framed;
    AppendRecord(kind, payload, framed);
    const uint64_t number = decoder_.next_number();
    Check(decoder_.DecodeRecord(number, framed, visitor_));
    if (raw_failed_) return;
    LogRecord record;
    record.number = number;
    record.kind = kind;
    record.bytes = framed;
    const absl::StatusOr<std::string_view> rewritten = raw_.Rewrite(record);
    raw_failed_ = !rewritten.ok();
    Require(raw_failed_ || ParseRecord(*rewritten).ok(), "a record becomes a record");
  }

  // Of which nothing is set right.
  void TakeMessage(std::string_view bytes) {
    storage::v1::Records records;
    if (!records.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
    Check(decoder_.Decode(records, visitor_));
  }

  void TakeGap(std::string_view bytes) {
    storage::v1::Gap gap;
    gap.set_from(decoder_.next_number());
    gap.set_to(gap.from() + bytes.size());
    Check(decoder_.Skip(gap));
  }

  void Check(const absl::Status& status) {
    Require(status.ok() || absl::IsInvalidArgument(status) || absl::IsDataLoss(status),
            "an error of the stream is one of two kinds");
    Require(decoder_.dictionary_bytes() <= kMaxDictionaryBytes, "the dictionary is bounded");
    Require(!dead_ || !status.ok(), "after an error nothing is taken");
    dead_ = dead_ || !status.ok();
  }

  RecordDecoder decoder_{
      {.max_body_bytes = size_t{1} << 20, .max_dictionary_bytes = kMaxDictionaryBytes}};
  RawRecords raw_;
  ReadingVisitor visitor_;
  bool raw_failed_ = false;
  bool dead_ = false;
};

void AddRecords(std::string_view body, std::string& steps) {
  while (!body.empty()) {
    const absl::StatusOr<RecordView> record = ParseRecord(body);
    Require(record.ok(), "golden messages hold records");
    AddStep(record->kind == RecordKind::kDictionary ? kDictionary : kScrape, record->payload,
            steps);
    body.remove_prefix(record->size);
  }
}

}  // namespace

// The golden streams, as records and as messages.
std::vector<std::string> FuzzSeeds() {
  std::string records[2];
  std::string messages[2];
  for (const GoldenMessage& golden : MakeGoldenMessages()) {
    storage::v1::AppendRequest request;
    const bool raw = golden.name.starts_with("raw-");
    if (!raw && !golden.name.starts_with("delta-")) continue;
    Require(request.ParseFromString(golden.bytes), "golden messages are messages");
    if (!golden.zstd) AddRecords(request.records().body(), records[raw]);
    AddStep(kMessage, request.records().SerializeAsString(), messages[raw]);
  }
  return {records[0], records[1], messages[0], messages[1]};
}

void FuzzOne(std::string_view input) {
  const google::protobuf::LogSilencer silencer;
  Stream stream;
  while (input.size() >= 3) {
    const char step = input[0];
    const size_t size = static_cast<uint8_t>(input[1]) | size_t{static_cast<uint8_t>(input[2])}
                                                             << 8;
    input.remove_prefix(3);
    stream.Take(step, input.substr(0, size));
    input.remove_prefix(std::min(size, input.size()));
  }
}

}  // namespace trawl

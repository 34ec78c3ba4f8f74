#include "core/append/record_target.h"

#include "core/append/column_codec.h"
#include "core/append/decoded_dictionary.h"
#include "core/append/record.h"
#include "core/append/record_decoder.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {
namespace {

// As much as a store would take (RecordDecoder).
constexpr size_t kMaxDictionaryBytes = size_t{512} << 20;

class NoVisitor final : public RecordDecoder::Visitor {
 public:
  void OnScrape(const DecodedScrape&) override {}
};

std::optional<storage::v1::Scrape> ReadScrape(RecordSource& log, uint64_t number) {
  const absl::StatusOr<LogRecord> record = log.Read(number);
  if (!record.ok() || record->kind != RecordKind::kScrape) return std::nullopt;
  const absl::StatusOr<RecordView> view = ParseRecord(record->bytes);
  storage::v1::Scrape scrape;
  if (!view.ok() ||
      !scrape.ParseFromArray(view->payload.data(), static_cast<int>(view->payload.size()))) {
    return std::nullopt;
  }
  return scrape;
}

}  // namespace

Labels TargetOfRecord(RecordSource& log, uint64_t number) {
  const std::optional<storage::v1::Scrape> scrape = ReadScrape(log, number);
  if (!scrape) return {};
  DecodedDictionary dictionary(kMaxDictionaryBytes);
  RawColumnDecoder columns;
  NoVisitor visitor;
  for (uint64_t n = log.SegmentStart(number); n < number; ++n) {
    const absl::StatusOr<LogRecord> record = log.Read(n);
    if (!record.ok() || record->kind != RecordKind::kDictionary) continue;
    const absl::StatusOr<RecordView> defines = ParseRecord(record->bytes);
    if (!defines.ok() || !dictionary.Apply(defines->payload, columns, visitor).ok()) return {};
  }
  const DecodedLayout* const layout = dictionary.FindLayout(scrape->layout());
  return layout == nullptr ? Labels() : layout->TargetLabels();
}

std::optional<absl::Time> TimeOfRecord(RecordSource& log, uint64_t number) {
  const std::optional<storage::v1::Scrape> scrape = ReadScrape(log, number);
  if (!scrape) return std::nullopt;
  return absl::FromUnixMillis(scrape->time_ms());
}

}  // namespace trawl

#include "core/spool/record_block.h"

#include <algorithm>
#include <utility>

#include "core/append/record.h"

namespace trawl {
namespace {

// How many bytes are checksummed in search of records behind a damage.
constexpr size_t kSearchBudgetBytes = size_t{256} << 20;

constexpr auto kLastKind = static_cast<unsigned char>(RecordKind::kScrape);

RecordKind KindOf(const char* record) { return static_cast<RecordKind>(record[4]); }

// The size of the entry that may be at the front; 0: there is none, which is found without a
// checksum.
size_t PossibleEntryBytes(std::string_view bytes) {
  if (bytes.size() < kEntryPrefixBytes + kRecordHeaderBytes) return 0;
  const char* const record = bytes.data() + kEntryPrefixBytes;
  const RecordKind kind = KindOf(record);
  if (kind != RecordKind::kDictionary && kind != RecordKind::kScrape) return 0;
  const size_t size = kEntryPrefixBytes + kRecordHeaderBytes + GetFixed32(record);
  return size <= bytes.size() ? size : 0;
}

// Where the good entries from `start` on end.
size_t EndOfRun(std::string_view bytes, size_t start) {
  while (start < bytes.size()) {
    const absl::StatusOr<EntryView> entry = ParseEntry(bytes.substr(start));
    if (!entry.ok()) break;
    start += entry->size;
  }
  return start;
}

}  // namespace

size_t FindEntriesToEnd(std::string_view bytes, size_t from) {
  size_t budget = kSearchBudgetBytes;
  for (size_t start = from; start < bytes.size(); ++start) {
    // Byte by byte through what may be all of a block: most of it is told by this byte alone.
    constexpr size_t kKindAt = kEntryPrefixBytes + 4;
    if (bytes.size() - start <= kKindAt) break;
    if (static_cast<unsigned char>(bytes.data()[start + kKindAt]) > kLastKind) continue;
    const size_t size = PossibleEntryBytes(bytes.substr(start));
    if (size == 0) continue;
    if (size > budget) break;
    budget -= size;
    const size_t end = EndOfRun(bytes, start);
    if (end == bytes.size()) return start;
    if (end > start) start = end - 1;  // another damage
  }
  return std::string_view::npos;
}

RecordBlock RecordBlock::Parse(const SegmentBlock& block, uint64_t count, uint32_t dictionaries,
                               std::string bytes) {
  RecordBlock out(block.number);
  out.bytes_ = std::move(bytes);
  const size_t good = out.ParseRun(0, count, out.entries_);
  if (out.entries_.size() == count) return out;
  const uint64_t missing = count - out.entries_.size();
  const uint64_t behind_good = out.end();
  std::vector<Entry> tail;
  const size_t at = FindEntriesToEnd(out.bytes_, good);
  if (at != std::string_view::npos) out.ParseRun(at, missing + 1, tail);
  if (tail.size() > missing) tail.clear();
  out.entries_.resize(count - tail.size());
  out.entries_.insert(out.entries_.end(), tail.begin(), tail.end());
  uint32_t found = 0;
  for (const Entry& entry : out.entries_) {
    if (entry.size != 0 && KindOf(out.bytes_.data() + entry.offset) == RecordKind::kDictionary) {
      ++found;
    }
  }
  out.lost_dictionary_ = found != dictionaries;
  // Nothing but a mark was damaged only if all else is there. Else the numbers behind it, which
  // were counted from the end, may be wrong.
  if (tail.size() < missing || out.lost_dictionary_) out.first_lost_ = behind_good;
  return out;
}

void RecordBlock::Append(uint32_t samples, std::string_view record) {
  AppendEntry(samples, record, bytes_);
  const auto size = static_cast<uint32_t>(record.size());
  entries_.push_back(Entry{static_cast<uint32_t>(bytes_.size()) - size, size, samples});
}

size_t RecordBlock::ParseRun(size_t offset, uint64_t at_most, std::vector<Entry>& out) const {
  const std::string_view all = bytes_;
  for (; at_most > 0; --at_most) {
    const absl::StatusOr<EntryView> entry = ParseEntry(all.substr(offset));
    if (!entry.ok()) break;
    out.push_back(Entry{static_cast<uint32_t>(offset + kEntryPrefixBytes),
                        static_cast<uint32_t>(entry->record.size()), entry->samples});
    offset += entry->size;
  }
  return offset;
}

RecordKind RecordBlock::kind(uint64_t number) const {
  return KindOf(bytes_.data() + entries_[number - first_].offset);
}

LogRecord RecordBlock::Get(uint64_t number) const {
  const Entry& entry = entries_[number - first_];
  LogRecord out;
  out.number = number;
  out.kind = KindOf(bytes_.data() + entry.offset);
  out.samples = entry.samples;
  out.bytes = std::string_view(bytes_).substr(entry.offset, entry.size);
  return out;
}

uint64_t RecordBlock::SamplesBelow(uint64_t number) const {
  uint64_t samples = 0;
  for (size_t i = 0; i < entries_.size() && first_ + i < number; ++i)
    samples += entries_[i].samples;
  return samples;
}

}  // namespace trawl

#include "core/spool/segment_format.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/append/record.h"
#include "core/base/hash.h"

namespace trawl {
namespace {

constexpr std::string_view kHeaderMagic = "trawlsg1";
constexpr std::string_view kTrailerMagic = "trawlix1";
// f5 is in no UTF-8 text.
constexpr std::string_view kMarkMagic = "\xf5tmk";
constexpr size_t kWriterIdBytes = 32;
constexpr size_t kBlockBytes = 28;
constexpr std::string_view kExtension = ".segment";

// Flags of marks, and of blocks in a footer.
constexpr uint32_t kKeyframeFlag = 1;
constexpr uint32_t kEndFlag = 2;

template <typename Number>
void Put(Number value, std::string& out) {
  for (size_t i = 0; i < sizeof value; ++i) {
    out.push_back(static_cast<char>(static_cast<uint64_t>(value) >> (8 * i)));
  }
}

template <typename Number>
Number Get(const char* in) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(Number); ++i) {
    value |= static_cast<uint64_t>(static_cast<unsigned char>(in[i])) << (8 * i);
  }
  return static_cast<Number>(value);
}

// Takes fields off the front of what has them all.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : bytes_(bytes) {}
  template <typename Number>
  Number Take() {
    return Get<Number>(TakeBytes(sizeof(Number)).data());
  }
  std::string_view TakeBytes(size_t count) {
    const std::string_view out = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return out;
  }

 private:
  std::string_view bytes_;
};

absl::Status BadFooter(std::string_view what) {
  return absl::DataLossError(absl::StrCat("index of a segment ", absl::string_view(what)));
}

// Each block is behind the one before, and has room for its records.
bool IsInOrder(const SegmentIndex& index) {
  uint64_t begin = kSegmentHeaderBytes;
  for (size_t i = 0; i < index.blocks.size(); ++i) {
    const bool last = i + 1 == index.blocks.size();
    const SegmentBlock& block = index.blocks[i];
    const uint64_t end = last ? index.end_offset : index.blocks[i + 1].offset - kSegmentMarkBytes;
    const uint64_t end_number = last ? index.end_number : index.blocks[i + 1].number;
    if (block.offset < begin + kSegmentMarkBytes || end < block.offset || end > index.end_offset ||
        end_number < block.number || !MayHold(end - block.offset, end_number - block.number)) {
      return false;
    }
    begin = end;
  }
  return true;
}

}  // namespace

void PutFixed32(uint32_t value, std::string& out) { Put(value, out); }
void PutFixed64(uint64_t value, std::string& out) { Put(value, out); }
uint32_t GetFixed32(const char* in) { return Get<uint32_t>(in); }
uint64_t GetFixed64(const char* in) { return Get<uint64_t>(in); }

uint32_t SpoolIdentity::Checksum() const {
  std::string bytes = writer_id;
  Put(epoch, bytes);
  Put(lane, bytes);
  return Crc32c(bytes);
}

// ---- Header

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  std::string out(kHeaderMagic);
  std::string writer = header.identity.writer_id;
  writer.resize(kWriterIdBytes, '\0');
  out += writer;
  Put(header.identity.epoch, out);
  Put(header.identity.lane, out);
  Put(uint32_t{0}, out);
  Put(header.first_number, out);
  Put(header.samples, out);
  Put(header.time_ms, out);
  Put(Crc32c(out), out);
  return out;
}

absl::StatusOr<SegmentHeader> DecodeSegmentHeader(std::string_view bytes) {
  const size_t name = kHeaderMagic.size() - 1;  // without the version
  if (bytes.size() >= kHeaderMagic.size() &&
      bytes.substr(0, name) == kHeaderMagic.substr(0, name) && bytes[name] != kHeaderMagic[name] &&
      bytes[name] >= '2' && bytes[name] <= '9') {
    return absl::FailedPreconditionError(
        absl::StrCat("segment of format ", absl::string_view(&bytes[name], 1), ", want 1"));
  }
  if (bytes.size() < kSegmentHeaderBytes || bytes.substr(0, kHeaderMagic.size()) != kHeaderMagic) {
    return absl::DataLossError("not a segment");
  }
  const size_t checked = kSegmentHeaderBytes - sizeof(uint32_t);
  if (Get<uint32_t>(bytes.data() + checked) != Crc32c(bytes.substr(0, checked))) {
    return absl::DataLossError("header of a segment with a wrong checksum");
  }
  FieldReader in(bytes.substr(kHeaderMagic.size()));
  SegmentHeader header;
  header.identity.writer_id = std::string(in.TakeBytes(kWriterIdBytes));
  header.identity.epoch = in.Take<uint64_t>();
  header.identity.lane = in.Take<uint32_t>();
  in.Take<uint32_t>();
  header.first_number = in.Take<uint64_t>();
  header.samples = in.Take<uint64_t>();
  header.time_ms = in.Take<int64_t>();
  return header;
}

// ---- Marks

std::string EncodeMark(const SegmentMark& mark, uint32_t identity) {
  std::string out(kMarkMagic);
  Put((mark.keyframe ? kKeyframeFlag : 0) | (mark.end ? kEndFlag : 0), out);
  Put(mark.number, out);
  Put(mark.samples, out);
  Put(mark.dictionaries, out);
  Put(mark.time_ms, out);
  Put(Crc32c(out, identity), out);
  return out;
}

bool DecodeMark(std::string_view bytes, uint32_t identity, SegmentMark& mark) {
  const size_t checked = kSegmentMarkBytes - sizeof(uint32_t);
  if (bytes.size() < kSegmentMarkBytes || bytes.substr(0, kMarkMagic.size()) != kMarkMagic ||
      Get<uint32_t>(bytes.data() + checked) != Crc32c(bytes.substr(0, checked), identity)) {
    return false;
  }
  FieldReader in(bytes.substr(kMarkMagic.size()));
  const auto flags = in.Take<uint32_t>();
  mark.keyframe = (flags & kKeyframeFlag) != 0;
  mark.end = (flags & kEndFlag) != 0;
  mark.number = in.Take<uint64_t>();
  mark.samples = in.Take<uint64_t>();
  mark.dictionaries = in.Take<uint32_t>();
  mark.time_ms = in.Take<int64_t>();
  return true;
}

bool StartsMark(std::string_view bytes) {
  const std::string_view magic = bytes.substr(0, kMarkMagic.size());
  return magic == kMarkMagic.substr(0, magic.size());
}

bool ResemblesMark(std::string_view bytes, uint32_t identity, SegmentMark mark) {
  if (bytes.size() < kSegmentMarkBytes) return false;
  FieldReader in(bytes);
  const bool magic = in.TakeBytes(kMarkMagic.size()) == kMarkMagic;
  in.Take<uint32_t>();
  const bool number = in.Take<uint64_t>() == mark.number;
  const bool samples = in.Take<uint64_t>() == mark.samples;
  if (int{magic} + int{number} + int{samples} >= 2) return true;
  in.Take<uint32_t>();
  mark.time_ms = in.Take<int64_t>();
  const std::string_view checksum = in.TakeBytes(sizeof(uint32_t));
  for (const bool keyframe : {false, true}) {
    mark.keyframe = keyframe;
    if (absl::EndsWith(EncodeMark(mark, identity), checksum)) return true;
  }
  return false;
}

size_t FindMark(std::string_view bytes, size_t from) { return bytes.find(kMarkMagic, from); }

// ---- Footer

std::string EncodeFooter(const SegmentIndex& index, uint32_t identity) {
  SegmentMark mark;
  mark.end = true;
  mark.number = index.end_number;
  mark.samples = index.end_samples;
  mark.dictionaries = index.end_dictionaries;
  mark.time_ms = index.time_ms;
  std::string out = EncodeMark(mark, identity);
  for (const SegmentBlock& block : index.blocks) {
    Put(block.number, out);
    Put(block.samples, out);
    Put(block.offset, out);
    Put(block.dictionaries, out);
    Put(block.keyframe ? kKeyframeFlag : 0, out);
  }
  Put(static_cast<uint32_t>(index.blocks.size()), out);
  Put(index.end_offset, out);
  Put(Crc32c(out, identity), out);
  out += kTrailerMagic;
  return out;
}

uint64_t FooterBytes(std::string_view trailer) {
  if (trailer.size() != kSegmentTrailerBytes || !absl::EndsWith(trailer, kTrailerMagic)) return 0;
  return kSegmentMarkBytes + uint64_t{Get<uint32_t>(trailer.data())} * kBlockBytes +
         kSegmentTrailerBytes;
}

absl::StatusOr<SegmentIndex> DecodeFooter(std::string_view footer, uint64_t file_bytes,
                                          uint32_t identity) {
  const size_t size = footer.size();
  if (size < kSegmentMarkBytes + kSegmentTrailerBytes ||
      FooterBytes(footer.substr(size - kSegmentTrailerBytes)) != size) {
    return BadFooter("of a wrong length");
  }
  const size_t checked = size - kTrailerMagic.size() - sizeof(uint32_t);
  SegmentMark mark;
  if (Get<uint32_t>(footer.data() + checked) != Crc32c(footer.substr(0, checked), identity) ||
      !DecodeMark(footer, identity, mark)) {
    return BadFooter("with a wrong checksum");
  }
  SegmentIndex index;
  index.end_number = mark.number;
  index.end_samples = mark.samples;
  index.end_dictionaries = mark.dictionaries;
  index.time_ms = mark.time_ms;
  FieldReader in(footer.substr(kSegmentMarkBytes));
  const size_t count = (size - kSegmentMarkBytes - kSegmentTrailerBytes) / kBlockBytes;
  index.blocks.resize(count);
  for (SegmentBlock& block : index.blocks) {
    block.number = in.Take<uint64_t>();
    block.samples = in.Take<uint64_t>();
    block.offset = in.Take<uint32_t>();
    block.dictionaries = in.Take<uint32_t>();
    block.keyframe = (in.Take<uint32_t>() & kKeyframeFlag) != 0;
  }
  in.Take<uint32_t>();
  index.end_offset = in.Take<uint32_t>();
  if (index.end_offset + size != file_bytes) return BadFooter("of another file");
  if (!IsInOrder(index)) return BadFooter("that contradicts itself");
  return index;
}

// ---- Entries

void AppendEntry(uint32_t samples, std::string_view record, std::string& out) {
  Put(samples, out);
  out.append(record);
}

bool MayHold(uint64_t bytes, uint64_t records) {
  return records <= bytes / (kEntryPrefixBytes + kRecordHeaderBytes);
}

absl::StatusOr<EntryView> ParseEntry(std::string_view bytes) {
  if (bytes.size() < kEntryPrefixBytes + kRecordHeaderBytes) {
    return absl::OutOfRangeError("entry is cut off");
  }
  const std::string_view rest = bytes.substr(kEntryPrefixBytes);
  const uint64_t length = Get<uint32_t>(rest.data());
  const bool known = rest[4] == static_cast<char>(RecordKind::kDictionary) ||
                     rest[4] == static_cast<char>(RecordKind::kScrape);
  if (!known || length > kMaxRecordPayloadBytes) return absl::DataLossError("no entry");
  if (rest.size() < kRecordHeaderBytes + length) return absl::OutOfRangeError("entry is cut off");
  const absl::StatusOr<RecordView> record = ParseRecord(rest);
  if (!record.ok()) return record.status();
  EntryView entry;
  entry.samples = Get<uint32_t>(bytes.data());
  entry.record = rest.substr(0, record->size);
  entry.size = kEntryPrefixBytes + record->size;
  return entry;
}

// ---- Names

std::string SegmentFileName(uint64_t first_number) {
  return absl::StrFormat("%020d%s", first_number, kExtension);
}

uint64_t ParseSegmentFileName(std::string_view name) {
  uint64_t number = 0;
  if (!absl::EndsWith(name, kExtension) ||
      !absl::SimpleAtoi(name.substr(0, name.size() - kExtension.size()), &number)) {
    return 0;
  }
  return SegmentFileName(number) == name ? number : 0;
}

}  // namespace trawl

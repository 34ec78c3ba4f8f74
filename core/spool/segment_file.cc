#include "core/spool/segment_file.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/append/record.h"
#include "core/base/status_macros.h"
#include "core/spool/record_block.h"

namespace trawl {
namespace {

constexpr size_t kReadBytes = size_t{256} << 10;

// The start of what is written at a time, which is an entry, with or without a mark before it, or
// the mark of a footer. What is whole of it has been taken.
bool IsCutOffWrite(std::string_view bytes) {
  if (bytes.size() < kSegmentMarkBytes && StartsMark(bytes)) return true;
  return absl::IsOutOfRange(ParseEntry(bytes).status());
}

// Of the header that the segment with this number has.
bool IsCutOffHeader(std::string_view bytes, const SpoolIdentity& identity, uint64_t number) {
  const std::string header = EncodeSegmentHeader({identity, number, 0, 0});
  return bytes.size() < header.size() &&
         bytes.substr(0, kSegmentHeaderFixedBytes) ==
             std::string_view(header).substr(0, std::min(bytes.size(), kSegmentHeaderFixedBytes));
}

// What is there may be what damage or a crash left of the footer, which should be `footer`; zeroes
// are of it, too. Of its whole size, or with its end: whatever it says.
bool MayBeFooter(std::string_view bytes, std::string_view footer) {
  const size_t trailer = bytes.size() - std::min(bytes.size(), kSegmentTrailerBytes);
  if (FooterBytes(bytes.substr(trailer)) == bytes.size()) return true;
  if (bytes.size() >= footer.size()) return bytes.size() == footer.size();
  size_t strange = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != '\0' && bytes[i] != footer[i]) ++strange;
  }
  return strange <= bytes.size() / 8;
}

// Looks through a file without a footer: mark by mark, entry by entry.
class SegmentScanner {
 public:
  SegmentScanner(RandomAccessFile& file, uint64_t file_bytes, uint32_t identity)
      : file_(file), file_bytes_(file_bytes), identity_(identity) {}

  absl::Status Scan(SegmentFile& out) {
    begin_ = kSegmentHeaderBytes;
    index_.end_offset = static_cast<uint32_t>(std::min<uint64_t>(begin_, file_bytes_));
    index_.end_number = out.header.first_number;
    index_.end_samples = out.header.samples;
    index_.time_ms = out.header.time_ms;
    RETURN_IF_ERROR(Need(kSegmentMarkBytes));
    SegmentMark first;
    if (rest().size() > kSegmentMarkBytes && !DecodeMark(rest(), identity_, first)) {
      // What it said, the header says.
      at_ += kSegmentMarkBytes;
      AddBlock(/*keyframe=*/true);
    }
    while (!done_) RETURN_IF_ERROR(Step(out));
    out.index = std::move(index_);
    const uint64_t left = file_bytes_ - std::min<uint64_t>(file_bytes_, out.index.end_offset);
    if (!out.sealed) (tail_is_cut_off_ ? out.torn_bytes : out.lost_bytes) = left;
    out.lost_record = out.lost_bytes > 0 && lost_record_;
    return absl::OkStatus();
  }

 private:
  uint64_t position() const { return begin_ + at_; }
  std::string_view rest() const { return std::string_view(window_).substr(at_); }

  // Has `bytes` from the position on in the window, or all that the file has.
  absl::Status Need(size_t bytes) {
    if (window_.size() - at_ >= bytes || begin_ + window_.size() >= file_bytes_) {
      return absl::OkStatus();
    }
    window_.erase(0, at_);
    begin_ += at_;
    at_ = 0;
    ASSIGN_OR_RETURN(
        const std::string more,
        file_.ReadAt(begin_ + window_.size(), std::max(kReadBytes, bytes - window_.size())));
    if (more.empty()) file_bytes_ = begin_ + window_.size();
    window_ += more;
    return absl::OkStatus();
  }

  absl::Status Step(SegmentFile& out) {
    RETURN_IF_ERROR(Need(kSegmentMarkBytes));
    SegmentMark mark;
    if (DecodeMark(rest(), identity_, mark)) return TakeMark(mark, out);
    if (!index_.blocks.empty()) {
      RETURN_IF_ERROR(NeedEntry(0));
      const absl::StatusOr<EntryView> entry = ParseEntry(rest());
      if (entry.ok()) return TakeEntry(*entry);
    }
    ASSIGN_OR_RETURN(const bool taken, TakeLostMark());
    return taken ? absl::OkStatus() : SkipDamage();
  }

  absl::Status TakeMark(const SegmentMark& mark, SegmentFile& out) {
    if (!MayFollow(mark)) return SkipDamage();
    index_.end_number = mark.number;
    index_.end_samples = mark.samples;
    index_.end_dictionaries = mark.dictionaries;
    index_.time_ms = mark.time_ms;
    if (mark.end) {
      index_.end_offset = static_cast<uint32_t>(position());
      out.sealed = true;
      done_ = true;
      return absl::OkStatus();
    }
    at_ += kSegmentMarkBytes;
    AddBlock(mark.keyframe);
    return absl::OkStatus();
  }

  // The records of the block before may have stood between that one's mark and this.
  bool MayFollow(const SegmentMark& mark) const {
    if (mark.number < index_.end_number) return false;
    if (index_.blocks.empty()) return true;
    const SegmentBlock& before = index_.blocks.back();
    return MayHold(position() - before.offset, mark.number - before.number);
  }

  absl::Status TakeEntry(const EntryView& entry) {
    at_ += entry.size;
    ++index_.end_number;
    index_.end_samples += entry.samples;
    if (entry.record[4] == static_cast<char>(RecordKind::kDictionary)) ++index_.end_dictionaries;
    index_.end_offset = static_cast<uint32_t>(position());
    return absl::OkStatus();
  }

  // A mark that is damaged a little costs nothing: what it said is known. One that can't be told
  // from an entry counts as damage like any other.
  absl::StatusOr<bool> TakeLostMark() {
    RETURN_IF_ERROR(Need(kSegmentMarkBytes + kEntryPrefixBytes + kRecordHeaderBytes));
    RETURN_IF_ERROR(NeedEntry(kSegmentMarkBytes));
    SegmentMark lost;
    lost.number = index_.end_number;
    lost.samples = index_.end_samples;
    lost.dictionaries = index_.end_dictionaries;
    if (!ResemblesMark(rest(), identity_, lost) ||
        !ParseEntry(rest().substr(kSegmentMarkBytes)).ok()) {
      return false;
    }
    at_ += kSegmentMarkBytes;
    AddBlock(/*keyframe=*/false);
    return true;
  }

  // The whole entry that may be `offset` behind the position.
  absl::Status NeedEntry(size_t offset) {
    const size_t header = offset + kEntryPrefixBytes + kRecordHeaderBytes;
    RETURN_IF_ERROR(Need(header));
    if (rest().size() < header) return absl::OkStatus();
    const uint64_t length = GetFixed32(rest().data() + offset + kEntryPrefixBytes);
    return length <= kMaxRecordPayloadBytes ? Need(header + length) : absl::OkStatus();
  }

  void AddBlock(bool keyframe) {
    index_.end_offset = static_cast<uint32_t>(position());
    index_.blocks.push_back(SegmentBlock{index_.end_number, index_.end_samples, index_.end_offset,
                                         index_.end_dictionaries, keyframe});
  }

  // Neither a mark nor an entry. What stands before the next mark is left to who reads the block;
  // without one it is the end.
  absl::Status SkipDamage() {
    const uint64_t damaged_at = position();
    for (size_t from = at_ + 1;;) {
      const size_t found = FindMark(rest(), from - at_);
      if (found != std::string::npos) {
        at_ += found;
        RETURN_IF_ERROR(Need(kSegmentMarkBytes));
        SegmentMark mark;
        if (DecodeMark(rest(), identity_, mark) && MayFollow(mark)) return absl::OkStatus();
      } else {
        // A mark may begin in the last bytes.
        at_ = std::max(at_, window_.size() - std::min<size_t>(window_.size(), 3));
        if (begin_ + window_.size() >= file_bytes_) break;
        RETURN_IF_ERROR(Need(kReadBytes));
      }
      from = at_ + (found != std::string::npos ? 1 : 0);
    }
    done_ = true;
    return CountTail(damaged_at);
  }

  // Whole records behind a damage at the end say that it is no torn write: they are lost, and at
  // least one before them, though it may have hit no more than a mark: a number too many is told,
  // not one too few.
  absl::Status CountTail(uint64_t damaged_at) {
    if (file_bytes_ <= damaged_at) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::string bytes, file_.ReadAt(damaged_at, file_bytes_ - damaged_at));
    tail_is_cut_off_ = IsCutOffWrite(bytes);
    if (index_.blocks.empty()) return absl::OkStatus();
    size_t at = FindEntriesToEnd(bytes, 1);
    if (at == std::string::npos) {
      lost_record_ =
          MayHold(bytes.size(), 1) && !MayBeFooter(bytes, EncodeFooter(index_, identity_));
      return absl::OkStatus();
    }
    ++index_.end_number;
    while (at < bytes.size()) {
      const absl::StatusOr<EntryView> entry = ParseEntry(std::string_view(bytes).substr(at));
      RETURN_IF_ERROR(entry.status());
      ++index_.end_number;
      index_.end_samples += entry->samples;
      at += entry->size;
    }
    // More D records than can be found: the loss reaches to the segment's end in any case.
    index_.end_dictionaries = UINT32_MAX;
    index_.end_offset = static_cast<uint32_t>(file_bytes_);
    return absl::OkStatus();
  }

  RandomAccessFile& file_;
  uint64_t file_bytes_;
  const uint32_t identity_;
  std::string window_;
  uint64_t begin_ = 0;  // of the window in the file
  size_t at_ = 0;       // in the window
  bool done_ = false;
  bool tail_is_cut_off_ = true;
  bool lost_record_ = false;  // what can't be read at the end held one
  SegmentIndex index_;
};

absl::StatusOr<SegmentIndex> ReadFooter(RandomAccessFile& file, uint64_t file_bytes,
                                        uint32_t identity) {
  if (file_bytes < kSegmentTrailerBytes) return absl::DataLossError("no footer");
  ASSIGN_OR_RETURN(const std::string trailer,
                   file.ReadAt(file_bytes - kSegmentTrailerBytes, kSegmentTrailerBytes));
  const uint64_t bytes = FooterBytes(trailer);
  if (bytes == 0 || bytes > file_bytes) return absl::DataLossError("no footer");
  ASSIGN_OR_RETURN(const std::string footer, file.ReadAt(file_bytes - bytes, bytes));
  return DecodeFooter(footer, file_bytes, identity);
}

// Of another writer, epoch or lane.
absl::Status CheckIdentity(const SegmentHeader& header, const SpoolIdentity& identity) {
  if (header.identity.Checksum() == identity.Checksum()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("segment of writer ", header.identity.writer_id,
                                                    ", epoch ", header.identity.epoch, ", lane ",
                                                    header.identity.lane));
}

}  // namespace

absl::StatusOr<SegmentFile> InspectSegment(FileSystem& files, const std::string& path,
                                           const SpoolIdentity& identity, uint64_t number) {
  ASSIGN_OR_RETURN(const std::unique_ptr<RandomAccessFile> file, files.OpenForRead(path));
  SegmentFile out;
  out.path = path;
  ASSIGN_OR_RETURN(out.file_bytes, file->Size());
  ASSIGN_OR_RETURN(const std::string start, file->ReadAt(0, kSegmentHeaderBytes));
  const absl::StatusOr<SegmentHeader> header = DecodeSegmentHeader(start);
  if (header.ok()) {
    RETURN_IF_ERROR(CheckIdentity(*header, identity));
    out.header = *header;
  } else if (absl::IsFailedPrecondition(header.status())) {
    return header.status();
  } else {
    out.header_lost = true;
    out.header = SegmentHeader{identity, std::max<uint64_t>(1, number), 0, 0};
  }
  absl::StatusOr<SegmentIndex> index = ReadFooter(*file, out.file_bytes, identity.Checksum());
  if (index.ok()) {
    out.index = *std::move(index);
    out.sealed = true;
  } else {
    RETURN_IF_ERROR(SegmentScanner(*file, out.file_bytes, identity.Checksum()).Scan(out));
  }
  if (out.index.blocks.empty()) {
    const bool empty = out.index.end_number == out.header.first_number;
    if (empty && !out.header_lost) return out;  // a crash was quick
    if (!IsCutOffHeader(start, identity, number)) {
      return absl::DataLossError("segment without a mark");
    }
    out.torn_bytes = out.file_bytes;  // a crash was quicker
    return out;
  }
  const uint64_t first = out.index.blocks.front().number;
  if (out.header_lost) out.header.first_number = first;
  if (out.header.first_number != first) {
    return absl::DataLossError(
        absl::StrCat("segment from ", out.header.first_number, " whose first mark says ", first));
  }
  if (out.index.end_number == first && out.lost_bytes > 0) {
    return absl::DataLossError(absl::StrCat("no record is left in ", out.file_bytes, " bytes"));
  }
  return out;
}

}  // namespace trawl

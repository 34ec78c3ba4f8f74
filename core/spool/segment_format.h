#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace trawl {

// The parts of a segment's file that are no records (FORMAT.md). Stateless; thread-safe.

// Whose records they are. Marks and footers are checksummed together with it, so that what comes
// from elsewhere is not taken for ours.
struct SpoolIdentity {
  std::string writer_id;  // 32 hex digits
  uint64_t epoch = 0;
  uint32_t lane = 0;

  uint32_t Checksum() const;
};

struct SegmentHeader {
  SpoolIdentity identity;
  uint64_t first_number = 0;
  uint64_t samples = 0;  // of the lane, before the first record
  int64_t time_ms = 0;   // Unix time at which it was begun
};
inline constexpr size_t kSegmentHeaderBytes = 84;
// What of it follows from whose it is and the first number.
inline constexpr size_t kSegmentHeaderFixedBytes = 64;
std::string EncodeSegmentHeader(const SegmentHeader& header);
// kFailedPrecondition: of a newer version of the format; kDataLoss: no header.
absl::StatusOr<SegmentHeader> DecodeSegmentHeader(std::string_view bytes);

// Stands before the first record of each block, and behind the last one of a segment that was
// ended in order.
struct SegmentMark {
  bool keyframe = false;      // the next record is one
  bool end = false;           // nothing but the index follows
  uint64_t number = 0;        // of the next record
  uint64_t samples = 0;       // of the lane, before it
  uint32_t dictionaries = 0;  // D records of the segment, before it
  int64_t time_ms = 0;        // Unix time at which it was written
};
inline constexpr size_t kSegmentMarkBytes = 40;
std::string EncodeMark(const SegmentMark& mark, uint32_t identity);
bool DecodeMark(std::string_view bytes, uint32_t identity, SegmentMark& mark);
// A mark may begin there, as far as the bytes go.
bool StartsMark(std::string_view bytes);
// What stands there was, but for some damage, a mark that said this: two of magic, number and
// samples are left of it, or its time and checksum. Not sure of it: false, as an entry can be just
// as large. The time and the keyframe flag of `mark` count for nothing.
bool ResemblesMark(std::string_view bytes, uint32_t identity, SegmentMark mark);
// Where the next mark may be, from `from` on; npos: nowhere. What is found must be decoded.
size_t FindMark(std::string_view bytes, size_t from);

// A block: records between two marks, about kSpoolBlockBytes of them. What is known of where things
// are in a segment is known block by block.
struct SegmentBlock {
  uint64_t number = 0;        // of its first record
  uint64_t samples = 0;       // as the mark's
  uint32_t offset = 0;        // of the first record's entry in the file
  uint32_t dictionaries = 0;  // as the mark's
  bool keyframe = false;
};
inline constexpr size_t kSpoolBlockBytes = size_t{64} << 10;

// All blocks of a segment, and where it ends. Encoded: the end mark, the blocks, a trailer.
struct SegmentIndex {
  std::vector<SegmentBlock> blocks;
  uint64_t end_number = 0;  // behind the last record
  uint64_t end_samples = 0;
  uint32_t end_dictionaries = 0;
  uint32_t end_offset = 0;  // behind the last record's entry
  int64_t time_ms = 0;      // of the newest mark
};
inline constexpr size_t kSegmentTrailerBytes = 20;
std::string EncodeFooter(const SegmentIndex& index, uint32_t identity);
// How many bytes the footer takes, trailer included, as `trailer` says: the file's last bytes.
// 0: there is no footer.
uint64_t FooterBytes(std::string_view trailer);
absl::StatusOr<SegmentIndex> DecodeFooter(std::string_view footer, uint64_t file_bytes,
                                          uint32_t identity);

// An entry: the record's samples (4 bytes), and the record.
inline constexpr size_t kEntryPrefixBytes = 4;
void AppendEntry(uint32_t samples, std::string_view record, std::string& out);
// So many bytes may be the entries of so many records.
bool MayHold(uint64_t bytes, uint64_t records);

struct EntryView {
  uint32_t samples = 0;
  std::string_view record;
  size_t size = 0;  // of the whole entry
};
// The entry at the front. kOutOfRange: it is cut off; kDataLoss: there is none.
absl::StatusOr<EntryView> ParseEntry(std::string_view bytes);

// "00000000000000000042.segment": the name of a segment's file. 0: not such a name.
std::string SegmentFileName(uint64_t first_number);
uint64_t ParseSegmentFileName(std::string_view name);

// Little-endian numbers of fixed size.
void PutFixed32(uint32_t value, std::string& out);
void PutFixed64(uint64_t value, std::string& out);
uint32_t GetFixed32(const char* in);
uint64_t GetFixed64(const char* in);

}  // namespace trawl

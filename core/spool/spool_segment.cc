#include "core/spool/spool_segment.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/base/log.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

// A block that can't be read so often in a row is given up.
constexpr int kReadAttempts = 5;

}  // namespace

size_t SpoolSegment::BlockOf(uint64_t number) const {
  const auto above =
      std::upper_bound(index_.blocks.begin(), index_.blocks.end(), number,
                       [](uint64_t n, const SegmentBlock& block) { return n < block.number; });
  return static_cast<size_t>(std::distance(index_.blocks.begin(), above)) - 1;
}

uint64_t SpoolSegment::BlockEnd(size_t block) const {
  return block + 1 < index_.blocks.size() ? index_.blocks[block + 1].number : index_.end_number;
}

uint64_t SpoolSegment::BytesFrom(uint64_t number) const {
  const size_t at = BlockOf(number);
  const SegmentBlock& block = index_.blocks[at];
  const bool last = at + 1 == index_.blocks.size();
  const uint64_t bytes = (last ? index_.end_offset : index_.blocks[at + 1].offset) - block.offset;
  const uint64_t records = std::max<uint64_t>(BlockEnd(at) - block.number, 1);
  const uint64_t below = bytes * (number - block.number) / records;
  return index_.end_offset - block.offset - below;
}

uint64_t SpoolSegment::KeyframeAtOrBelow(uint64_t number) const {
  size_t block = BlockOf(number);
  while (block > 0 && !index_.blocks[block].keyframe) --block;
  return index_.blocks[block].number;
}

uint64_t SpoolSegment::KeyframeAbove(uint64_t number) const {
  for (size_t block = BlockOf(number) + 1; block < index_.blocks.size(); ++block) {
    if (index_.blocks[block].keyframe) return index_.blocks[block].number;
  }
  return index_.end_number;
}

absl::StatusOr<std::string> SpoolSegment::ReadBlockBytes(FileSystem& files, size_t block) {
  absl::StatusOr<std::unique_ptr<RandomAccessFile>> file = files.OpenForRead(path_);
  if (absl::IsNotFound(file.status())) return std::string();
  RETURN_IF_ERROR(file.status());
  const uint64_t begin = index_.blocks[block].offset;
  const bool last = block + 1 == index_.blocks.size();
  // Up to the mark in front of the next block.
  const uint64_t end =
      last ? index_.end_offset : index_.blocks[block + 1].offset - kSegmentMarkBytes;
  return (*file)->ReadAt(begin, end - begin);
}

absl::StatusOr<std::shared_ptr<const RecordBlock>> SpoolSegment::LoadBlock(FileSystem& files,
                                                                           size_t block) {
  absl::StatusOr<std::string> bytes = ReadBlockBytes(files, block);
  if (!bytes.ok()) {
    if (++failed_reads_ < kReadAttempts) return bytes.status();
    LogError("A block of the spool can't be read and is given up",
             {{"file", path_}, {"err", bytes.status()}});
    bytes = std::string();
  }
  failed_reads_ = 0;
  const uint32_t dictionaries_end = block + 1 < index_.blocks.size()
                                        ? index_.blocks[block + 1].dictionaries
                                        : index_.end_dictionaries;
  const SegmentBlock& entry = index_.blocks[block];
  auto records = std::make_shared<const RecordBlock>(
      RecordBlock::Parse(entry, BlockEnd(block) - entry.number,
                         dictionaries_end - entry.dictionaries, *std::move(bytes)));
  if (records->damaged()) NoteDamage(block, *records);
  return records;
}

// The values behind a lost S record can't be told up to the next keyframe, and nothing behind a
// lost D record up to the segment's end.
void SpoolSegment::NoteDamage(size_t block, const RecordBlock& records) {
  const uint64_t from = records.first_lost();
  for (const Damage& known : damages_) {
    if (known.from == from) return;
  }
  const bool all = records.lost_dictionary();
  const Damage damage{from, all ? end() : KeyframeAbove(from), all};
  LogError("Damage in the spool", {{"file", path_},
                                   {"offset", index_.blocks[block].offset},
                                   {"from", damage.from},
                                   {"to", damage.end - 1},
                                   {"dictionary", damage.all}});
  damages_.push_back(damage);
  std::sort(damages_.begin(), damages_.end(),
            [](const Damage& a, const Damage& b) { return a.from < b.from; });
}

const SpoolSegment::Damage* SpoolSegment::DamageAt(uint64_t number) const {
  const Damage* found = nullptr;
  for (const Damage& damage : damages_) {
    if (number < damage.from || number >= damage.end) continue;
    if (found == nullptr || damage.all) found = &damage;
  }
  return found;
}

void SpoolSegment::KeepResident(size_t block, std::shared_ptr<const RecordBlock> records) {
  std::shared_ptr<const RecordBlock>& kept = resident_[block];
  if (kept != nullptr) resident_bytes_ -= kept->bytes().size();
  resident_bytes_ += records->bytes().size();
  kept = std::move(records);
}

std::shared_ptr<const RecordBlock> SpoolSegment::Resident(size_t block) const {
  const auto found = resident_.find(block);
  return found == resident_.end() ? nullptr : found->second;
}

}  // namespace trawl

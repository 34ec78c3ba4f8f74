#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/append/record_log.h"
#include "core/spool/segment_format.h"

namespace trawl {

// Where, from `from` on, a run of good entries begins that goes on to the end of `bytes`; npos:
// none is found with reasonable effort.
size_t FindEntriesToEnd(std::string_view bytes, size_t from);

// The records of one block, in memory, as entries of the file.
// A value; not thread-safe.
class RecordBlock {
 public:
  explicit RecordBlock(uint64_t first_number) : first_(first_number) {}

  // What a disk gave back for a block that had `count` records, `dictionaries` of them D records.
  // Where it is damaged, records are found again behind the damage where that can be: `lost(...)`
  // are those that are not.
  static RecordBlock Parse(const SegmentBlock& block, uint64_t count, uint32_t dictionaries,
                           std::string bytes);

  // An entry is appended; what the file has to get is the end of bytes() from the old size on.
  void Append(uint32_t samples, std::string_view record);

  uint64_t first() const { return first_; }
  uint64_t end() const { return first_ + entries_.size(); }
  const std::string& bytes() const { return bytes_; }
  bool damaged() const { return first_lost_ != 0; }
  // The lowest number without a record, if damaged.
  uint64_t first_lost() const { return first_lost_; }
  // A D record is among the lost, or may be.
  bool lost_dictionary() const { return lost_dictionary_; }

  // `number` is in the block.
  bool lost(uint64_t number) const { return entries_[number - first_].size == 0; }
  RecordKind kind(uint64_t number) const;
  LogRecord Get(uint64_t number) const;
  // Of the records in the block below `number`; those that are lost count as 0.
  uint64_t SamplesBelow(uint64_t number) const;

 private:
  struct Entry {
    uint32_t offset = 0;  // of the record in bytes_
    uint32_t size = 0;    // 0: lost
    uint32_t samples = 0;
  };
  // The entries from `offset` on, as far as they are good; where that is.
  size_t ParseRun(size_t offset, uint64_t at_most, std::vector<Entry>& out) const;

  uint64_t first_;
  std::string bytes_;
  std::vector<Entry> entries_;
  uint64_t first_lost_ = 0;
  bool lost_dictionary_ = false;
};

}  // namespace trawl

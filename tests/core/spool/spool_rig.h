#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/spool/spool.h"
#include "core/spool/stored_log.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/fakes/mem_file_system.h"

namespace trawl {

// What a record was when it was appended.
struct WrittenRecord {
  RecordKind kind = RecordKind::kDictionary;
  bool keyframe = false;
  bool segment_start = false;
  uint64_t samples = 0;
  std::string bytes;
};

// What a log tells of its numbers, from the first to the last, as a sink would be told.
struct Told {
  std::map<uint64_t, std::string> records;
  std::vector<LogHole> holes;
};

// A spool over a file system in memory, and the truth of what was appended to it.
class SpoolRig {
 public:
  static constexpr const char* kDirectory = "/data/spool/7/2";

  SpoolRig();
  explicit SpoolRig(const Spool::Options& options, uint64_t budget_bytes = uint64_t{1} << 40);
  ~SpoolRig();
  static Spool::Options DefaultOptions();

  // Appends a record with a payload of `bytes` bytes that no other record has.
  absl::Status Append(RecordKind kind, size_t bytes, uint64_t samples, bool segment_start = false,
                      bool keyframe = false);
  // A segment: a D record, and `scrapes` S records, a keyframe each `keyframe_every`; a D record
  // more in the middle.
  void Segment(int scrapes, size_t bytes, int keyframe_every);

  // The process ends without a word: what it wrote is in the kernel and stays.
  void Crash();
  // The process ends in order.
  void Stop();
  // Opens what is left.
  std::unique_ptr<StoredLog> Recover() { return RecoverFrom(files, options.directory); }
  // The same of a copy somewhere else.
  std::unique_ptr<StoredLog> RecoverFrom(FileSystem& from, const std::string& directory);

  const WrittenRecord& written(uint64_t number) const { return records.at(number - 1); }
  uint64_t last() const { return records.size(); }
  // Of a range of numbers.
  uint64_t Samples(uint64_t from, uint64_t to) const;
  // Number behind the keyframe's span / the segment that the record is in.
  uint64_t SpanEnd(uint64_t number) const;
  uint64_t SegmentEnd(uint64_t number) const;

  // Goes through all numbers from `from`. Fails where a number is told twice or not at all, a
  // record is not what was written, an S record can't be decoded after what was told before it, or
  // holes don't have the samples that are lost.
  Told Tell(RecordSource& log, uint64_t from = 1) const;

  MemFileSystem files;
  FakeEventLoop loop;
  Spool::Options options;
  SpoolBudget budget;
  std::unique_ptr<SpoolSyncer> syncer;
  std::unique_ptr<Spool> spool;
  std::vector<WrittenRecord> records;
};

// True if the long form of the tests is asked for (TRAWL_TEST_SIZE=long).
bool LongTests();

}  // namespace trawl

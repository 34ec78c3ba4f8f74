// What a start finds on the disk: a segment's file and the ledger beside it.
//
// The input's first byte says whether checksums are set right, so that what they protect is read;
// the rest is the segment, or, if its first byte is odd, the ledger.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/append/record.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/spool/gap_ledger.h"
#include "core/spool/spool.h"
#include "core/spool/stored_log.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/fuzz/fuzz_target.h"

namespace trawl {
namespace {

constexpr const char* kDirectory = "/spool/7/2";
constexpr uint64_t kMaxSteps = 3'000;
const SpoolIdentity kIdentity = {"0123456789abcdef0123456789abcdef", 7, 2};

enum Mode : char { kRepaired = 1, kLedger = 2 };

class World {
 public:
  std::unique_ptr<StoredLog> Open() {
    auto log = StoredLog::Open({.directory = kDirectory, .identity = kIdentity},
                               {loop, files, syncer, budget});
    Require(log.ok(), "opening always succeeds");
    return *std::move(log);
  }

  FakeEventLoop loop;
  MemFileSystem files;
  SpoolBudget budget{uint64_t{1} << 40};
  SpoolSyncer syncer{{}, {loop, files}};
};

std::string PathOf(uint64_t number) {
  return absl::StrCat(kDirectory, "/", SegmentFileName(number));
}

void AppendTo(Spool& spool, RecordKind kind, size_t bytes, bool first) {
  std::string framed;
  AppendRecord(kind, std::string(bytes, static_cast<char>(bytes)), framed);
  LogRecord record;
  record.number = spool.next_number();
  record.kind = kind;
  record.keyframe = first;
  record.segment_start = first && kind == RecordKind::kDictionary;
  record.samples = kind == RecordKind::kScrape ? bytes : 0;
  record.bytes = framed;
  Require(spool.Append(record).ok(), "a seed is made");
}

// A segment with keyframes, a D record in the middle, and a footer if it was ended.
std::string MakeSegment(bool ended) {
  World world;
  std::string crashed;
  {
    Spool spool({.directory = kDirectory, .identity = kIdentity},
                {world.loop, world.files, world.syncer, world.budget});
    AppendTo(spool, RecordKind::kDictionary, 40, true);
    for (size_t i = 0; i < 12; ++i) {
      AppendTo(spool, RecordKind::kScrape, 10 + i, i % 4 == 0);
      if (i == 5) AppendTo(spool, RecordKind::kDictionary, 7, false);
    }
    crashed = *world.files.ReadFile(PathOf(1));
  }
  return ended ? *world.files.ReadFile(PathOf(1)) : crashed;
}

void SetFixed32(std::string& bytes, size_t at, uint32_t value) {
  std::string out;
  PutFixed32(value, out);
  bytes.replace(at, out.size(), out);
}

// The checksum over `size` bytes from `at` on stands behind them.
void Repair(std::string& bytes, size_t at, size_t size, uint32_t crc) {
  if (at + size + 4 > bytes.size()) return;
  SetFixed32(bytes, at + size, Crc32c(std::string_view(bytes).substr(at, size), crc));
}

void RepairEntry(std::string& bytes, size_t at, size_t length) {
  const std::string_view record = std::string_view(bytes).substr(at + kEntryPrefixBytes);
  const uint32_t head = Crc32c(record.substr(0, 5));
  SetFixed32(bytes, at + kEntryPrefixBytes + 5,
             Crc32c(record.substr(kRecordHeaderBytes, length), head));
}

// As a writer would have made them of what stands there.
void RepairChecksums(std::string& bytes) {
  const uint32_t identity = kIdentity.Checksum();
  Repair(bytes, 0, kSegmentHeaderBytes - 4, 0);
  for (size_t at = kSegmentHeaderBytes; at + kSegmentMarkBytes <= bytes.size();) {
    if (FindMark(bytes, at) == at) {
      Repair(bytes, at, kSegmentMarkBytes - 4, identity);
      at += kSegmentMarkBytes;
      continue;
    }
    const size_t length = GetFixed32(bytes.data() + at + kEntryPrefixBytes);
    const size_t size = kEntryPrefixBytes + kRecordHeaderBytes + length;
    if (size > bytes.size() - at) break;
    RepairEntry(bytes, at, length);
    at += size;
  }
  if (bytes.size() < kSegmentTrailerBytes) return;
  const uint64_t footer = FooterBytes(bytes.substr(bytes.size() - kSegmentTrailerBytes));
  if (footer == 0 || footer > bytes.size()) return;
  const size_t begin = bytes.size() - footer;
  SetFixed32(bytes, bytes.size() - 16, static_cast<uint32_t>(begin));
  Repair(bytes, begin, footer - 12, identity);
}

// Every number is a record or in a hole, which ends.
void ReadAll(RecordSource& log) {
  uint64_t number = 1;
  for (uint64_t steps = 0; number < log.next_number() && steps < kMaxSteps; ++steps) {
    const absl::StatusOr<LogRecord> record = log.Read(number);
    if (record.ok()) {
      Require(record->number == number, "the record that was asked for");
      Require(ParseRecord(record->bytes).ok(), "a record that is whole");
      Require(log.SegmentStart(number) <= log.Keyframe(number), "a segment begins with a keyframe");
      Require(log.Keyframe(number) <= number, "a keyframe before the record");
      ++number;
      continue;
    }
    const std::optional<LogHole> hole = log.HoleAt(number);
    Require(hole.has_value(), "what is no record is a hole");
    Require(hole->from == number && hole->to >= number, "a hole begins where it was asked for");
    Require(hole->to < log.next_number(), "a hole ends before the log does");
    number = hole->to + 1;
  }
}

}  // namespace

std::vector<std::string> FuzzSeeds() {
  LostRanges lost;
  lost.Add({1, 10, 0, 471, HoleReason::kCap, {}});
  lost.Add({20, 25, 500, 600, HoleReason::kAge, {}});
  const std::string ledger =
      EncodeLedgerPage(lost, 1, kIdentity.Checksum(), {.delivered = 3, .newest_file = 30});
  std::vector<std::string> seeds;
  for (const char mode : {char{0}, char{kRepaired}}) {
    for (const bool ended : {false, true}) seeds.push_back(mode + MakeSegment(ended));
    seeds.push_back(char(mode | kLedger) + ledger.substr(0, 160));
  }
  return seeds;
}

void FuzzOne(std::string_view input) {
  if (input.empty()) return;
  ConfigureLogging(LogLevel::kError, LogFormat::kLogfmt);
  std::string bytes(input.substr(1));
  World world;
  if ((input[0] & kLedger) != 0) {
    bytes.resize(kLedgerPageBytes, '\0');
    if ((input[0] & kRepaired) != 0)
      Repair(bytes, 0, 20 + 36 * size_t{GetFixed32(&bytes[16])}, kIdentity.Checksum());
    world.files.Put(absl::StrCat(kDirectory, "/", kLedgerFileName), bytes);
    world.files.Put(PathOf(1), MakeSegment(true));
  } else {
    if ((input[0] & kRepaired) != 0) RepairChecksums(bytes);
    world.files.Put(PathOf(1), bytes);
  }
  const std::unique_ptr<StoredLog> log = world.Open();
  ReadAll(*log);
  log->Trim(log->next_number() - 1);
}

}  // namespace trawl

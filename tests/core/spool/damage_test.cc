// What damage on the disk costs: what stands between the keyframes around it, or, where it hits a
// D record, what stands up to the segment's end. All of it is told and counted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "core/append/record.h"
#include "core/base/file_system.h"
#include "tests/core/spool/spool_rig.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;

std::string SegmentPath(uint64_t number) {
  return absl::StrCat(SpoolRig::kDirectory, "/", SegmentFileName(number));
}

// Two segments, the second one without a footer; what is damaged of them is in the fake file system
// or, after UseRealFiles, in real ones.
class DamageTest : public ::testing::Test {
 protected:
  // Scrapes of a segment, and their bytes: 64 KiB in all, and not much.
  struct Size {
    int scrapes;
    size_t bytes;
  };
  static constexpr Size kFull = {12, 5'400};
  static constexpr Size kSmall = {3, 60};

  ~DamageTest() override {
    if (!real_directory_.empty()) std::filesystem::remove_all(real_directory_);
  }

  void Fill(const Size& first, const Size& second) {
    rig_.Segment(first.scrapes, first.bytes, 4);
    second_ = rig_.last() + 1;
    rig_.Segment(second.scrapes, second.bytes, 4);
    rig_.Crash();
  }
  std::string Content(uint64_t number) { return *rig_.files.ReadFile(SegmentPath(number)); }

  void UseRealFiles() {
    std::string path = std::filesystem::path(::testing::TempDir()) / "trawl_damage_XXXXXX";
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    real_directory_ = path;
    for (const uint64_t number : {uint64_t{1}, second_}) Put(number, Content(number));
  }
  void Put(uint64_t number, const std::string& content) {
    const std::string aside = SegmentFileName(number) + ".damaged";  // of the case before
    if (real_directory_.empty()) {
      rig_.files.Remove(absl::StrCat(SpoolRig::kDirectory, "/", aside)).IgnoreError();
      rig_.files.Put(SegmentPath(number), content);
      return;
    }
    std::filesystem::remove(real_directory_ / aside);
    std::ofstream(real_directory_ / SegmentFileName(number), std::ios::binary) << content;
  }
  std::unique_ptr<StoredLog> Recover() {
    return real_directory_.empty() ? rig_.Recover()
                                   : rig_.RecoverFrom(real_files_, real_directory_.string());
  }

  uint64_t LostSamples(const Told& told, uint64_t from, uint64_t to) const {
    uint64_t samples = 0;
    for (uint64_t n = from; n <= to; ++n) {
      if (!told.records.contains(n)) samples += rig_.written(n).samples;
    }
    return samples;
  }
  static uint64_t ToldSamples(const Told& told) {
    uint64_t samples = 0;
    for (const LogHole& hole : told.holes) samples += hole.samples;
    return samples;
  }

  // One bit of each `step`th byte from `first` on is flipped, one at a time.
  void FlipBytes(uint64_t number, size_t first, size_t step) {
    const std::string whole = Content(number);
    for (size_t i = first; i < whole.size() && !HasFailure(); i += step) {
      SCOPED_TRACE(absl::StrCat("segment ", number, ", byte ", i));
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << i % 8));
      Put(number, damaged);
      // What stood behind the last mark of a file that was never ended, nobody knows.
      CheckDamaged(number != second_ || i < whole.rfind(kMarkMagic));
    }
  }

  // Nothing is lost outside of one span, or from a D record to its segment's end; and all numbers
  // are told, with their samples if `samples_are_known`.
  void CheckDamaged(bool samples_are_known) {
    const auto log = Recover();
    ASSERT_NE(log, nullptr);
    const Told told = rig_.Tell(*log);
    for (const LogHole& hole : told.holes) {
      EXPECT_TRUE(hole.reason == HoleReason::kDamaged || hole.reason == HoleReason::kNotSpooled);
    }
    uint64_t lowest = 0;
    for (uint64_t n = 1; n <= rig_.last(); ++n) {
      if (told.records.contains(n)) continue;
      if (lowest == 0) lowest = n;
      const bool dictionary = rig_.written(lowest).kind == RecordKind::kDictionary;
      EXPECT_LT(n, dictionary ? rig_.SegmentEnd(lowest) : rig_.SpanEnd(lowest)) << lowest;
    }
    EXPECT_GE(log->next_number(), rig_.SegmentEnd(1));
    EXPECT_LE(log->next_number(), rig_.last() + 1) << "no number is lost that never was";
    ExpectEndIsTold(*log, told);
    if (samples_are_known) {
      EXPECT_EQ(log->next_number(), rig_.last() + 1);
      EXPECT_EQ(ToldSamples(told), LostSamples(told, 1, rig_.last()));
    }
  }

  // Records whose numbers nobody knows are told by their bytes, and the first by its number.
  void ExpectEndIsTold(const StoredLog& log, const Told& told) const {
    if (log.findings().lost_bytes > 0 && told.records.contains(rig_.last())) return;  // the footer
    if (log.findings().lost_bytes > 0) {
      ASSERT_THAT(told.holes, Not(IsEmpty()));
      EXPECT_EQ(told.holes.back().to, log.next_number() - 1);
      EXPECT_EQ(told.holes.back().reason, HoleReason::kDamaged);
    }
    if (log.next_number() > rig_.last()) return;
    EXPECT_GT(log.findings().torn_bytes + log.findings().lost_bytes, 0u);
    EXPECT_THAT(log.findings().bad_files, SizeIs(1));
  }

  // The file ends before each of these bytes in turn.
  void CutAtBytes(uint64_t number, size_t first, size_t step) {
    const std::string whole = Content(number);
    for (size_t i = first; i < whole.size() && !HasFailure(); i += step) {
      SCOPED_TRACE(absl::StrCat("segment ", number, ", cut at ", i));
      Put(number, whole.substr(0, i));
      CheckCut(number, i);
    }
  }

  // All records that are whole in the file are read, and of an ended segment the next one's header
  // says how many there were.
  void CheckCut(uint64_t number, size_t size) {
    const auto log = Recover();
    ASSERT_NE(log, nullptr);
    const Told told = rig_.Tell(*log);
    const uint64_t behind = rig_.SegmentEnd(number);
    size_t end = kSegmentHeaderBytes + kSegmentMarkBytes;
    for (uint64_t n = number; n < behind; ++n) {
      if (n > number && rig_.written(n).keyframe) end += kSegmentMarkBytes;
      end += kEntryPrefixBytes + rig_.written(n).bytes.size();
      EXPECT_EQ(told.records.contains(n), end <= size) << n;
    }
    if (number == second_) return CheckTorn(*log, told);
    EXPECT_EQ(log->next_number(), rig_.last() + 1);
    EXPECT_TRUE(told.holes.empty() || told.holes[0].reason != HoleReason::kTrimmed);
    EXPECT_EQ(ToldSamples(told), LostSamples(told, 1, second_ - 1));
  }

  // What a write that was cut off leaves is no damage, however little it is.
  static void CheckTorn(const StoredLog& log, const Told& told) {
    EXPECT_THAT(told.holes, IsEmpty());
    EXPECT_EQ(log.next_number(), told.records.rbegin()->first + 1);
    EXPECT_EQ(log.findings().lost_bytes, 0u);
    EXPECT_EQ(log.findings().set_aside, 0u);
    EXPECT_EQ(log.findings().lost_headers, 0u);
  }

  static constexpr std::string_view kMarkMagic = "\xf5tmk";

  SpoolRig rig_;
  uint64_t second_ = 0;
  PosixFileSystem real_files_;
  std::filesystem::path real_directory_;  // empty: the fake file system
};

TEST_F(DamageTest, SegmentsHave64KiB) {
  Fill(kFull, kFull);
  EXPECT_GE(Content(1).size(), size_t{64} << 10);
  EXPECT_GE(Content(second_).size(), size_t{64} << 10);
}

// Every byte, in parts that run beside each other.
class DamagedByteTest : public DamageTest, public ::testing::WithParamInterface<size_t> {
 protected:
  static constexpr size_t kParts = 4;  // as many as are made below
};
INSTANTIATE_TEST_SUITE_P(Parts, DamagedByteTest, ::testing::Range<size_t>(0, 4));

TEST_P(DamagedByteTest, BitFlippedAnywhereInAnEndedSegmentCostsNoMoreThanItsSpan) {
  Fill(kFull, kSmall);
  FlipBytes(1, GetParam(), kParts);
}

TEST_P(DamagedByteTest, BitFlippedAnywhereInASegmentThatACrashLeftCostsNoMoreThanItsSpan) {
  Fill(kSmall, kFull);
  FlipBytes(second_, GetParam(), kParts);
}

TEST_P(DamagedByteTest, EndedSegmentThatIsCutAnywhereLosesWhatStoodBehind) {
  Fill(kFull, kSmall);
  CutAtBytes(1, GetParam(), kParts);
}

TEST_P(DamagedByteTest, SegmentThatACrashLeftAndThatIsCutAnywhereLosesWhatStoodBehind) {
  Fill(kSmall, kFull);
  CutAtBytes(second_, GetParam(), kParts);
}

// An entry of 40 bytes that is damaged could be a mark that is.
TEST_F(DamageTest, RecordsOfAMarksSizeAreNotTakenForOne) {
  constexpr Size kOfMarks = {20, kSegmentMarkBytes - kEntryPrefixBytes - kRecordHeaderBytes};
  Fill(kOfMarks, kOfMarks);
  for (const uint64_t number : {uint64_t{1}, second_}) {
    const std::string whole = Content(number);
    FlipBytes(number, 0, 1);
    CutAtBytes(number, 0, 1);
    for (size_t at = 0; at + kSegmentMarkBytes <= whole.size(); ++at) {
      SCOPED_TRACE(absl::StrCat("segment ", number, ", zeroes from ", at));
      std::string damaged = whole;
      damaged.replace(at, kSegmentMarkBytes, kSegmentMarkBytes, '\0');
      Put(number, damaged);
      rig_.Tell(*Recover());
    }
    Put(number, whole);
  }
}

// Up to its time; without that it could be a record that is lost.
TEST_F(DamageTest, LastMarkOfWhichAPartWasNeverWrittenIsNoLostRecord) {
  Fill(kFull, kFull);
  const std::string whole = Content(second_);
  const size_t mark = whole.rfind(kMarkMagic);
  constexpr size_t kTimeAndChecksum = sizeof(int64_t) + sizeof(uint32_t);
  const size_t time = mark + kSegmentMarkBytes - kTimeAndChecksum;
  for (size_t bytes = 1; bytes <= kSegmentMarkBytes; ++bytes) {
    SCOPED_TRACE(absl::StrCat("without its first ", bytes, " bytes"));
    std::string damaged = whole;
    damaged.replace(mark, bytes, bytes, '\0');
    Put(second_, damaged);

    const auto log = Recover();
    const Told told = rig_.Tell(*log);

    if (damaged.compare(time, kTimeAndChecksum, whole, time, kTimeAndChecksum) == 0) {
      EXPECT_THAT(told.records, SizeIs(rig_.last()));
      EXPECT_EQ(log->next_number(), rig_.last() + 1);
    } else {
      EXPECT_EQ(log->next_number(), rig_.last() + 2) << "one too many, not one too few";
    }
  }
}

// Every byte in the long form of the tests.
TEST_F(DamageTest, RealFilesThatAreDamagedOrCutLoseNoMore) {
  Fill(kFull, kFull);
  UseRealFiles();
  for (const uint64_t number : {uint64_t{1}, second_}) {
    FlipBytes(number, 0, LongTests() ? 1 : 331);
    CutAtBytes(number, 0, LongTests() ? 1 : 331);
    Put(number, Content(number));
  }
}

TEST_F(DamageTest, ZeroedPagesCostNoMoreThanTheirSpans) {
  Fill(kFull, kFull);
  for (const uint64_t number : {uint64_t{1}, second_}) {
    const std::string whole = Content(number);
    for (const size_t page : {size_t{512}, size_t{4096}}) {
      for (size_t at = 0; at < whole.size(); at += page) {
        SCOPED_TRACE(absl::StrCat("segment ", number, ", ", page, " bytes from ", at));
        std::string damaged = whole;
        const size_t end = std::min(whole.size(), at + page);
        std::fill(damaged.begin() + ptrdiff_t(at), damaged.begin() + ptrdiff_t(end), '\0');
        Put(number, damaged);

        const auto log = Recover();
        const Told told = rig_.Tell(*log);

        // The other segment is untouched.
        const uint64_t other = number == 1 ? second_ : 1;
        for (uint64_t n = other; n < rig_.SegmentEnd(other); ++n) {
          EXPECT_TRUE(told.records.contains(n)) << n;
        }
        if (number == second_ && end > whole.rfind(kMarkMagic)) continue;
        EXPECT_EQ(log->next_number(), rig_.last() + 1);
        EXPECT_EQ(ToldSamples(told), LostSamples(told, 1, rig_.last()));
      }
    }
    Put(number, whole);
  }
}

// ---- Whole files

// Ways to lose all records of a file that a crash left.
struct Ruin {
  const char* name;
  std::function<std::string(std::string)> of;
};
const Ruin kRuins[] = {
    {"zeroes", [](const std::string& whole) { return std::string(whole.size(), '\0'); }},
    {"zeroes behind the header",
     [](const std::string& whole) {
       return whole.substr(0, kSegmentHeaderBytes) +
              std::string(whole.size() - kSegmentHeaderBytes, '\0');
     }},
    {"zeroes behind a part of the first record",
     [](const std::string& whole) {
       return whole.substr(0, 1'000) + std::string(whole.size() - 1'000, '\0');
     }},
    {"noise",
     [](std::string whole) {
       std::mt19937 random(1);
       for (char& byte : whole) byte = static_cast<char>(random());
       return whole;
     }},
    {"a newer format",
     [](std::string whole) {
       whole[7] = '2';
       return whole;
     }},
};

// That there was a first record is certain; how many more, nobody knows.
TEST_F(DamageTest, NewestSegmentInWhichNothingCanBeReadIsTold) {
  Fill(kFull, kFull);
  const std::string whole = Content(second_);
  for (const Ruin& ruin : kRuins) {
    SCOPED_TRACE(ruin.name);
    Put(second_, ruin.of(whole));
    for (const uint64_t set_aside : {1, 0}) {  // this start, and the next
      const auto log = Recover();
      const Told told = rig_.Tell(*log);

      EXPECT_THAT(told.records, SizeIs(second_ - 1));
      ASSERT_THAT(told.holes, SizeIs(1));
      EXPECT_EQ(told.holes[0].from, second_);
      EXPECT_EQ(told.holes[0].to, second_);
      EXPECT_EQ(told.holes[0].reason, HoleReason::kDamaged);
      EXPECT_EQ(log->findings().set_aside, set_aside);
      EXPECT_EQ(log->findings().lost_bytes, set_aside * whole.size());
      ASSERT_THAT(log->findings().bad_files, SizeIs(1));
      EXPECT_EQ(log->findings().bad_files[0].number, second_);
      EXPECT_EQ(log->findings().bad_files[0].bytes, whole.size());
    }
  }
}

TEST_F(DamageTest, OnlySegmentsInWhichNothingCanBeReadAreTold) {
  for (const bool first_is_gone : {false, true}) {
    for (const Ruin& ruin : kRuins) {
      SCOPED_TRACE(absl::StrCat(ruin.name, first_is_gone ? ", one" : ", two"));
      SpoolRig rig;
      rig.Segment(12, 5'400, 4);
      const uint64_t second = rig.last() + 1;
      rig.Segment(12, 5'400, 4);
      if (first_is_gone) rig.spool->Trim(second - 1);
      rig.Crash();
      for (const uint64_t number : {uint64_t{1}, second}) {
        const auto content = rig.files.ReadFile(SegmentPath(number));
        if (content.ok()) rig.files.Put(SegmentPath(number), ruin.of(*content).substr(0, 60'000));
      }

      const auto log = rig.Recover();
      const Told told = rig.Tell(*log, first_is_gone ? second : 1);

      EXPECT_THAT(told.records, IsEmpty());
      ASSERT_THAT(told.holes, SizeIs(1));
      EXPECT_EQ(told.holes[0].to, second);
      EXPECT_EQ(told.holes[0].reason, HoleReason::kDamaged);
      EXPECT_EQ(log->next_number(), second + 1);
    }
  }
}

// The name says which numbers are missing, and the next segment how many samples were in them.
TEST_F(DamageTest, FirstSegmentInWhichNothingCanBeReadIsDamage) {
  Fill(kFull, kFull);
  const std::string whole = Content(1);
  for (const Ruin& ruin : kRuins) {
    SCOPED_TRACE(ruin.name);
    Put(1, ruin.of(whole.substr(0, 60'000)));
    const Told told = rig_.Tell(*Recover());
    ASSERT_THAT(told.holes, SizeIs(1));
    EXPECT_EQ(told.holes[0].to, second_ - 1);
    EXPECT_EQ(told.holes[0].samples, rig_.Samples(1, second_ - 1));
    EXPECT_EQ(told.holes[0].reason, HoleReason::kDamaged);
  }
}

// How many records stood there, nobody knows; that there was one is certain.
TEST_F(DamageTest, EndThatCantBeReadIsTold) {
  Fill(kSmall, kFull);
  const std::string whole = Content(second_);
  for (const uint64_t records : {1, 2, 3}) {  // behind the last keyframe
    SCOPED_TRACE(records);
    const uint64_t first = rig_.last() + 1 - records;
    ASSERT_EQ(rig_.SpanEnd(first), rig_.last() + 1);
    size_t bytes = 0;
    for (uint64_t n = first; n <= rig_.last(); ++n) {
      bytes += kEntryPrefixBytes + rig_.written(n).bytes.size();
    }
    Put(second_, whole.substr(0, whole.size() - bytes) + std::string(bytes, '\0'));

    const auto log = Recover();
    const Told told = rig_.Tell(*log);

    EXPECT_THAT(told.records, SizeIs(first - 1));
    ASSERT_THAT(told.holes, SizeIs(1));
    EXPECT_EQ(told.holes[0].from, first);
    EXPECT_EQ(told.holes[0].to, first);
    EXPECT_EQ(told.holes[0].reason, HoleReason::kDamaged);
    EXPECT_EQ(log->findings().lost_bytes, bytes);
  }
}

TEST_F(DamageTest, EndThatCantBeReadInFrontOfASegmentIsDamageToItsStart) {
  Fill(kFull, kSmall);
  std::string damaged = Content(1);
  const size_t bytes = 3 * (kEntryPrefixBytes + rig_.written(second_ - 1).bytes.size());
  damaged.replace(damaged.size() - bytes, bytes, bytes, '\0');
  Put(1, damaged);

  const Told told = rig_.Tell(*Recover());

  ASSERT_THAT(told.holes, SizeIs(1));
  EXPECT_EQ(told.holes[0].to, second_ - 1);
  EXPECT_EQ(told.holes[0].samples, rig_.Samples(told.holes[0].from, second_ - 1));
  EXPECT_EQ(told.holes[0].reason, HoleReason::kDamaged);
}

TEST_F(DamageTest, FooterThatCantBeReadHidesNoRecord) {
  rig_.Segment(12, 5'400, 4);
  rig_.Stop();
  const std::string whole = Content(1);
  const size_t bytes = FooterBytes(whole.substr(whole.size() - kSegmentTrailerBytes));
  ASSERT_GT(bytes, 0u);
  for (const size_t left : {bytes, bytes - 1, bytes / 2}) {  // of it, in zeroes
    SCOPED_TRACE(left);
    Put(1, whole.substr(0, whole.size() - bytes) + std::string(left, '\0'));

    const auto log = Recover();
    const Told told = rig_.Tell(*log);

    EXPECT_THAT(told.records, SizeIs(rig_.last()));
    EXPECT_THAT(told.holes, IsEmpty());
    EXPECT_EQ(log->findings().lost_bytes, left);
  }
}

// Somebody cut it: a file that everybody is past is removed.
TEST_F(DamageTest, FirstFileWithoutARecordIsNotTakenForDeliveredWithoutALedger) {
  Fill(kSmall, kSmall);
  ASSERT_OK(rig_.files.Remove(absl::StrCat(SpoolRig::kDirectory, "/", kLedgerFileName)));
  Put(1, "");

  const Told told = rig_.Tell(*Recover());

  ASSERT_THAT(told.holes, SizeIs(1));
  EXPECT_EQ(told.holes[0].to, second_ - 1);
  EXPECT_EQ(told.holes[0].reason, HoleReason::kNotSpooled);
}

TEST_F(DamageTest, FileOfANewerFormatIsKeptWhenItsLaneGoes) {
  Fill(kFull, kFull);
  std::string newer = Content(second_);
  newer[7] = '2';
  Put(second_, newer);
  const auto log = Recover();

  log->Trim(log->next_number() - 1);
  log->RemoveDirectory();
  rig_.syncer->Pass();

  EXPECT_THAT(FindStoredLanes(rig_.files, "/data/spool", 8), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(rig_.files.Sizes(),
              ElementsAre(Pair(absl::StrCat("/data/spool/newer-format/7-2-",
                                            SegmentFileName(second_), ".damaged"),
                               newer.size())));
}

// What is in it counts as lost, but somebody may still want it.
TEST(DamageOfFilesTest, FileThatCouldNotBeReadJustOnceIsKeptWhenItsLaneGoes) {
  for (const int operation : {1, 2, 3}) {  // behind the list: it is opened, measured, read
    SCOPED_TRACE(operation);
    SpoolRig rig;
    rig.Segment(5, 100, 2);
    const uint64_t second = rig.last() + 1;
    rig.Segment(5, 100, 2);
    rig.Crash();
    const std::string whole = *rig.files.ReadFile(SegmentPath(1));
    rig.files.FailAfter(operation, absl::PermissionDeniedError("EACCES"));
    const auto log = rig.Recover();
    const std::optional<LogHole> hole = log->HoleAt(1);
    ASSERT_TRUE(hole);
    EXPECT_EQ(hole->to, second - 1);

    log->Trim(log->next_number() - 1);
    log->RemoveDirectory();
    rig.syncer->Pass();

    EXPECT_THAT(FindStoredLanes(rig.files, "/data/spool", 8), IsOkAndHolds(IsEmpty()));
    EXPECT_THAT(rig.files.Sizes(),
                ElementsAre(Pair(absl::StrCat("/data/spool/unread/7-2-", SegmentFileName(1)),
                                 whole.size())));
  }
}

// Each is what a crash can leave of a file's beginning.
TEST_F(DamageTest, CrashBeforeTheFirstRecordIsWholeIsNoDamage) {
  Fill(kFull, kFull);
  const std::string whole = Content(second_);
  const size_t first_record = kSegmentHeaderBytes + kSegmentMarkBytes + kEntryPrefixBytes +
                              rig_.written(second_).bytes.size();
  for (size_t size = 0; size < first_record && !HasFailure(); ++size) {
    SCOPED_TRACE(size);
    Put(second_, whole.substr(0, size));
    const auto log = Recover();
    CheckTorn(*log, rig_.Tell(*log));
    EXPECT_EQ(log->next_number(), second_);
  }
}

TEST(DamageOfFilesTest, MissingSegmentIsAHoleOfTheRightSize) {
  SpoolRig three;
  three.Segment(5, 100, 2);
  const uint64_t middle = three.last() + 1;
  three.Segment(5, 100, 2);
  const uint64_t last = three.last() + 1;
  three.Segment(5, 100, 2);
  three.Crash();
  ASSERT_OK(three.files.Remove(SegmentPath(middle)));

  const auto log = three.Recover();
  const Told told = three.Tell(*log);

  ASSERT_THAT(told.holes, SizeIs(1));
  EXPECT_EQ(told.holes[0].from, middle);
  EXPECT_EQ(told.holes[0].to, last - 1);
  EXPECT_EQ(told.holes[0].samples, three.Samples(middle, last - 1));
  EXPECT_EQ(told.holes[0].reason, HoleReason::kNotSpooled);
}

TEST(DamageOfFilesTest, FirstSegmentThatIsMissingIsTakenForDeliveredOnlyIfItWas) {
  SpoolRig three;
  three.Segment(5, 100, 2);
  const uint64_t second = three.last() + 1;
  three.Segment(5, 100, 2);
  const uint64_t third = three.last() + 1;
  three.Segment(5, 100, 2);
  three.spool->Trim(second - 1);
  three.Crash();
  ASSERT_OK(three.files.Remove(SegmentPath(second)));

  const auto log = three.Recover();
  const Told told = three.Tell(*log);

  ASSERT_THAT(told.holes, SizeIs(2));
  EXPECT_EQ(told.holes[0].to, second - 1);
  EXPECT_EQ(told.holes[0].reason, HoleReason::kTrimmed);
  EXPECT_EQ(told.holes[1].to, third - 1);
  EXPECT_EQ(told.holes[1].reason, HoleReason::kNotSpooled);
}

TEST(DamageOfFilesTest, OnlyAMissingSegmentInFrontIsLost) {
  SpoolRig two;
  two.Segment(5, 100, 2);
  const uint64_t second = two.last() + 1;
  two.Segment(5, 100, 2);
  two.Crash();
  ASSERT_OK(two.files.Remove(SegmentPath(1)));

  const Told told = two.Tell(*two.Recover());

  ASSERT_THAT(told.holes, SizeIs(1));
  EXPECT_EQ(told.holes[0].to, second - 1);
  EXPECT_EQ(told.holes[0].samples, two.Samples(1, second - 1));
  EXPECT_EQ(told.holes[0].reason, HoleReason::kNotSpooled);
}

// How many records it had, nobody knows; that it had one is certain.
TEST(DamageOfFilesTest, NewestSegmentThatIsMissingIsTold) {
  for (const bool is_only : {false, true}) {
    SpoolRig rig;
    if (!is_only) rig.Segment(5, 100, 2);
    const uint64_t newest = rig.last() + 1;
    rig.Segment(5, 100, 2);
    rig.Crash();
    ASSERT_OK(rig.files.Remove(SegmentPath(newest)));

    for (const uint64_t delivered : {uint64_t{0}, newest - 1, newest - 1}) {
      const auto log = rig.Recover();
      const std::optional<LogHole> hole = log->HoleAt(newest);
      ASSERT_TRUE(hole);
      EXPECT_EQ(hole->to, newest);
      EXPECT_EQ(hole->reason, HoleReason::kNotSpooled);
      EXPECT_EQ(log->next_number(), newest + 1);
      log->Trim(delivered);  // what that writes into the ledger says it, too
      rig.syncer->Pass();
    }
  }
}

TEST(DamageOfFilesTest, NewestSegmentThatCantBeOpenedIsTold) {
  for (const bool is_directory : {false, true}) {
    SCOPED_TRACE(is_directory ? "a directory" : "nothing but its name");
    SpoolRig rig;
    rig.Segment(5, 100, 2);
    const uint64_t newest = rig.last() + 1;
    rig.Segment(5, 100, 2);
    rig.Crash();
    if (is_directory) {
      ASSERT_OK(rig.files.Remove(SegmentPath(newest)));
      ASSERT_OK(rig.files.CreateDirectory(SegmentPath(newest)));
    } else {
      rig.files.Put(SegmentPath(newest), std::string(10, '\0'));
    }

    const auto log = rig.Recover();

    EXPECT_EQ(log->next_number(), newest + 1);
    const std::optional<LogHole> hole = log->HoleAt(newest);
    ASSERT_TRUE(hole);
    EXPECT_EQ(hole->to, newest);
    EXPECT_EQ(hole->reason, HoleReason::kDamaged);
  }
}

// The ledger knows the newest file, however many numbers are missing in front of it.
TEST(DamageOfFilesTest, NewestSegmentThatIsZeroedBehindOneThatIsMissingIsTold) {
  SpoolRig rig;
  rig.Segment(5, 100, 2);
  const uint64_t second = rig.last() + 1;
  rig.Segment(5, 100, 2);
  const uint64_t third = rig.last() + 1;
  rig.Segment(5, 100, 2);
  rig.Crash();
  ASSERT_OK(rig.files.Remove(SegmentPath(second)));
  rig.files.Put(SegmentPath(third), std::string(2'000, '\0'));

  const Told told = rig.Tell(*rig.Recover());

  ASSERT_THAT(told.holes, SizeIs(1));
  EXPECT_EQ(told.holes[0].from, second);
  EXPECT_EQ(told.holes[0].to, third);
  EXPECT_EQ(told.holes[0].reason, HoleReason::kDamaged);
}

TEST(DamageOfFilesTest, SegmentsThatWereDeliveredMayBeGone) {
  SpoolRig rig;
  rig.Segment(5, 100, 2);
  rig.Segment(5, 100, 2);
  rig.Crash();
  rig.Recover()->Trim(rig.last());
  rig.syncer->Pass();
  ASSERT_THAT(rig.files.List(SpoolRig::kDirectory), IsOkAndHolds(ElementsAre("gaps")));

  const auto log = rig.Recover();

  EXPECT_EQ(log->next_number(), rig.last() + 1);
  const Told told = rig.Tell(*log);
  ASSERT_THAT(told.holes, SizeIs(1));
  EXPECT_EQ(told.holes[0].reason, HoleReason::kTrimmed);
}

// What the disk did not take was sent from memory.
TEST(DamageOfFilesTest, WhatWasDeliveredIsNoLossWhateverIsOnTheDisk) {
  for (int n = 0; n < 20; ++n) {
    SCOPED_TRACE(n);
    SpoolRig rig;
    rig.Segment(2, 100, 2);
    rig.files.FailAfter(n, absl::ResourceExhaustedError("no space left on device"), 5);
    rig.Segment(2, 100, 2);
    rig.Segment(2, 100, 2);
    rig.files.FailAfter(-1, absl::OkStatus());
    rig.spool->Trim(rig.last());
    rig.Crash();

    const Told told = rig.Tell(*rig.Recover());
    for (const LogHole& hole : told.holes) {
      EXPECT_EQ(hole.reason, HoleReason::kTrimmed) << hole.from;
    }
  }
}

TEST(DamageOfFilesTest, WhatALaterRunDeliversIsNoHoleOfTheRunAfterIt) {
  SpoolRig two;
  two.Segment(5, 100, 2);
  const uint64_t second = two.last() + 1;
  two.Segment(5, 100, 2);
  two.Crash();
  const auto log = two.Recover();
  log->Trim(second - 1);
  EXPECT_EQ(log->HoleAt(1)->reason, HoleReason::kTrimmed);
  two.syncer->Pass();

  const Told told = two.Tell(*two.Recover());

  ASSERT_THAT(told.holes, SizeIs(1));
  EXPECT_EQ(told.holes[0].to, second - 1);
  EXPECT_EQ(told.holes[0].reason, HoleReason::kTrimmed);
}

TEST_F(DamageTest, SwappedFilesAreReadAsTheirHeadersSay) {
  Fill(kFull, kFull);
  const std::string first = Content(1);
  const std::string second = Content(second_);
  rig_.files.Put(SegmentPath(1), second);
  rig_.files.Put(SegmentPath(second_), first);

  const auto log = rig_.Recover();

  const Told told = rig_.Tell(*log);
  EXPECT_THAT(told.records, SizeIs(rig_.last()));
  EXPECT_THAT(told.holes, IsEmpty());
}

TEST_F(DamageTest, DuplicateIsSetAside) {
  Fill(kFull, kFull);
  rig_.files.Put(SegmentPath(second_ + 5'000), Content(1));

  const auto log = rig_.Recover();

  EXPECT_THAT(rig_.Tell(*log).records, SizeIs(rig_.last()));
  EXPECT_EQ(log->findings().set_aside, 1u);
}

TEST_F(DamageTest, ForeignAndFutureSegmentsAreSetAsideAndTheNextStartIsQuiet) {
  Fill(kFull, kFull);
  Spool::Options options = SpoolRig::DefaultOptions();
  options.identity.writer_id = "ffffffffffffffffffffffffffffffff";
  SpoolRig foreign(options);
  foreign.Segment(5, 100, 2);
  foreign.Crash();
  rig_.files.Put(SegmentPath(9'000), *foreign.files.ReadFile(SegmentPath(1)));
  std::string future = Content(1);
  future[7] = '2';
  rig_.files.Put(SegmentPath(1), future);
  rig_.files.Put(SegmentPath(9'001), "no segment at all");
  rig_.files.Put(absl::StrCat(SpoolRig::kDirectory, "/letter.txt"), "of somebody's");

  for (const uint64_t set_aside : {3, 0}) {
    const auto log = rig_.Recover();
    EXPECT_EQ(log->findings().set_aside, set_aside);
    const Told told = rig_.Tell(*log);
    EXPECT_THAT(told.records, SizeIs(rig_.last() + 1 - second_));
    ASSERT_THAT(told.holes, SizeIs(1));
    EXPECT_EQ(told.holes[0].to, second_ - 1);
    EXPECT_EQ(told.holes[0].samples, rig_.Samples(1, second_ - 1));
    EXPECT_EQ(told.holes[0].reason, HoleReason::kDamaged);
  }
}

TEST_F(DamageTest, DamageUnderTheRunningSpoolIsFoundAndTold) {
  rig_.Segment(2'000, 1'000, 100);  // more than the blocks in memory
  rig_.Segment(10, 1'000, 100);
  std::string content = Content(1);
  content[400'000] = static_cast<char>(content[400'000] ^ 1);
  rig_.files.Put(SegmentPath(1), content);

  const Told told = rig_.Tell(*rig_.spool);

  ASSERT_THAT(told.holes, SizeIs(1));
  EXPECT_EQ(told.holes[0].reason, HoleReason::kDamaged);
  EXPECT_EQ(told.holes[0].samples, rig_.Samples(told.holes[0].from, told.holes[0].to));
  EXPECT_EQ(told.holes[0].to + 1, rig_.SpanEnd(told.holes[0].from));
}

}  // namespace
}  // namespace trawl

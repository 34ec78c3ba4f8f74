// What damage on the disk costs: what stands between the keyframes around it, or, where it hits a
// D record, what stands up to the segment's end. All of it is told and counted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "core/append/record.h"
#include "core/base/file_system.h"
#include "tests/core/spool/spool_rig.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::IsEmpty;
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
    if (samples_are_known) {
      EXPECT_EQ(log->next_number(), rig_.last() + 1);
      EXPECT_EQ(ToldSamples(told), LostSamples(told, 1, rig_.last()));
    }
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
    if (number == second_) return;
    EXPECT_EQ(log->next_number(), rig_.last() + 1);
    EXPECT_TRUE(told.holes.empty() || told.holes[0].reason != HoleReason::kTrimmed);
    EXPECT_EQ(ToldSamples(told), LostSamples(told, 1, second_ - 1));
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
    FlipBytes(number, 0, 1);
    CutAtBytes(number, 0, 1);
    const std::string whole = Content(number);
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

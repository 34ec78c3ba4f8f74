// What damage on the disk costs: what stands between the keyframes around it, or, where it hits a
// D record, what stands up to the segment's end. All of it is told and counted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/core/spool/spool_rig.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string SegmentPath(uint64_t number) {
  return absl::StrCat(SpoolRig::kDirectory, "/", SegmentFileName(number));
}

// Two segments of about 64 KiB in the long form of the tests, else of a few KiB; the second one
// without a footer.
class DamageTest : public ::testing::Test {
 protected:
  void Fill() {
    const int scrapes = LongTests() ? 40 : 20;
    const size_t bytes = LongTests() ? 1'500 : 60;
    rig_.Segment(scrapes, bytes, 8);
    second_ = rig_.last() + 1;
    rig_.Segment(scrapes, bytes, 8);
    rig_.Crash();
  }
  std::string Content(uint64_t number) { return *rig_.files.ReadFile(SegmentPath(number)); }

  // Tells the log with this content of a file, and checks what is lost: nothing outside of one
  // span, or from a D record to its segment's end; and all numbers are told, but at the end of a
  // file that was never ended.
  void CheckDamaged(uint64_t number, const std::string& content, const std::string& what) {
    SCOPED_TRACE(what);
    rig_.files.Put(SegmentPath(number), content);
    const auto log = rig_.Recover();
    ASSERT_NE(log, nullptr);
    const Told told = rig_.Tell(*log);
    uint64_t lowest = 0;
    uint64_t lost_samples = 0;
    uint64_t told_samples = 0;
    for (const LogHole& hole : told.holes) {
      EXPECT_TRUE(hole.reason == HoleReason::kDamaged || hole.reason == HoleReason::kNotSpooled);
      told_samples += hole.samples;
    }
    for (uint64_t n = 1; n <= rig_.last(); ++n) {
      if (told.records.contains(n)) continue;
      if (n < log->next_number()) lost_samples += rig_.written(n).samples;
      if (lowest == 0) lowest = n;
      const bool dictionary = rig_.written(lowest).kind == RecordKind::kDictionary;
      EXPECT_LT(n, dictionary ? rig_.SegmentEnd(lowest) : rig_.SpanEnd(lowest)) << lowest;
    }
    // Only at the end of a log that nobody ended it may be unknown what there was.
    if (log->next_number() == rig_.last() + 1 && number != second_) {
      EXPECT_EQ(told_samples, lost_samples);
    }
    EXPECT_GE(log->next_number(), rig_.SegmentEnd(1));
  }

  SpoolRig rig_;
  uint64_t second_ = 0;
};

TEST_F(DamageTest, BitFlippedAnywhereCostsNoMoreThanItsSpan) {
  Fill();
  for (const uint64_t number : {uint64_t{1}, second_}) {
    const std::string whole = Content(number);
    for (size_t i = 0; i < whole.size(); ++i) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << i % 8));
      CheckDamaged(number, damaged, absl::StrCat("segment ", number, ", byte ", i));
      if (HasFatalFailure() || HasNonfatalFailure()) return;
    }
    rig_.files.Put(SegmentPath(number), whole);
  }
}

TEST_F(DamageTest, FileCutAnywhereLosesWhatStoodBehind) {
  Fill();
  for (const uint64_t number : {uint64_t{1}, second_}) {
    const std::string whole = Content(number);
    for (size_t i = 0; i < whole.size(); ++i) {
      SCOPED_TRACE(absl::StrCat("segment ", number, ", cut at ", i));
      rig_.files.Put(SegmentPath(number), whole.substr(0, i));
      const auto log = rig_.Recover();
      const Told told = rig_.Tell(*log);
      // All records that are whole in the file are read.
      size_t end = kSegmentHeaderBytes + kSegmentMarkBytes;
      for (uint64_t n = number; n < rig_.SegmentEnd(number); ++n) {
        if (n > number && rig_.written(n).keyframe) end += kSegmentMarkBytes;
        end += kEntryPrefixBytes + rig_.written(n).bytes.size();
        EXPECT_EQ(told.records.contains(n), end <= i) << n;
      }
      if (number == 1) {
        // The next segment's header says how many there were.
        uint64_t samples = 0;
        for (const LogHole& hole : told.holes) samples += hole.samples;
        uint64_t lost = 0;
        for (uint64_t n = 1; n < second_; ++n) {
          if (!told.records.contains(n)) lost += rig_.written(n).samples;
        }
        EXPECT_EQ(log->next_number(), rig_.last() + 1);
        EXPECT_TRUE(told.holes.empty() || told.holes[0].reason != HoleReason::kTrimmed || i < 128);
        if (i >= kSegmentHeaderBytes + kSegmentMarkBytes) {
          EXPECT_EQ(samples, lost);
        }
      }
      if (HasFatalFailure() || HasNonfatalFailure()) return;
    }
    rig_.files.Put(SegmentPath(number), whole);
  }
}

TEST_F(DamageTest, ZeroedPagesCostNoMoreThanTheirSpans) {
  Fill();
  const std::string whole = Content(1);
  const size_t page = LongTests() ? 4096 : 128;
  for (size_t at = 0; at < whole.size(); at += page) {
    std::string damaged = whole;
    for (size_t i = at; i < std::min(whole.size(), at + page); ++i) damaged[i] = '\0';
    rig_.files.Put(SegmentPath(1), damaged);

    const auto log = rig_.Recover();
    const Told told = rig_.Tell(*log);

    EXPECT_EQ(log->next_number(), rig_.last() + 1);
    uint64_t samples = 0;
    for (const LogHole& hole : told.holes) samples += hole.samples;
    uint64_t lost = 0;
    for (uint64_t n = 1; n <= rig_.last(); ++n) {
      if (!told.records.contains(n)) lost += rig_.written(n).samples;
    }
    EXPECT_EQ(samples, lost) << at;
    // The other segment is untouched.
    for (uint64_t n = second_; n <= rig_.last(); ++n) EXPECT_TRUE(told.records.contains(n)) << n;
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
  Fill();
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
  Fill();
  rig_.files.Put(SegmentPath(second_ + 5'000), Content(1));

  const auto log = rig_.Recover();

  EXPECT_THAT(rig_.Tell(*log).records, SizeIs(rig_.last()));
  EXPECT_EQ(log->findings().set_aside, 1u);
}

TEST_F(DamageTest, ForeignAndFutureSegmentsAreSetAsideAndTheNextStartIsQuiet) {
  Fill();
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

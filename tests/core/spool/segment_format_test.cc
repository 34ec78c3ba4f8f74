#include "core/spool/segment_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "absl/strings/escaping.h"
#include "core/append/record.h"
#include "core/spool/gap_ledger.h"
#include "core/spool/record_block.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

const SpoolIdentity kIdentity{"0123456789abcdef0123456789abcdef", 1700000000000, 0};

// The bytes of FORMAT.md, which were made by another program.
TEST(SegmentFormatTest, ExampleOfTheFormatDocument) {
  const uint32_t identity = kIdentity.Checksum();
  EXPECT_EQ(identity, 0x63829acbu);
  std::string file = EncodeSegmentHeader({kIdentity, 1, 0, 1700000000123});
  file += EncodeMark({true, false, 1, 0, 0, 1700000000123}, identity);
  RecordBlock block(1);
  for (const auto& [kind, payload, count] :
       {std::tuple(RecordKind::kDictionary, "D", 0u), std::tuple(RecordKind::kScrape, "S", 3u)}) {
    std::string record;
    AppendRecord(kind, payload, record);
    block.Append(count, record);
  }
  file += block.bytes();
  SegmentIndex index;
  index.blocks = {{1, 0, 124, 0, true}};
  index.end_number = 3;
  index.end_samples = 3;
  index.end_dictionaries = 1;
  index.end_offset = 152;
  index.time_ms = 1700000000123;
  file += EncodeFooter(index, identity);

  EXPECT_EQ(absl::BytesToHexString(file),
            "747261776c736731"
            "3031323334353637383961626364656630313233343536373839616263646566"
            "0068e5cf8b010000"
            "00000000"
            "00000000"
            "0100000000000000"
            "0000000000000000"
            "7b68e5cf8b010000"
            "1cf246ac"
            "f5746d6b01000000010000000000000000000000000000000000"
            "00007b68e5cf8b01000099c87c50"
            "0000000001000000014705592d44"
            "0300000001000000025a0e2add53"
            "f5746d6b02000000030000000000000003000000000000000100"
            "00007b68e5cf8b010000aa15e53f"
            "010000000000000000000000000000007c0000000000000001000000"
            "0100000098000000c77f7d5e747261776c697831");
  LostRanges lost;
  lost.Add({1, 43, 0, 4711, HoleReason::kCap, {}});
  EXPECT_EQ(absl::BytesToHexString(EncodeLedgerPage(lost, 1, identity).substr(0, 60)),
            "747261776c677031010000000000000001000000"
            "01000000000000002b000000000000000000000000000000671200000000000001000000"
            "8a813b9a");
}

TEST(SegmentFormatTest, HeaderComesBack) {
  const SegmentHeader header{kIdentity, 42, 4711, 1700000000123};
  const std::string bytes = EncodeSegmentHeader(header);
  ASSERT_EQ(bytes.size(), kSegmentHeaderBytes);

  ASSERT_OK_AND_ASSIGN(const SegmentHeader read, DecodeSegmentHeader(bytes));

  EXPECT_EQ(read.identity.Checksum(), kIdentity.Checksum());
  EXPECT_EQ(read.first_number, 42u);
  EXPECT_EQ(read.samples, 4711u);
  EXPECT_EQ(read.time_ms, 1700000000123);
}

TEST(SegmentFormatTest, HeaderOfANewerFormatIsToldFromADamagedOne) {
  std::string bytes = EncodeSegmentHeader({kIdentity, 42, 4711, 1});
  std::string newer = bytes;
  newer[7] = '2';
  EXPECT_THAT(DecodeSegmentHeader(newer), StatusIs(absl::StatusCode::kFailedPrecondition));
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x40);
    EXPECT_THAT(DecodeSegmentHeader(damaged), StatusIs(absl::StatusCode::kDataLoss)) << i;
    EXPECT_THAT(DecodeSegmentHeader(bytes.substr(0, i)), StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(SegmentFormatTest, MarkIsOneOnlyForItsOwner) {
  const std::string bytes = EncodeMark({true, false, 7, 9, 3, 1700000000123}, kIdentity.Checksum());
  ASSERT_EQ(bytes.size(), kSegmentMarkBytes);
  SegmentMark mark;

  ASSERT_TRUE(DecodeMark(bytes, kIdentity.Checksum(), mark));
  EXPECT_TRUE(mark.keyframe);
  EXPECT_FALSE(mark.end);
  EXPECT_EQ(mark.number, 7u);
  EXPECT_EQ(mark.samples, 9u);
  EXPECT_EQ(mark.dictionaries, 3u);
  EXPECT_EQ(mark.time_ms, 1700000000123);
  SpoolIdentity other = kIdentity;
  other.lane = 1;
  EXPECT_FALSE(DecodeMark(bytes, other.Checksum(), mark));
  EXPECT_FALSE(DecodeMark(bytes.substr(0, kSegmentMarkBytes - 1), kIdentity.Checksum(), mark));
}

TEST(SegmentFormatTest, FooterComesBackAndIsBoundToItsFile) {
  SegmentIndex index;
  index.blocks = {{1, 0, 124, 0, true}, {30, 500, 66'000, 1, false}};
  index.end_number = 41;
  index.end_samples = 700;
  index.end_dictionaries = 2;
  index.end_offset = 90'000;
  index.time_ms = 5;
  const std::string footer = EncodeFooter(index, kIdentity.Checksum());
  const uint64_t file_bytes = 90'000 + footer.size();
  ASSERT_EQ(FooterBytes(footer.substr(footer.size() - kSegmentTrailerBytes)), footer.size());

  ASSERT_OK_AND_ASSIGN(const SegmentIndex read,
                       DecodeFooter(footer, file_bytes, kIdentity.Checksum()));

  EXPECT_EQ(read.end_number, 41u);
  EXPECT_EQ(read.end_samples, 700u);
  EXPECT_EQ(read.end_dictionaries, 2u);
  ASSERT_EQ(read.blocks.size(), 2u);
  EXPECT_EQ(read.blocks[1].number, 30u);
  EXPECT_EQ(read.blocks[1].offset, 66'000u);
  EXPECT_TRUE(read.blocks[0].keyframe);
  EXPECT_FALSE(read.blocks[1].keyframe);
  EXPECT_THAT(DecodeFooter(footer, file_bytes + 1, kIdentity.Checksum()),
              StatusIs(absl::StatusCode::kDataLoss));
  for (size_t i = 0; i < footer.size(); ++i) {
    std::string damaged = footer;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_FALSE(DecodeFooter(damaged, file_bytes, kIdentity.Checksum()).ok()) << i;
  }
}

TEST(SegmentFormatTest, FooterThatSaysWhatCannotBeIsNone) {
  SegmentIndex good;
  good.blocks = {{1, 0, 124, 0, true}, {30, 500, 66'000, 1, false}};
  good.end_number = 41;
  good.end_offset = 90'000;
  const auto decode = [](const SegmentIndex& index) {
    const std::string footer = EncodeFooter(index, kIdentity.Checksum());
    return DecodeFooter(footer, index.end_offset + footer.size(), kIdentity.Checksum()).status();
  };
  ASSERT_OK(decode(good));
  const auto is_damage = StatusIs(absl::StatusCode::kDataLoss);

  SegmentIndex many = good;
  many.end_number = uint64_t{1} << 60;
  EXPECT_THAT(decode(many), is_damage);
  SegmentIndex numbers_go_back = good;
  numbers_go_back.blocks[1].number = 0;
  EXPECT_THAT(decode(numbers_go_back), is_damage);
  SegmentIndex places_go_back = good;
  places_go_back.blocks[1].offset = 150;
  EXPECT_THAT(decode(places_go_back), is_damage);
  SegmentIndex beyond_the_end = good;
  beyond_the_end.blocks[1].offset = 90'001;
  EXPECT_THAT(decode(beyond_the_end), is_damage);
  SegmentIndex in_the_header = good;
  in_the_header.blocks[0].offset = 50;
  EXPECT_THAT(decode(in_the_header), is_damage);
}

TEST(SegmentFormatTest, NamesAreThoseOfSegmentsOnly) {
  EXPECT_EQ(SegmentFileName(42), "00000000000000000042.segment");
  EXPECT_EQ(ParseSegmentFileName("00000000000000000042.segment"), 42u);
  for (const char* name : {"42.segment", "gaps", "00000000000000000042.segment.damaged",
                           "0000000000000000004x.segment", ".segment", ""}) {
    EXPECT_EQ(ParseSegmentFileName(name), 0u) << name;
  }
}

TEST(GapLedgerTest, NewestWholePageCounts) {
  MemFileSystem files;
  ASSERT_OK(files.CreateDirectory("/d"));
  ASSERT_OK(CreateLedger(files, "/d/gaps"));
  EXPECT_TRUE(ReadLedger(files, "/d/gaps", 1).lost.empty());
  LostRanges lost;
  lost.Add({5, 9, 100, 150, HoleReason::kCap, {}});
  ASSERT_OK(WriteLedgerPage(files, "/d/gaps", 1, EncodeLedgerPage(lost, 1, 1)));
  lost.Add({9, 20, 150, 180, HoleReason::kAge, {}});
  ASSERT_OK(WriteLedgerPage(files, "/d/gaps", 2, EncodeLedgerPage(lost, 2, 1)));

  Ledger ledger = ReadLedger(files, "/d/gaps", 1);
  EXPECT_EQ(ledger.generation, 2u);
  ASSERT_EQ(ledger.lost.ranges().size(), 2u);
  EXPECT_EQ(ledger.lost.Find(19)->reason, HoleReason::kAge);
  EXPECT_EQ(ledger.lost.Find(5)->samples_end, 150u);

  // The next page is torn: the one before still stands.
  ASSERT_OK(WriteLedgerPage(files, "/d/gaps", 3, EncodeLedgerPage(lost, 3, 1).substr(0, 50)));
  EXPECT_EQ(ReadLedger(files, "/d/gaps", 1).generation, 2u);
  EXPECT_EQ(ReadLedger(files, "/d/gaps", 2).generation, 0u);  // another lane's

  EXPECT_FALSE(ReadLedger(files, "/d/gaps", 1).progress.delivered);
  const LaneProgress progress{.delivered = 4, .newest_file = 9};
  ASSERT_OK(WriteLedgerPage(files, "/d/gaps", 3, EncodeLedgerPage(lost, 3, 1, progress)));
  ledger = ReadLedger(files, "/d/gaps", 1);
  EXPECT_EQ(ledger.progress.delivered, 4u);
  EXPECT_EQ(ledger.progress.newest_file, 9u);
  EXPECT_EQ(ledger.lost.ranges().size(), 2u);
}

}  // namespace
}  // namespace trawl

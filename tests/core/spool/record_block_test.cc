#include "core/spool/record_block.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "core/append/record.h"
#include "core/spool/segment_format.h"

namespace trawl {
namespace {

// A block with a D record and three S records, and 40 bytes of zeroes in front of the third.
std::string BlockWithAGap() {
  std::string bytes;
  for (int n = 1; n <= 4; ++n) {
    if (n == 3) bytes.append(kSegmentMarkBytes, '\0');
    std::string record;
    AppendRecord(n == 1 ? RecordKind::kDictionary : RecordKind::kScrape, absl::StrCat("record ", n),
                 record);
    AppendEntry(1, record, bytes);
  }
  return bytes;
}

RecordBlock Parse(uint64_t count, uint32_t dictionaries) {
  SegmentBlock block;
  block.number = 1;
  return RecordBlock::Parse(block, count, dictionaries, BlockWithAGap());
}

TEST(RecordBlockTest, GapIsNoDamageWhereAllRecordsAreThere) {
  const RecordBlock block = Parse(4, 1);
  EXPECT_FALSE(block.damaged());
  EXPECT_FALSE(block.lost(4));
}

TEST(RecordBlockTest, GapIsDamageWhereOneIsMissing) {
  const RecordBlock block = Parse(5, 1);
  EXPECT_EQ(block.first_lost(), 3u);
  EXPECT_TRUE(block.lost(3));
  EXPECT_FALSE(block.lost(4));
  EXPECT_FALSE(block.lost_dictionary());
}

// Of a block whose records were counted in the damaged file, nobody knows the D records.
TEST(RecordBlockTest, GapIsDamageWhateverTheNumberWhereDRecordsMayBeMissing) {
  for (const uint64_t count : {4, 5}) {
    const RecordBlock block = Parse(count, UINT32_MAX);
    EXPECT_EQ(block.first_lost(), 3u) << count;
    EXPECT_TRUE(block.lost_dictionary()) << count;
  }
}

}  // namespace
}  // namespace trawl

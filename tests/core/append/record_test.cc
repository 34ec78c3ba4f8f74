#include "core/append/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/append/sample_bitmap.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

TEST(RecordTest, ReadsBackWhatWasFramed) {
  std::string log;
  AppendRecord(RecordKind::kDictionary, "first", log);
  AppendRecord(RecordKind::kScrape, "", log);

  const absl::StatusOr<RecordView> first = ParseRecord(log);
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->kind, RecordKind::kDictionary);
  EXPECT_EQ(first->payload, "first");
  EXPECT_EQ(first->size, kRecordHeaderBytes + 5);
  const absl::StatusOr<RecordView> second = ParseRecord(std::string_view(log).substr(first->size));
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(second->kind, RecordKind::kScrape);
  EXPECT_EQ(second->payload, "");
}

TEST(RecordTest, FrameIsAsTheFormatSays) {
  std::string record;
  AppendRecord(RecordKind::kScrape, "abc", record);

  EXPECT_EQ(record.substr(0, 5), std::string("\x03\x00\x00\x00\x02", 5));
  EXPECT_EQ(record.substr(kRecordHeaderBytes), "abc");
}

TEST(RecordTest, EveryFlippedBitIsNoticed) {
  std::string record;
  AppendRecord(RecordKind::kScrape, "payload", record);

  for (size_t bit = 0; bit < record.size() * 8; ++bit) {
    std::string damaged = record;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_THAT(ParseRecord(damaged), StatusIs(absl::StatusCode::kDataLoss)) << bit;
  }
}

TEST(RecordTest, EveryCutIsNoticed) {
  std::string record;
  AppendRecord(RecordKind::kScrape, "payload", record);

  for (size_t size = 0; size < record.size(); ++size) {
    EXPECT_THAT(ParseRecord(std::string_view(record).substr(0, size)),
                StatusIs(absl::StatusCode::kDataLoss))
        << size;
  }
}

TEST(SampleBitmapTest, ZeroBytesAtTheEndAreLeftOut) {
  const std::vector<uint64_t> words = {0x8001, 0};
  std::string bytes;

  BitWordsToBytes(words, bytes);

  EXPECT_EQ(bytes, "\x01\x80");
}

TEST(SampleBitmapTest, RoundTrips) {
  const std::vector<uint64_t> words = {0x123456789abcdef0, 0x5};
  std::string bytes;
  BitWordsToBytes(words, bytes);

  std::vector<uint64_t> back;
  ASSERT_TRUE(BitWordsFromBytes(bytes, 67, back));

  EXPECT_EQ(back, words);
  EXPECT_TRUE(BitIsSet(back, 66));
  EXPECT_FALSE(BitIsSet(back, 65));
  EXPECT_FALSE(BitIsSet(back, 1'000));
}

TEST(SampleBitmapTest, BitsBehindTheLayoutAreRefused) {
  std::vector<uint64_t> words;

  EXPECT_TRUE(BitWordsFromBytes("\x04", 3, words));
  EXPECT_FALSE(BitWordsFromBytes("\x04", 2, words));
  EXPECT_TRUE(BitWordsFromBytes(std::string(100, '\0'), 2, words));
  EXPECT_TRUE(words.empty());
}

}  // namespace
}  // namespace trawl

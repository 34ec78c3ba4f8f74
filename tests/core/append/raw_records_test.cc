#include "core/append/raw_records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "absl/strings/str_cat.h"
#include "core/append/record.h"
#include "core/append/record_decoder.h"
#include "core/append/record_encoder.h"
#include "tests/core/append/page_source.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

LogRecord RecordOf(uint64_t number, RecordKind kind, std::string_view bytes) {
  LogRecord record;
  record.number = number;
  record.kind = kind;
  record.bytes = bytes;
  return record;
}

// Rows of the scrapes that are shown, each of which must be in raw columns.
class RawVisitor final : public RecordDecoder::Visitor {
 public:
  void OnScrape(const DecodedScrape& scrape) override {
    rows = RowsOf(scrape);
    EXPECT_TRUE(scrape.message->control().empty());
    EXPECT_TRUE(scrape.message->integers().empty());
    EXPECT_TRUE(scrape.message->escapes().empty());
  }
  Rows rows;
};

TEST(RawRecordsTest, SaysTheSameInRawColumnsOverPatchesKeyframesAndSegments) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    KeyTable table;
    std::mt19937_64 random(seed);
    std::vector<std::unique_ptr<PageSource>> pages;
    for (int i = 0; i < 3; ++i) {
      pages.push_back(std::make_unique<PageSource>(table, absl::StrCat("host", i), random()));
    }
    RecordEncoder encoder;
    RecordEncoder::Encoded encoded;
    RawRecords raw;
    RecordDecoder decoder(RecordDecoder::Options{});
    RawVisitor visitor;
    const auto take = [&](RecordKind kind, const std::string& bytes) {
      const uint64_t number = decoder.next_number();
      const auto rewritten = raw.Rewrite(RecordOf(number, kind, bytes));
      ASSERT_THAT(rewritten, IsOk());
      ASSERT_THAT(decoder.DecodeRecord(number, *rewritten, visitor), IsOk());
    };
    for (int scrape = 0; scrape < 200; ++scrape) {
      PageSource& page = *pages[random() % pages.size()];
      if (encoder.needs_segment() || random() % 40 == 0) encoder.BeginSegment({}, "");
      if (random() % 10 == 0) encoder.BeginKeyframe();
      const bool gone = random() % 20 == 0;
      ASSERT_THAT(encoder.Encode(gone ? page.Gone() : page.NextScrape(), encoded), IsOk());

      for (const std::string& record : encoded.dictionary) take(RecordKind::kDictionary, record);
      take(RecordKind::kScrape, encoded.scrape);

      ASSERT_EQ(visitor.rows, page.ExpectedRows({})) << "scrape " << scrape;
    }
  }
}

TEST(RawRecordsTest, RecordsThatAreOnlyFollowedKeepTheState) {
  KeyTable table;
  PageSource page(table, "host", 4);
  RecordEncoder encoder;
  encoder.BeginSegment({}, "");
  RecordEncoder::Encoded encoded;
  RawRecords raw;
  uint64_t number = 0;
  RecordDecoder decoder(RecordDecoder::Options{});
  RawVisitor visitor;
  for (int scrape = 0; scrape < 50; ++scrape) {
    ASSERT_THAT(encoder.Encode(page.NextScrape(), encoded), IsOk());
    for (const std::string& bytes : encoded.dictionary) {
      ASSERT_THAT(raw.Follow(RecordOf(++number, RecordKind::kDictionary, bytes)), IsOk());
      ASSERT_THAT(decoder.DecodeRecord(decoder.next_number(), bytes, visitor), IsOk());
    }
    const LogRecord record = RecordOf(++number, RecordKind::kScrape, encoded.scrape);
    if (scrape % 5 != 4) {
      ASSERT_THAT(raw.Follow(record), IsOk());
      continue;
    }
    const auto rewritten = raw.Rewrite(record);
    ASSERT_THAT(rewritten, IsOk());
    // A decoder that never saw the values before reads it.
    ASSERT_THAT(decoder.DecodeRecord(decoder.next_number(), *rewritten, visitor), IsOk());
    EXPECT_EQ(visitor.rows, page.ExpectedRows({}));
  }
}

std::string Dictionary(uint64_t first_layout, uint64_t base, std::vector<int32_t> patch) {
  storage::v1::Dictionary dictionary;
  dictionary.set_first_layout(first_layout);
  storage::v1::LayoutDef& def = *dictionary.add_layouts();
  def.set_base(base);
  for (const int32_t step : patch) def.add_patch(step);
  if (base == 0) def.mutable_keys()->Resize(3, 1);
  std::string bytes;
  AppendRecord(RecordKind::kDictionary, dictionary.SerializeAsString(), bytes);
  return bytes;
}

TEST(RawRecordsTest, WhatNoLaneWritesIsAnErrorAndNoCrash) {
  const std::string good = Dictionary(1, 0, {});
  const auto after_good = [&good](RecordKind kind, const std::string& bytes) {
    RawRecords raw;
    EXPECT_THAT(raw.Follow(RecordOf(1, RecordKind::kDictionary, good)), IsOk());
    return raw.Follow(RecordOf(2, kind, bytes));
  };
  const auto is_damage = StatusIs(absl::StatusCode::kDataLoss);

  EXPECT_THAT(after_good(RecordKind::kDictionary, Dictionary(2, 1, {3})), IsOk());
  EXPECT_THAT(after_good(RecordKind::kDictionary, Dictionary(3, 1, {3})), is_damage);
  EXPECT_THAT(after_good(RecordKind::kDictionary, Dictionary(2, 7, {3})), is_damage);
  EXPECT_THAT(after_good(RecordKind::kDictionary, Dictionary(2, 1, {4})), is_damage);
  EXPECT_THAT(after_good(RecordKind::kDictionary, Dictionary(2, 1, {2, -2})), is_damage);
  EXPECT_THAT(after_good(RecordKind::kDictionary, Dictionary(2, 1, {3, 0})), is_damage);
  EXPECT_THAT(after_good(RecordKind::kDictionary, Dictionary(2, 1, {3, 0, -1})), is_damage);
  std::string scrape;
  AppendRecord(RecordKind::kScrape, storage::v1::Scrape().SerializeAsString(), scrape);
  EXPECT_THAT(after_good(RecordKind::kScrape, scrape), is_damage);  // layout 0
  EXPECT_THAT(after_good(RecordKind::kScrape, scrape.substr(1)), is_damage);
}

}  // namespace
}  // namespace trawl

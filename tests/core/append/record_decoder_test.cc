#include "core/append/record_decoder.h"

#include <gmock/gmock.h>
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/append/record.h"
#include "core/append/record_encoder.h"
#include "tests/core/append/page_source.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class RowVisitor final : public RecordDecoder::Visitor {
 public:
  void OnScrape(const DecodedScrape& scrape) override {
    numbers.push_back(scrape.number);
    rows.push_back(RowsOf(scrape));
    samples.push_back(scrape.samples);
    layouts.push_back(scrape.layout->uid);
  }
  void OnLayoutReplaced(const DecodedLayout& gone, const DecodedLayout& by) override {
    replaced.emplace_back(gone.uid, by.uid);
  }
  void OnSegment(const DecodedSegment& segment) override { segments.push_back(segment.uid); }

  std::vector<uint64_t> numbers;
  std::vector<Rows> rows;
  std::vector<uint64_t> samples;
  std::vector<uint64_t> layouts;
  std::vector<std::pair<uint64_t, uint64_t>> replaced;
  std::vector<uint64_t> segments;
};

storage::v1::Records Message(uint64_t first, const std::vector<std::string>& records) {
  storage::v1::Records message;
  message.set_first_number(first);
  message.set_count(static_cast<uint32_t>(records.size()));
  for (const std::string& record : records) message.mutable_body()->append(record);
  return message;
}

// One segment of one scrape of `page`: its records.
std::vector<std::string> OneScrape(PageSource& page, const Labels& external = {}) {
  RecordEncoder encoder;
  encoder.BeginSegment(external, "");
  RecordEncoder::Encoded encoded;
  EXPECT_THAT(encoder.Encode(page.NextScrape(), encoded), IsOk());
  std::vector<std::string> records = encoded.dictionary;
  records.push_back(encoded.scrape);
  return records;
}

void DecodeNext(RecordDecoder& decoder, const RecordEncoder::Encoded& encoded,
                RowVisitor& visitor) {
  for (const std::string& record : encoded.dictionary) {
    ASSERT_THAT(decoder.DecodeRecord(decoder.next_number(), record, visitor), IsOk());
  }
  ASSERT_THAT(decoder.DecodeRecord(decoder.next_number(), encoded.scrape, visitor), IsOk());
}

// A target's first scrape in a segment of its own: 7 for each series. Takes the keys' references.
RecordEncoder::Encoded EncodeSevens(KeyTable& table, const std::vector<KeyId>& keys) {
  ScrapeBatch batch;
  batch.layout =
      std::make_shared<Layout>(table, std::make_shared<Labels>(), keys, 0, LayoutPatch{});
  for (const KeyId key : keys) table.Unref(key);
  const std::vector<double> values(keys.size(), 7);
  batch.values = values;
  RecordEncoder encoder;
  encoder.BeginSegment({}, "");
  RecordEncoder::Encoded encoded;
  EXPECT_THAT(encoder.Encode(batch, encoded), IsOk());
  return encoded;
}

TEST(RecordDecoderTest, ReadsBackRandomPagesThatChange) {
  const Labels external{{"cluster", "c1"}, {"job", "is overridden by the target"}};
  for (uint64_t seed = 0; seed < 8; ++seed) {
    KeyTable table;
    std::mt19937_64 random(seed);
    std::vector<std::unique_ptr<PageSource>> pages;
    for (int i = 0; i < 4; ++i) {
      pages.push_back(std::make_unique<PageSource>(table, absl::StrCat("host", i), random()));
    }
    RecordEncoder encoder(seed % 2 == 1 ? storage::v1::ENCODING_DECIMAL_DELTA
                                        : storage::v1::ENCODING_RAW_COLUMNS);
    RecordEncoder::Encoded encoded;
    RecordDecoder decoder(RecordDecoder::Options{});
    RowVisitor visitor;
    for (int scrape = 0; scrape < 300; ++scrape) {
      PageSource& page = *pages[random() % pages.size()];
      if (encoder.needs_segment() || random() % 40 == 0) encoder.BeginSegment(external, "");
      if (random() % 10 == 0) encoder.BeginKeyframe();
      const bool gone = random() % 20 == 0;
      ASSERT_THAT(encoder.Encode(gone ? page.Gone() : page.NextScrape(), encoded), IsOk());

      ASSERT_NO_FATAL_FAILURE(DecodeNext(decoder, encoded, visitor));

      const Rows expected = page.ExpectedRows(external);
      ASSERT_EQ(visitor.rows.back(), expected) << "seed " << seed << " scrape " << scrape;
      EXPECT_EQ(visitor.samples.back(), expected.size());
      EXPECT_EQ(encoded.samples, expected.size());
    }
    EXPECT_FALSE(visitor.replaced.empty());
    EXPECT_GT(visitor.segments.size(), 1u);
  }
}

TEST(RecordDecoderTest, UnchangedLayoutCostsNoDictionary) {
  KeyTable table;
  PageSource page(table, "host", 1);
  RecordEncoder encoder;
  encoder.BeginSegment({}, "");
  RecordEncoder::Encoded encoded;
  ScrapeBatch batch = page.NextScrape();
  ASSERT_THAT(encoder.Encode(batch, encoded), IsOk());
  EXPECT_EQ(encoded.dictionary.size(), 1u);
  EXPECT_TRUE(encoded.keyframe);

  ASSERT_THAT(encoder.Encode(batch, encoded), IsOk());

  EXPECT_TRUE(encoded.dictionary.empty());
  EXPECT_FALSE(encoded.keyframe);
}

TEST(RecordDecoderTest, KeysAreSharedByTheTargetsOfALane) {
  KeyTable table;
  SeriesKey key;
  key.labels = Labels{{"__name__", "up"}};
  const KeyId id = table.Intern(key);
  const auto layout_of = [&](std::string_view instance) {
    return std::make_shared<Layout>(table, std::make_shared<Labels>(Labels{{"i", instance}}),
                                    std::vector<KeyId>{id}, 0, LayoutPatch{});
  };
  const LayoutPtr a = layout_of("a");
  const LayoutPtr b = layout_of("b");
  table.Unref(id);
  const std::vector<double> values = {1};
  RecordEncoder encoder;
  encoder.BeginSegment({}, "");
  RecordEncoder::Encoded encoded;
  ScrapeBatch batch;
  batch.values = values;
  batch.layout = a;
  ASSERT_THAT(encoder.Encode(batch, encoded), IsOk());

  batch.layout = b;
  ASSERT_THAT(encoder.Encode(batch, encoded), IsOk());

  ASSERT_EQ(encoded.dictionary.size(), 1u);
  storage::v1::Dictionary dictionary;
  ASSERT_TRUE(dictionary.ParseFromString(encoded.dictionary[0].substr(kRecordHeaderBytes)));
  EXPECT_EQ(dictionary.keys_size(), 0);
  EXPECT_EQ(dictionary.strings(), "b\xff");
  EXPECT_EQ(dictionary.first_key(), 2u);
}

TEST(RecordDecoderTest, BaseThatWasReplacedIsNotNamedAgain) {
  KeyTable table;
  std::vector<KeyId> keys;
  for (const char* name : {"a", "b", "c"}) {
    SeriesKey key;
    key.labels = Labels{{"__name__", name}};
    keys.push_back(table.Intern(key));
  }
  const auto target = std::make_shared<Labels>(Labels{{"i", "1"}});
  const auto one = std::make_shared<Layout>(table, target, std::vector<KeyId>{keys[0], keys[1]}, 0,
                                            LayoutPatch{});
  const auto two = std::make_shared<Layout>(table, target, std::vector<KeyId>{keys[0]}, one->id(),
                                            LayoutPatch{1, -1});
  const auto three =
      std::make_shared<Layout>(table, target, std::vector<KeyId>{keys[0], keys[1], keys[2]},
                               one->id(), LayoutPatch{2, 0, 1});
  for (const KeyId key : keys) table.Unref(key);
  const std::vector<double> values = {1, 2, 3};
  RecordEncoder encoder;
  encoder.BeginSegment({}, "");
  RecordEncoder::Encoded encoded;
  RecordDecoder decoder(RecordDecoder::Options{});
  RowVisitor visitor;
  // Back to the first one as well: it must be defined anew.
  for (const LayoutPtr& layout : std::vector<LayoutPtr>{one, two, three, one}) {
    ScrapeBatch batch;
    batch.layout = layout;
    batch.values = std::span<const double>(values).first(layout->size());
    ASSERT_THAT(encoder.Encode(batch, encoded), IsOk());
    ASSERT_EQ(encoded.dictionary.size(), 1u);
    for (const std::string& record : {encoded.dictionary[0], encoded.scrape}) {
      ASSERT_THAT(decoder.DecodeRecord(decoder.next_number(), record, visitor), IsOk());
    }
    EXPECT_EQ(visitor.rows.back().size(), layout->size());
  }
  EXPECT_THAT(visitor.replaced, ElementsAre(std::pair<uint64_t, uint64_t>(1, 2)));
}

TEST(RecordDecoderTest, LargePageIsDefinedInSeveralRecords) {
  KeyTable table;
  std::vector<KeyId> keys;
  for (int i = 0; i < 20; ++i) {
    SeriesKey key;
    key.labels = Labels{{"__name__", "m"}, {"v", absl::StrCat(i, std::string(200'000, 'x'))}};
    keys.push_back(table.Intern(key));
  }

  const RecordEncoder::Encoded encoded = EncodeSevens(table, keys);

  EXPECT_GE(encoded.dictionary.size(), 3u);
  RecordDecoder decoder(RecordDecoder::Options{});
  RowVisitor visitor;
  ASSERT_NO_FATAL_FAILURE(DecodeNext(decoder, encoded, visitor));
  EXPECT_EQ(visitor.rows[0].size(), keys.size());
}

// The sizes around a record's end, so that it falls behind a string, a family and a key.
TEST(RecordDecoderTest, ADictionaryRecordMayEndBehindAnyDefinition) {
  for (size_t room = 0; room < 64; ++room) {
    SCOPED_TRACE(absl::StrCat(room, " bytes left"));
    KeyTable table;
    const auto intern = [&table](const std::string& name, const std::string& help) {
      SeriesKey key;
      key.labels = Labels{{"__name__", name}};
      key.family = table.InternFamily({name, MetricType::kGauge, "", help});
      return table.Intern(key);
    };
    const std::vector<KeyId> keys = {intern("a", std::string((1 << 20) - room, 'x')),
                                     intern("b", "of b"), intern("c", "")};
    const RecordEncoder::Encoded encoded = EncodeSevens(table, keys);

    RecordDecoder decoder(RecordDecoder::Options{});
    RowVisitor visitor;
    ASSERT_NO_FATAL_FAILURE(DecodeNext(decoder, encoded, visitor));
    ASSERT_THAT(visitor.rows, SizeIs(1));
    EXPECT_THAT(visitor.rows[0][2].labels, HasSubstr("c"));
  }
}

TEST(RecordDecoderTest, AStringThatIsNotUtf8EndsNoStream) {
  KeyTable table;
  SeriesKey key;
  key.labels = Labels{{"__name__", "m"}, {"v", "a\xff\xc3"}};
  const RecordEncoder::Encoded encoded = EncodeSevens(table, {table.Intern(key)});

  RecordDecoder decoder(RecordDecoder::Options{});
  RowVisitor visitor;
  ASSERT_NO_FATAL_FAILURE(DecodeNext(decoder, encoded, visitor));

  EXPECT_THAT(visitor.rows[0][0].labels, HasSubstr("a\xef\xbf\xbd\xef\xbf\xbd"));
}

TEST(RecordDecoderTest, ScrapeOverTheLimitIsRefusedAndChangesNothing) {
  KeyTable table;
  SeriesKey key;
  key.labels = Labels{{"__name__", "m"}};
  const KeyId id = table.Intern(key);
  const auto big = std::make_shared<Layout>(table, std::make_shared<Labels>(),
                                            std::vector<KeyId>(4'200'000, id), 0, LayoutPatch{});
  table.Unref(id);
  const std::vector<double> values(big->size(), 1);
  ScrapeBatch batch;
  batch.layout = big;
  batch.values = values;
  RecordEncoder encoder;
  encoder.BeginSegment({}, "");
  RecordEncoder::Encoded encoded;

  EXPECT_THAT(encoder.Encode(batch, encoded),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("too large")));

  EXPECT_FALSE(encoder.needs_segment());
  EXPECT_TRUE(encoded.dictionary.empty());
}

TEST(RecordDecoderTest, RebuildChangesTheStateAndShowsNothing) {
  KeyTable table;
  PageSource page(table, "host", 3);
  const std::vector<std::string> records = OneScrape(page);
  RecordDecoder::Options options;
  options.durable = 2;
  RecordDecoder decoder(options);
  RowVisitor visitor;
  storage::v1::Records rebuild = Message(1, {records[0]});
  rebuild.set_rebuild(true);

  ASSERT_THAT(decoder.Decode(rebuild, visitor), IsOk());
  EXPECT_TRUE(visitor.numbers.empty());
  ASSERT_THAT(decoder.Decode(Message(3, {records[1]}), visitor), IsOk());

  EXPECT_THAT(visitor.numbers, ElementsAre(3));
}

TEST(RecordDecoderTest, GapMovesTheNumbersOn) {
  KeyTable table;
  PageSource page(table, "host", 3);
  RecordDecoder decoder(RecordDecoder::Options{});
  RowVisitor visitor;
  storage::v1::Gap gap;
  gap.set_from(1);
  gap.set_to(10);

  ASSERT_THAT(decoder.Skip(gap), IsOk());
  ASSERT_THAT(decoder.Decode(Message(11, OneScrape(page)), visitor), IsOk());

  EXPECT_THAT(visitor.numbers, ElementsAre(12));
  gap.set_from(14);
  gap.set_to(20);
  EXPECT_THAT(decoder.Skip(gap), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(RecordDecoderTest, NumbersMustFollow) {
  KeyTable table;
  PageSource page(table, "host", 3);
  const std::vector<std::string> records = OneScrape(page);
  RowVisitor visitor;

  RecordDecoder skipping(RecordDecoder::Options{});
  EXPECT_THAT(skipping.Decode(Message(2, records), visitor),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(skipping.Decode(Message(1, records), visitor),
              StatusIs(absl::StatusCode::kInvalidArgument))
      << "an error is final";
  RecordDecoder rebuilding(RecordDecoder::Options{});
  storage::v1::Records rebuild = Message(1, records);
  rebuild.set_rebuild(true);
  EXPECT_THAT(rebuilding.Decode(rebuild, visitor), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(RecordDecoderTest, CountMustBeRight) {
  KeyTable table;
  PageSource page(table, "host", 3);
  const std::vector<std::string> records = OneScrape(page);
  RowVisitor visitor;
  for (const uint32_t count : {0u, 1u, 3u, 4'000'000'000u}) {
    storage::v1::Records message = Message(1, records);
    message.set_count(count);
    RecordDecoder decoder(RecordDecoder::Options{});
    EXPECT_FALSE(decoder.Decode(message, visitor).ok()) << count;
  }
}

TEST(RecordDecoderTest, ZstdBombIsRefusedBeforeItIsUnpacked) {
  const std::string zeros(size_t{64} << 20, '\0');
  std::string bomb(ZSTD_compressBound(zeros.size()), '\0');
  bomb.resize(ZSTD_compress(bomb.data(), bomb.size(), zeros.data(), zeros.size(), 1));
  RowVisitor visitor;
  for (const uint32_t raw_size : {1'000u, 64u << 20}) {
    storage::v1::Records message;
    message.set_first_number(1);
    message.set_count(1);
    message.set_compression(storage::v1::Records::ZSTD);
    message.set_raw_size(raw_size);
    message.set_body(bomb);
    RecordDecoder decoder(RecordDecoder::Options{});
    EXPECT_THAT(decoder.Decode(message, visitor), StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST(RecordDecoderTest, DictionaryIsBounded) {
  // Two bytes on the wire for each empty definition.
  storage::v1::Dictionary dictionary;
  dictionary.mutable_header()->set_format(1);
  dictionary.set_first_string(1);
  dictionary.set_first_family(1);
  dictionary.set_first_key(1);
  dictionary.set_first_layout(1);
  for (int i = 0; i < 1'000'000; ++i) dictionary.add_families();
  std::string record;
  AppendRecord(RecordKind::kDictionary, dictionary.SerializeAsString(), record);
  RecordDecoder::Options options;
  options.max_dictionary_bytes = 64 << 20;
  RecordDecoder decoder(options);
  RowVisitor visitor;

  EXPECT_THAT(decoder.DecodeRecord(1, record, visitor),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("more definitions")));
}

TEST(RecordDecoderTest, ARecordCannotMakeALargeLayoutAnewForEver) {
  constexpr int kKeys = 100'000;
  storage::v1::Dictionary dictionary;
  dictionary.mutable_header()->set_format(1);
  dictionary.set_first_string(1);
  dictionary.set_first_family(1);
  dictionary.set_first_key(1);
  dictionary.set_first_layout(1);
  dictionary.set_strings("__name__\xffup\xff");
  storage::v1::KeyDef& key = *dictionary.add_keys();
  for (const int id : {1, 2}) key.add_labels(id);
  dictionary.add_layouts()->mutable_keys()->Resize(kKeys, 0);
  dictionary.mutable_layouts(0)->set_keys(0, 1);
  for (uint64_t base = 1; base <= 1000; ++base) {
    storage::v1::LayoutDef& next = *dictionary.add_layouts();
    next.set_base(base);
    next.add_patch(kKeys);
  }
  std::string record;
  AppendRecord(RecordKind::kDictionary, dictionary.SerializeAsString(), record);
  RecordDecoder::Options options;
  options.max_dictionary_bytes = 64 << 20;
  RecordDecoder decoder(options);
  RowVisitor visitor;

  EXPECT_THAT(decoder.DecodeRecord(1, record, visitor),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("larger layouts")));
}

// ---- Definitions that contradict themselves

storage::v1::Dictionary GoodDictionary() {
  storage::v1::Dictionary d;
  d.mutable_header()->set_format(1);
  d.set_first_string(1);
  d.set_first_family(1);
  d.set_first_key(1);
  d.set_first_layout(1);
  d.set_strings("__name__\xffup\xffjob\xffj\xff");
  d.add_families()->set_name(2);
  storage::v1::KeyDef& key = *d.add_keys();
  for (const int id : {1, 2}) key.add_labels(id);
  key.set_family(1);
  storage::v1::LayoutDef& layout = *d.add_layouts();
  for (const uint32_t id : {3, 4}) layout.add_target_labels(id);
  for (const int less : {1, 0, 0}) layout.add_keys(less);
  storage::v1::LayoutDef& next = *d.add_layouts();
  next.set_base(1);
  for (const int step : {1, -1, 0, 1, 1}) next.add_patch(step);
  next.add_keys(1);
  return d;
}

absl::Status DecodeDictionary(const storage::v1::Dictionary& dictionary) {
  std::string record;
  AppendRecord(RecordKind::kDictionary, dictionary.SerializeAsString(), record);
  RecordDecoder decoder(RecordDecoder::Options{});
  RowVisitor visitor;
  return decoder.DecodeRecord(1, record, visitor);
}

TEST(RecordDecoderTest, GoodDictionaryIsTaken) {
  EXPECT_THAT(DecodeDictionary(GoodDictionary()), IsOk());
}

TEST(RecordDecoderTest, BadDictionariesEndTheStream) {
  using D = storage::v1::Dictionary;
  const std::vector<std::pair<const char*, std::function<void(D&)>>> faults = {
      {"no header", [](D& d) { d.clear_header(); }},
      {"format", [](D& d) { d.mutable_header()->set_format(2); }},
      {"first string", [](D& d) { d.set_first_string(2); }},
      {"first family", [](D& d) { d.set_first_family(0); }},
      {"first key", [](D& d) { d.set_first_key(9); }},
      {"first layout", [](D& d) { d.set_first_layout(9); }},
      {"string cut off", [](D& d) { d.mutable_strings()->pop_back(); }},
      {"string that is not UTF-8", [](D& d) { d.mutable_strings()->insert(0, "\xc3"); }},
      {"family's string", [](D& d) { d.mutable_families(0)->set_help(3); }},
      {"family's string below 0", [](D& d) { d.mutable_families(0)->set_help(-3); }},
      {"family's name", [](D& d) { d.mutable_families(0)->set_name(0); }},
      {"key's family", [](D& d) { d.mutable_keys(0)->set_family(2); }},
      {"key's family below 0", [](D& d) { d.mutable_keys(0)->set_family(-1); }},
      {"key's string", [](D& d) { d.mutable_keys(0)->set_labels(1, 5); }},
      {"key's string below 0", [](D& d) { d.mutable_keys(0)->set_labels(1, INT32_MIN); }},
      {"string of a key relative to the one before",
       [](D& d) { *d.add_keys() = d.keys(0); }},  // 1 + 1 = "up", 2 + 2 = "j"
      {"odd labels", [](D& d) { d.mutable_keys(0)->add_labels(3); }},
      {"no name", [](D& d) { d.mutable_keys(0)->set_labels(0, 3); }},
      {"empty value", [](D& d) { d.mutable_keys(0)->set_labels(1, 0); }},
      {"empty label name", [](D& d) { d.mutable_layouts(0)->set_target_labels(0, 0); }},
      {"twice a label",
       [](D& d) {
         d.mutable_layouts(0)->add_target_labels(3);
         d.mutable_layouts(0)->add_target_labels(4);
       }},
      {"layout's key", [](D& d) { d.mutable_layouts(0)->set_keys(0, 2); }},
      {"key 0", [](D& d) { d.mutable_layouts(0)->set_keys(0, 0); }},
      {"unknown base", [](D& d) { d.mutable_layouts(1)->set_base(7); }},
      {"base is itself", [](D& d) { d.mutable_layouts(1)->set_base(2); }},
      {"patch too long", [](D& d) { d.mutable_layouts(1)->add_patch(1); }},
      {"patch drops too much", [](D& d) { d.mutable_layouts(1)->add_patch(INT32_MIN); }},
      {"patch cut off", [](D& d) { d.mutable_layouts(1)->add_patch(0); }},
      {"patch inserts less than nothing",
       [](D& d) {
         d.mutable_layouts(1)->add_patch(0);
         d.mutable_layouts(1)->add_patch(-1);
       }},
      {"patch inserts what is not there",
       [](D& d) {
         d.mutable_layouts(1)->add_patch(0);
         d.mutable_layouts(1)->add_patch(INT32_MAX);
       }},
      {"keys that no patch inserts", [](D& d) { d.mutable_layouts(1)->add_keys(1); }},
      {"patch without a base", [](D& d) { d.mutable_layouts(1)->clear_base(); }},
      {"target labels beside a base", [](D& d) { d.mutable_layouts(1)->add_target_labels(3); }},
  };
  for (const auto& [name, fault] : faults) {
    D dictionary = GoodDictionary();
    fault(dictionary);
    EXPECT_THAT(DecodeDictionary(dictionary), StatusIs(absl::StatusCode::kInvalidArgument)) << name;
  }
}

TEST(RecordDecoderTest, BaseIsForgotten) {
  storage::v1::Dictionary dictionary = GoodDictionary();
  storage::v1::LayoutDef& third = *dictionary.add_layouts();
  third.set_base(1);
  third.add_patch(1);

  EXPECT_THAT(DecodeDictionary(dictionary),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("unknown base")));
}

absl::Status DecodeScrape(const storage::v1::Scrape& scrape) {
  std::string dictionary;
  AppendRecord(RecordKind::kDictionary, GoodDictionary().SerializeAsString(), dictionary);
  std::string record;
  AppendRecord(RecordKind::kScrape, scrape.SerializeAsString(), record);
  RecordDecoder decoder(RecordDecoder::Options{});
  RowVisitor visitor;
  EXPECT_THAT(decoder.DecodeRecord(1, dictionary, visitor), IsOk());
  return decoder.DecodeRecord(2, record, visitor);
}

storage::v1::Scrape GoodScrape() {
  storage::v1::Scrape scrape;
  scrape.set_layout(2);
  scrape.set_time_ms(1'000);
  const std::vector<double> values = {1, 2, 0};
  const std::vector<uint64_t> absent = {4};
  RawColumnEncoder().Encode(2, values, absent, scrape);
  return scrape;
}

TEST(RecordDecoderTest, BadScrapesEndTheStream) {
  using S = storage::v1::Scrape;
  EXPECT_THAT(DecodeScrape(GoodScrape()), IsOk());
  const std::vector<std::pair<const char*, std::function<void(S&)>>> faults = {
      {"layout that was replaced", [](S& s) { s.set_layout(1); }},
      {"unknown layout", [](S& s) { s.set_layout(3); }},
      {"short column", [](S& s) { s.mutable_raw()->resize(16); }},
      {"odd column", [](S& s) { s.mutable_raw()->resize(23); }},
      {"decimal delta", [](S& s) { s.set_control("1"); }},
      {"absent too long", [](S& s) { s.set_absent("\x14"); }},
      {"value of an absent position", [](S& s) { (*s.mutable_raw())[20] = 1; }},
      {"checksum", [](S& s) { s.set_value_crc32c(s.value_crc32c() + 1); }},
      {"value", [](S& s) { (*s.mutable_raw())[3] = 1; }},
      {"checksum of nothing", [](S& s) { s.clear_raw(); }},
      {"stale and a value",
       [](S& s) {
         s.set_flags(S::SCRAPE_FAILED);
         s.set_stale("\x01");
       }},
      {"stale too long",
       [](S& s) {
         s.set_flags(S::SCRAPE_FAILED);
         s.set_stale("\x0c");
       }},
      {"time cut off", [](S& s) { s.set_times("\x01"); }},
      {"time of no position", [](S& s) { s.set_times(std::string("\x03\x00", 2)); }},
      {"time twice", [](S& s) { s.set_times(std::string("\x01\x00\x00\x00", 4)); }},
      {"endless varint", [](S& s) { s.set_times(std::string(20, '\xff')); }},
  };
  for (const auto& [name, fault] : faults) {
    S scrape = GoodScrape();
    fault(scrape);
    EXPECT_FALSE(DecodeScrape(scrape).ok()) << name;
  }
}

TEST(RecordDecoderTest, DamagedStreamsNeverCrash) {
  const google::protobuf::LogSilencer silencer;
  KeyTable table;
  PageSource page(table, "host", 5);
  std::vector<std::string> payloads;
  std::vector<RecordKind> kinds;
  for (const std::string& record : OneScrape(page)) {
    payloads.push_back(record.substr(kRecordHeaderBytes));
    kinds.push_back(payloads.size() == 1 ? RecordKind::kDictionary : RecordKind::kScrape);
  }
  std::mt19937_64 random(7);
  for (int round = 0; round < 3'000; ++round) {
    RecordDecoder decoder(RecordDecoder::Options{});
    RowVisitor visitor;
    for (size_t i = 0; i < payloads.size(); ++i) {
      std::string payload = payloads[i];
      for (uint64_t hits = random() % 4; hits > 0; --hits) {
        payload[random() % payload.size()] = static_cast<char>(random());
      }
      if (random() % 4 == 0) payload.resize(random() % payload.size());
      std::string record;
      AppendRecord(kinds[i], payload, record);
      (void)decoder.DecodeRecord(i + 1, record, visitor);
    }
  }
}

}  // namespace
}  // namespace trawl

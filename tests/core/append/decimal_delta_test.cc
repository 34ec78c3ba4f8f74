#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "core/append/decimal.h"
#include "core/append/decimal_delta_codec.h"
#include "core/append/varint.h"
#include "core/model/value.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using storage::v1::Scrape;
using ::testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double FromBits(uint64_t bits) { return std::bit_cast<double>(bits); }
uint64_t Bits(double value) { return std::bit_cast<uint64_t>(value); }

std::string Bytes(std::initializer_list<int> bytes) {
  std::string out;
  for (const int byte : bytes) out.push_back(static_cast<char>(byte));
  return out;
}

// ---- Varints

TEST(VarintTest, ReadsBackWhatItWrote) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    const uint64_t value = random() >> (random() % 64);
    uint8_t buffer[10];
    uint8_t* const end = WriteVarint(value, buffer);
    EXPECT_EQ(static_cast<size_t>(end - buffer), VarintBytes(value));
    uint64_t read = 0;
    ASSERT_EQ(ReadVarint(buffer, end, read), end);
    ASSERT_EQ(read, value);
    EXPECT_EQ(ReadVarint(buffer, end - 1, read), nullptr);
    const auto signed_value = static_cast<int64_t>(value);
    ASSERT_EQ(UnZigZag(ZigZag(signed_value)), signed_value);
  }
}

TEST(VarintTest, RefusesMoreThan64Bits) {
  const std::string nine(9, '\xff');
  uint64_t value = 0;
  for (const char* last : {"\x01", "\x02", "\x81"}) {
    const std::string bytes = nine + last;
    const auto* const begin = reinterpret_cast<const uint8_t*>(bytes.data());
    EXPECT_EQ(ReadVarint(begin, begin + bytes.size(), value) != nullptr, *last == '\x01');
  }
}

// ---- Decimals

TEST(DecimalTest, FindsWhatExportersPrint) {
  EXPECT_EQ(FindDecimal(8312.45), (Decimal{831245, 2}));
  EXPECT_EQ(FindDecimal(-8312.45), (Decimal{-831245, 2}));
  EXPECT_EQ(FindDecimal(0.0), (Decimal{0, 0}));
  EXPECT_EQ(FindDecimal(1500.0), (Decimal{1500, 0}));
  EXPECT_EQ(FindDecimal(0.1), (Decimal{1, 1}));
  EXPECT_EQ(FindDecimal(0.000012345), (Decimal{12345, 9}));
  EXPECT_EQ(FindDecimal(1e-22), (Decimal{1, 22}));
  EXPECT_EQ(FindDecimal(123456789012.345), (Decimal{123456789012345, 3}));
  // A time in microseconds has sixteen digits.
  EXPECT_EQ(FindDecimal(1763959253.123456), (Decimal{1763959253123456, 6}));
}

TEST(DecimalTest, FindsIntegersUpToTwoToThe53) {
  const double limit = std::ldexp(1, 53);
  EXPECT_EQ(FindDecimal(limit), (Decimal{kMaxDecimalMantissa, 0}));
  EXPECT_EQ(FindDecimal(-limit), (Decimal{-kMaxDecimalMantissa, 0}));
  EXPECT_EQ(FindDecimal(limit - 1), (Decimal{kMaxDecimalMantissa - 1, 0}));
  EXPECT_EQ(FindDecimal(limit / 2 + 1), (Decimal{kMaxDecimalMantissa / 2 + 1, 0}));
  EXPECT_EQ(FindDecimal(limit + 2), std::nullopt);
}

TEST(DecimalTest, FindsNoneForWhatIsNoShortDecimal) {
  for (const double value :
       {-0.0, kInfinity, -kInfinity, NormalNaN(), StaleMarker(), 0.1 + 0.2, 1e-23, 1e300,
        std::numeric_limits<double>::denorm_min(), std::numeric_limits<double>::min(),
        std::numeric_limits<double>::max(), 18446744073709551615.0}) {
    EXPECT_EQ(FindDecimal(value), std::nullopt) << value;
  }
}

TEST(DecimalTest, FindsEveryDecimalOf15DigitsWithTheSmallestScale) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 200'000; ++i) {
    auto mantissa = static_cast<int64_t>(random() % 1'000'000'000'000'000u >> (random() % 49));
    int scale = static_cast<int>(random() % 23);
    if (random() % 2 == 0) mantissa = -mantissa;
    if (mantissa == 0) continue;
    const double value = DecimalValue(mantissa, scale);
    for (; scale > 0 && mantissa % 10 == 0; --scale) mantissa /= 10;
    ASSERT_EQ(FindDecimal(value), (Decimal{mantissa, scale})) << value;
    int64_t found = 0;
    ASSERT_TRUE(FindMantissa(value, scale, found));
    ASSERT_EQ(found, mantissa);
  }
}

// The digits of the shortest text that reads as the value.
Decimal ShortestText(double value) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof(text), value, std::chars_format::scientific);
  std::string digits;
  const char* p = text;
  for (; p != end.ptr && *p != 'e'; ++p) {
    if (*p != '.') digits.push_back(*p);
  }
  const int exponent = std::stoi(std::string(p + 1, static_cast<const char*>(end.ptr)));
  const size_t fraction = digits.size() - (digits[0] == '-' ? 2 : 1);
  return {std::stoll(digits), static_cast<int>(fraction) - exponent};
}

TEST(DecimalTest, IsTheShortestText) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 50'000; ++i) {
    const double value = std::ldexp(static_cast<double>(random() % 1'000'000), -10) + 0.5;
    const Decimal text = ShortestText(value);
    const std::optional<Decimal> found = FindDecimal(value);
    if (text.scale >= 0 && std::abs(text.mantissa) < 1'000'000'000'000'000) {
      ASSERT_EQ(found, text) << value;
    }
  }
}

TEST(DecimalTest, IsExactWhereverItIsFound) {
  std::mt19937_64 random(4);
  int found = 0;
  for (int i = 0; i < 300'000; ++i) {
    const uint64_t exponent = 900 + random() % 200;
    const double value = FromBits((random() & 0x800f'ffff'ffff'ffff) | exponent << 52);
    for (int scale = 0; scale <= kMaxDecimalScale; scale += 3) {
      int64_t mantissa = 0;
      if (!FindMantissa(value, scale, mantissa)) continue;
      ASSERT_LE(std::abs(mantissa), kMaxDecimalMantissa);
      ASSERT_EQ(Bits(DecimalValue(mantissa, scale)), Bits(value));
    }
    const std::optional<Decimal> decimal = FindDecimal(value);
    if (!decimal) continue;
    ++found;
    ASSERT_LE(std::abs(decimal->mantissa), kMaxDecimalMantissa);
    ASSERT_EQ(Bits(DecimalValue(decimal->mantissa, decimal->scale)), Bits(value));
  }
  EXPECT_GT(found, 100);
}

// ---- The codec

// Encoder and decoder side by side.
class Codec {
 public:
  // Encodes, and checks that the decoder gives the same bits.
  Scrape RoundTrip(uint64_t layout, const std::vector<double>& values,
                   const std::vector<uint64_t>& absent = {}) {
    Scrape scrape;
    encoder_.Encode(layout, values, absent, scrape);
    EXPECT_LE(scrape.ByteSizeLong(), encoder_.MaxBytes(values.size()));
    Check(layout, values, absent, scrape);
    return scrape;
  }
  // As raw columns, which the encoder does not hear of.
  void RoundTripRaw(uint64_t layout, const std::vector<double>& values,
                    const std::vector<uint64_t>& absent = {}) {
    Scrape scrape;
    RawColumnEncoder().Encode(layout, values, absent, scrape);
    Check(layout, values, absent, scrape);
  }
  void Keyframe() {
    encoder_.Reset();
    decoder_.Reset();
  }
  void Patch(uint64_t from, uint64_t to, const LayoutPatch& patch) {
    encoder_.MoveState(from, to, patch);
    decoder_.MoveState(from, to, patch);
  }
  DecimalDeltaEncoder& encoder() { return encoder_; }
  DecimalDeltaDecoder& decoder() { return decoder_; }

 private:
  void Check(uint64_t layout, const std::vector<double>& values,
             const std::vector<uint64_t>& absent, const Scrape& scrape) {
    Scrape received;
    ASSERT_TRUE(received.ParseFromString(scrape.SerializeAsString()));
    DecodedColumns out;
    ASSERT_THAT(decoder_.Decode(layout, values.size(), received, out), IsOk());
    ASSERT_EQ(out.values.size(), values.size());
    for (size_t p = 0; p < values.size(); ++p) {
      ASSERT_EQ(BitIsSet(out.absent, p), BitIsSet(absent, p)) << p;
      const uint64_t expected = BitIsSet(absent, p) ? 0 : Bits(values[p]);
      ASSERT_EQ(Bits(out.values[p]), expected) << p;
    }
  }

  DecimalDeltaEncoder encoder_;
  DecimalDeltaDecoder decoder_;
};

// The worked example of DECIMAL_DELTA.md.
TEST(DecimalDeltaTest, IsWrittenAsDocumented) {
  Codec codec;

  const Scrape first =
      codec.RoundTrip(1, {8312.45, 0, 1027, kInfinity, 0.1 + 0.2, 0}, {uint64_t{1} << 5});
  EXPECT_EQ(first.control(), Bytes({0xd2, 0x0f}));
  EXPECT_EQ(first.integers(), Bytes({0x02, 0x9a, 0xbc, 0x65, 0x86, 0x10}));
  EXPECT_EQ(first.escapes(), Bytes({0x01, 0x02, 0x7f, 0xf0, 0x02, 0x34, 0x33, 0x33, 0x33, 0x33,
                                    0x33, 0xd3, 0x3f, 0x04}));

  const Scrape second = codec.RoundTrip(1, {8312.49, 0, 1027, StaleMarker(), 0.5, 12.5});
  EXPECT_EQ(second.control(), Bytes({0xc1, 0x0a}));
  EXPECT_EQ(second.integers(), Bytes({0x08, 0x01, 0x0a, 0x01, 0xfa, 0x01}));
  EXPECT_EQ(second.escapes(), Bytes({0x03}));
}

TEST(DecimalDeltaTest, UnchangedValuesTakeTwoBits) {
  Codec codec;
  const std::vector<double> values = {1, 2.5, kInfinity, -0.0, NormalNaN(), 1.0 / 3, 1e300, 0};
  codec.RoundTrip(1, values);

  const Scrape scrape = codec.RoundTrip(1, values);

  EXPECT_EQ(scrape.control(), std::string(2, '\0'));
  EXPECT_EQ(scrape.integers() + scrape.escapes(), "");
}

TEST(DecimalDeltaTest, StaleAndAbsentLeaveTheStateAsItIs) {
  Codec codec;
  codec.RoundTrip(1, {8312.45, 1.0 / 3});
  codec.RoundTrip(1, {StaleMarker(), StaleMarker()});
  codec.RoundTrip(1, {StaleMarker(), 0}, {2});
  codec.RoundTrip(1, {0, 0}, {3});

  const Scrape scrape = codec.RoundTrip(1, {8312.46, 1.0 / 3});

  EXPECT_EQ(scrape.control(), Bytes({0x01}));
  EXPECT_EQ(scrape.integers(), Bytes({0x02}));
  EXPECT_EQ(scrape.escapes(), "");
}

TEST(DecimalDeltaTest, ScrapeWithoutSamplesHasNoColumns) {
  Codec codec;
  EXPECT_EQ(codec.RoundTrip(1, {}).ByteSizeLong(), 0u);
  EXPECT_EQ(codec.RoundTrip(2, {0, 0}, {3}).ByteSizeLong(), 0u);
}

TEST(DecimalDeltaTest, ShortDecimalsComeBackAfterALongOne) {
  Codec codec;
  codec.RoundTrip(1, {0.123456789012345});

  const Scrape scrape = codec.RoundTrip(1, {0.5});

  EXPECT_EQ(scrape.control(), Bytes({2}));
  EXPECT_EQ(scrape.integers(), Bytes({1, 10}));
}

TEST(DecimalDeltaTest, PatchMovesTheStateOfKeptPositions) {
  Codec codec;
  codec.RoundTrip(1, {10, 20.5, 1.0 / 3, 40});
  codec.Patch(1, 2, {1, -1, 0, 2, 2});

  const Scrape scrape = codec.RoundTrip(2, {10, 0, 7, 1.0 / 3, 41});

  // same, same as the empty state's 0, delta from it, same, delta
  EXPECT_EQ(scrape.control(), Bytes({0x10, 0x01}));
  EXPECT_EQ(scrape.integers(), Bytes({14, 2}));
}

TEST(DecimalDeltaTest, PatchOfALayoutThatWasNeverUsedMovesNothing) {
  Codec codec;
  codec.Patch(1, 2, {1, 0, 1});
  codec.RoundTrip(2, {1, 2});
}

TEST(DecimalDeltaTest, KeyframeEmptiesTheState) {
  Codec codec;
  const Scrape first = codec.RoundTrip(1, {8312.45, -0.0, 5});
  codec.RoundTrip(1, {8313, 1, 6});
  codec.Keyframe();
  EXPECT_LE(codec.encoder().memory_bytes(), 100u);

  const Scrape again = codec.RoundTrip(1, {8312.45, -0.0, 5});

  EXPECT_EQ(again.SerializeAsString(), first.SerializeAsString());
}

TEST(DecimalDeltaTest, RecordThatWasLostIsForgottenWithAKeyframe) {
  Codec codec;
  codec.RoundTrip(1, {1, 2});
  Scrape lost;
  codec.encoder().Encode(1, std::vector<double>{100, 200}, {}, lost);
  codec.Keyframe();
  codec.RoundTrip(1, {101, 202});
}

TEST(DecimalDeltaTest, StateIsNineBytesASeries) {
  Codec codec;
  codec.RoundTrip(1, std::vector<double>(10'000, 0.25));
  EXPECT_LE(codec.encoder().memory_bytes(), 90'000u + 200);
  EXPECT_LE(codec.decoder().memory_bytes(), 90'000u + 200);
}

TEST(DecimalDeltaTest, AnyPatternOfBitsComesBack) {
  std::mt19937_64 random(5);
  Codec codec;
  std::vector<double> values(1'000);
  for (int round = 0; round < 200; ++round) {
    for (double& value : values) {
      const uint64_t bits = random();
      switch (random() % 4) {
        case 0:
          value = FromBits(bits);
          break;
        case 1:  // NaNs and infinities
          value = FromBits(bits | 0x7ff0'0000'0000'0000);
          break;
        case 2:  // denormals, zeros
          value = FromBits((bits >> (random() % 64)) & 0x800f'ffff'ffff'ffff);
          break;
        default:  // near to the last value
          value = FromBits(Bits(value) ^ (bits >> (random() % 64)));
      }
    }
    ASSERT_NO_FATAL_FAILURE(codec.RoundTrip(1, values));
  }
}

// A page whose series come, go, and count in all the ways that exporters have.
class RandomPage {
 public:
  RandomPage(Codec& codec, uint64_t layout, uint64_t seed)
      : codec_(codec), layout_(layout), random_(seed), values_(1 + random_() % 80) {}

  void Change(uint64_t to) {
    LayoutPatch patch;
    std::vector<double> values;
    for (size_t p = 0; p < values_.size();) {
      const auto run = static_cast<int32_t>(
          1 + random_() % std::min<size_t>(values_.size() - p, 1 + random_() % 20));
      const auto inserted = static_cast<int32_t>(random_() % 4);
      if (inserted > 1) patch.insert(patch.end(), {0, inserted - 1});
      if (inserted > 1) values.insert(values.end(), static_cast<size_t>(inserted - 1), 0.0);
      const bool drop = random_() % 4 == 0;
      patch.push_back(drop ? -run : run);
      for (int32_t i = 0; i < run; ++i, ++p) {
        if (!drop) values.push_back(values_[p]);
      }
    }
    values_ = std::move(values);
    codec_.Patch(layout_, to, patch);
    layout_ = to;
  }

  void Scrape(bool raw) {
    std::vector<uint64_t> absent(BitWordCount(values_.size()));
    for (size_t p = 0; p < values_.size(); ++p) {
      if (random_() % 20 == 0) absent[p / 64] |= uint64_t{1} << (p % 64);
      values_[p] = Next(values_[p]);
    }
    if (random_() % 2 == 0) absent.clear();
    if (raw) {
      codec_.RoundTripRaw(layout_, values_, absent);
    } else {
      codec_.RoundTrip(layout_, values_, absent);
    }
  }

 private:
  double Next(double last) {
    const auto some = static_cast<int64_t>(random_() >> (random_() % 64));
    switch (random_() % 16) {
      case 0:
        return StaleMarker();
      case 1:
        return FromBits(static_cast<uint64_t>(some));
      case 2:
        return random_() % 2 == 0 ? kInfinity : NormalNaN();
      case 3:
        return random_() % 2 == 0 ? 0.0 : -0.0;
      case 4:
      case 5:
        return static_cast<double>(some % kMaxDecimalMantissa) / kDecimalPowers[random_() % 23];
      case 6:
        return last * 1.1;
      case 7:
      case 8:
        return last + static_cast<double>(random_() % 1'000) / 100;
      case 9:
      case 10:
        return std::trunc(last) + static_cast<double>(random_() % 1'000);
      default:
        return last;
    }
  }

  Codec& codec_;
  uint64_t layout_;
  std::mt19937_64 random_;
  std::vector<double> values_;
};

TEST(DecimalDeltaTest, StatesNeverPartInRandomSequences) {
  for (uint64_t seed = 0; seed < 10'000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    Codec codec;
    uint64_t next_layout = 1;
    std::vector<RandomPage> pages;
    for (size_t i = 0; i <= random() % 3; ++i) pages.emplace_back(codec, next_layout++, random());
    bool raw = false;
    for (int record = 0; record < 10; ++record) {
      RandomPage& page = pages[random() % pages.size()];
      if (random() % 4 == 0) page.Change(next_layout++);
      if (random() % 8 == 0) {
        codec.Keyframe();
        raw = false;
      } else {
        // What follows a record that went raw goes raw up to the keyframe.
        raw = raw || random() % 16 == 0;
      }
      page.Scrape(raw);
      ASSERT_FALSE(HasFailure());
    }
  }
}

// ---- What a decoder may get

class DecimalDeltaDecoderTest : public ::testing::Test {
 protected:
  absl::Status Decode(size_t positions, const std::string& control, const std::string& integers,
                      const std::string& escapes) {
    Scrape scrape;
    scrape.set_control(control);
    scrape.set_integers(integers);
    scrape.set_escapes(escapes);
    scrape.set_value_crc32c(crc_);
    return decoder_.Decode(1, positions, scrape, out_);
  }
  void ExpectCrcOf(std::vector<double> values) { crc_ = ValueCrc32c(values, {}); }

  DecimalDeltaDecoder decoder_;
  DecodedColumns out_;
  uint32_t crc_ = 0;
};

TEST_F(DecimalDeltaDecoderTest, ReadsAnXorOfNoBytes) {
  ExpectCrcOf({0});
  EXPECT_THAT(Decode(1, Bytes({3}), "", Bytes({1, 0})), IsOk());
  EXPECT_EQ(Bits(out_.values[0]), 0u);
}

TEST_F(DecimalDeltaDecoderTest, ReadsAHistogramAsAbsent) {
  EXPECT_THAT(Decode(1, Bytes({3}), "", Bytes({5})), IsOk());
  EXPECT_TRUE(BitIsSet(out_.absent, 0));
}

TEST_F(DecimalDeltaDecoderTest, RefusesWhatTheFormatDoesNotHave) {
  const struct {
    std::string control, integers, escapes;
    const char* why;
  } kCases[] = {
      {Bytes({0, 0}), "", "", "2 bytes of control for 3 positions"},
      {Bytes({0x40}), "", "", "1 bytes of control for 3 positions"},
      {"", Bytes({2}), "", "0 bytes of control for 3 positions"},
      {Bytes({0}), Bytes({2}), "", "bytes left over"},
      {Bytes({0}), "", Bytes({4}), "bytes left over"},
      {Bytes({1}), "", "", "a difference that is cut off at position 0"},
      {Bytes({4}), Bytes({0x80}), "", "a difference that is cut off at position 1"},
      {Bytes({2}), Bytes({0}), "", "a decimal that is cut off"},
      {Bytes({2}), Bytes({23, 2}), "", "a decimal that is too large"},
      {Bytes({2}), Bytes({0, 0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20}), "", "too large"},
      {Bytes({1}), Bytes({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}), "",
       "a mantissa that is too large"},
      {Bytes({3}), "", "", "an escape that is cut off"},
      {Bytes({3}), "", Bytes({0}), "an unknown escape"},
      {Bytes({3}), "", Bytes({6}), "an unknown escape"},
      {Bytes({3}), "", Bytes({1}), "an escape that is cut off"},
      {Bytes({3}), "", Bytes({1, 0x54, 1, 2, 3, 4}), "an escape that is cut off"},
      {Bytes({3}), "", Bytes({1, 0x02, 1}), "an escape that is cut off"},
      {Bytes({3}), "", Bytes({2, 1, 2, 3, 4, 5, 6, 7}), "an escape that is cut off"},
      {Bytes({3}), "", Bytes({2, 2, 0, 0, 0, 0, 0, 0xf0, 0x7f}), "a stale marker as a value"},
  };
  for (const auto& c : kCases) {
    decoder_.Reset();
    EXPECT_THAT(Decode(3, c.control, c.integers, c.escapes),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(c.why)));
  }
}

TEST_F(DecimalDeltaDecoderTest, RefusesADifferenceToBits) {
  ExpectCrcOf({1});
  ASSERT_THAT(Decode(1, Bytes({3}), "", Bytes({2, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f})), IsOk());
  EXPECT_THAT(
      Decode(1, Bytes({1}), Bytes({2}), ""),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("to a value that is no decimal")));
}

TEST_F(DecimalDeltaDecoderTest, RawColumnsSetTheLastBitsAndVoidTheDecimal) {
  Scrape raw;
  RawColumnEncoder().Encode(1, std::vector<double>{2, StaleMarker(), 9}, std::vector<uint64_t>{4},
                            raw);
  ASSERT_THAT(decoder_.Decode(1, 3, raw, out_), IsOk());
  ExpectCrcOf({2, 0, 5});
  // The stale and the absent one are as before: 0, a decimal.
  ASSERT_THAT(Decode(3, Bytes({0x10}), Bytes({10}), ""), IsOk());
  EXPECT_THAT(Decode(3, Bytes({1}), Bytes({2}), ""), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(DecimalDeltaDecoderTest, RefusesBothKindsOfColumnsInARecord) {
  Scrape scrape;
  RawColumnEncoder().Encode(1, std::vector<double>{2}, {}, scrape);
  scrape.set_control(Bytes({0}));
  EXPECT_THAT(decoder_.Decode(1, 1, scrape, out_), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(DecimalDeltaDecoderTest, TellsAWrongChecksumOfValues) {
  ExpectCrcOf({1});
  EXPECT_THAT(Decode(1, Bytes({0}), "", ""), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(DecimalDeltaDecoderTest, SurvivesRandomColumns) {
  std::mt19937_64 random(6);
  const auto bytes = [&random](size_t size) {
    std::string out;
    for (size_t i = 0; i < size; ++i) {
      const uint64_t byte = random();
      out.push_back(static_cast<char>(random() % 2 == 0 ? byte % 6 : byte));
    }
    return out;
  };
  for (int i = 0; i < 50'000; ++i) {
    const size_t positions = 1 + random() % 20;
    decoder_.Reset();
    Decode(positions, bytes((positions + 3) / 4), bytes(random() % 30), bytes(random() % 30))
        .IgnoreError();
  }
}

TEST_F(DecimalDeltaDecoderTest, ADamagedRecordIsRefusedOrDecodesToTheSameValues) {
  std::mt19937_64 random(7);
  std::vector<double> values;
  for (int i = 0; i < 40; ++i) values.push_back(static_cast<double>(random() % 1'000) / 8);
  values.insert(values.end(), {1.0 / 3, kInfinity, -0.0, StaleMarker()});
  Scrape scrape;
  DecimalDeltaEncoder().Encode(1, values, {}, scrape);
  const std::string good = scrape.SerializeAsString();
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    Scrape damaged;
    if (!damaged.ParseFromString(bad)) continue;
    decoder_.Reset();
    if (!decoder_.Decode(1, values.size(), damaged, out_).ok()) continue;
    for (size_t p = 0; p < values.size(); ++p) {
      if (IsStaleMarker(values[p]) || BitIsSet(out_.absent, p)) continue;
      ASSERT_EQ(Bits(out_.values[p]), Bits(values[p])) << "bit " << bit;
    }
  }
}

}  // namespace
}  // namespace trawl

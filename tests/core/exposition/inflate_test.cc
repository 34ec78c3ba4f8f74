#include "core/exposition/inflate.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/fakes/gzip.h"

namespace trawl {
namespace {

std::string Page(size_t size) {
  std::string page;
  for (int i = 0; page.size() < size; ++i) page += "metric_" + std::to_string(i * 7919) + " 1\n";
  page.resize(size);
  return page;
}

// Both inflaters as one function: text, or the error.
std::string InflateWhole(std::string_view gzip, uint64_t limit, size_t hint = 0) {
  Gunzip gunzip;
  ByteBuffer out;
  const absl::Status status = gunzip.Inflate(gzip, hint, limit, out);
  return status.ok() ? std::string(out.view()) : "error: " + std::string(status.message());
}

std::string InflateSliced(std::string_view gzip, uint64_t limit, size_t slice) {
  ByteBuffer out;
  SlicedGunzip gunzip(gzip, limit, out);
  while (true) {
    const size_t before = out.size();
    const absl::StatusOr<bool> done = gunzip.Step(slice);
    if (!done.ok()) return "error: " + std::string(done.status().message());
    EXPECT_LE(out.size() - before, slice);
    if (*done) return std::string(out.view());
  }
}

TEST(InflateTest, GivesTheTextBackWhateverTheHint) {
  for (const size_t size : {0, 1, 100, 16384, 100000, 3000000}) {
    const std::string page = Page(size);
    const std::string gzip = Gzip(page);

    EXPECT_TRUE(InflateWhole(gzip, 0) == page) << size;
    EXPECT_TRUE(InflateWhole(gzip, 0, size) == page) << size;
    EXPECT_TRUE(InflateSliced(gzip, 0, kSliceBytes) == page) << size;
  }
  const std::string page = Page(5000);
  EXPECT_TRUE(InflateSliced(Gzip(page), 0, 7) == page);
}

TEST(InflateTest, ReadsAllMembers) {
  const std::string gzip = Gzip("a 1\n") + Gzip("b 2\n") + Gzip(Page(50000));

  EXPECT_TRUE(InflateWhole(gzip, 0) == "a 1\nb 2\n" + Page(50000));
  EXPECT_TRUE(InflateSliced(gzip, 0, 1000) == "a 1\nb 2\n" + Page(50000));
}

TEST(InflateTest, ABodyOfExactlyTheLimitIsOverIt) {
  for (const size_t size : {15, 100000}) {
    const std::string gzip = Gzip(Page(size));

    EXPECT_EQ(InflateWhole(gzip, size), "error: body size limit exceeded");
    EXPECT_EQ(InflateWhole(gzip, size - 5), "error: body size limit exceeded");
    EXPECT_TRUE(InflateWhole(gzip, size + 1) == Page(size));
    EXPECT_EQ(InflateSliced(gzip, size, 1000), "error: body size limit exceeded");
    EXPECT_EQ(InflateSliced(gzip, size - 5, 1000), "error: body size limit exceeded");
    EXPECT_TRUE(InflateSliced(gzip, size + 1, 1000) == Page(size));
  }
}

TEST(InflateTest, ABombTakesNoMoreThanTheLimit) {
  const std::string gzip = Gzip(std::string(64 << 20, 'a'));
  Gunzip gunzip;
  ByteBuffer out;

  EXPECT_FALSE(gunzip.Inflate(gzip, 0, 1 << 20, out).ok());

  EXPECT_LE(out.capacity(), size_t{1} << 20);
}

TEST(InflateTest, ALargerBufferFromAnotherTargetDoesNotRaiseTheLimit) {
  Gunzip gunzip;
  ByteBuffer out;
  out.Reserve(1 << 20);

  EXPECT_EQ(gunzip.Inflate(Gzip(Page(1000)), 0, 500, out).message(), "body size limit exceeded");
}

TEST(InflateTest, CorruptInputIsAnError) {
  const std::string gzip = Gzip(Page(10000));
  std::string flipped = gzip;
  flipped[gzip.size() / 2] = static_cast<char>(flipped[gzip.size() / 2] ^ 0x55);
  const std::string wrong_crc = gzip.substr(0, gzip.size() - 8) + std::string(8, 'x');

  for (const std::string& bad : {std::string(), std::string("plain text"), flipped, wrong_crc,
                                 gzip.substr(0, gzip.size() / 2), gzip.substr(0, 5),
                                 gzip.substr(0, gzip.size() - 1), gzip + "x"}) {
    EXPECT_TRUE(InflateWhole(bad, 0).starts_with("error:")) << bad.size();
    EXPECT_TRUE(InflateSliced(bad, 0, 1000).starts_with("error:")) << bad.size();
  }
}

}  // namespace
}  // namespace trawl

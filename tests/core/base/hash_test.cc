#include "core/base/hash.h"

#include <gtest/gtest.h>

#include <string>

namespace trawl {
namespace {

TEST(HashTest, Fnv1aGivesThePublishedVectors) {
  EXPECT_EQ(Fnv1a64(""), 0xcbf29ce484222325ull);
  EXPECT_EQ(Fnv1a64("a"), 0xaf63dc4c8601ec8cull);
  EXPECT_EQ(Fnv1a64("foobar"), 0x85944171f73967e8ull);
}

TEST(HashTest, Fnv1aGoesOnFromAState) {
  EXPECT_EQ(Fnv1a64("bar", Fnv1a64("foo")), Fnv1a64("foobar"));
}

TEST(HashTest, XxHash64GivesThePublishedVectors) {
  EXPECT_EQ(XxHash64(""), 0xef46db3751d8e999ull);
  EXPECT_EQ(XxHash64("a"), 0xd24ec4f1a98c6e5bull);
  EXPECT_EQ(XxHash64("as"), 0x1c330fb2d66be179ull);
  EXPECT_EQ(XxHash64("asd"), 0x631c37ce72a97393ull);
  EXPECT_EQ(XxHash64("asdf"), 0x415872f599cea71eull);
  EXPECT_EQ(XxHash64("Call me Ishmael. Some years ago--never mind how long precisely-"),
            0x02a2e85470d6fd96ull);
}

TEST(HashTest, Crc32cGivesThePublishedVectors) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

TEST(HashTest, Crc32cGoesOnFromACrc) {
  EXPECT_EQ(Crc32c("56789", Crc32c("1234")), Crc32c("123456789"));
}

TEST(HashTest, TextsHashByTheirKey) {
  EXPECT_EQ(HashText(HashKey{1}, "up"), HashText(HashKey{1}, "up"));
  EXPECT_NE(HashText(HashKey{1}, "up"), HashText(HashKey{2}, "up"));
  EXPECT_NE(HashKey::Random().seed, HashKey::Random().seed);
}

}  // namespace
}  // namespace trawl

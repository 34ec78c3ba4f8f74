#include "server/origin_check.h"

#include <gtest/gtest.h>

namespace trawl {
namespace {

TEST(OriginCheckTest, ProgramsSendNoOriginAndMayAct) {
  EXPECT_TRUE(MayAct("anything:1", "", "host"));
  EXPECT_TRUE(MayAct("", "", ""));
}

TEST(OriginCheckTest, ThePagesOfThisServerMayAct) {
  EXPECT_TRUE(MayAct("127.0.0.1:8730", "http://127.0.0.1:8730", "host"));
  EXPECT_TRUE(MayAct("[::1]:8730", "http://[::1]:8730", "host"));
  EXPECT_TRUE(MayAct("localhost:8730", "https://localhost:8730", "host"));
  EXPECT_TRUE(MayAct("localhost", "http://localhost", "host"));
  EXPECT_TRUE(MayAct("Host:8730", "http://host:8730", "host"));
}

TEST(OriginCheckTest, PagesOfOthersMayNot) {
  EXPECT_FALSE(MayAct("127.0.0.1:8730", "http://evil.example", "host"));
  EXPECT_FALSE(MayAct("127.0.0.1:8730", "http://127.0.0.1:9999", "host"));
  EXPECT_FALSE(MayAct("127.0.0.1:8730", "null", "host"));
  EXPECT_FALSE(MayAct("", "http://127.0.0.1", "host"));
}

TEST(OriginCheckTest, ANameThatIsMadeToPointHereIsNotThisServers) {
  EXPECT_FALSE(MayAct("evil.example:8730", "http://evil.example:8730", "host"));
  EXPECT_FALSE(MayAct("localhost.evil.example", "http://localhost.evil.example", ""));
}

}  // namespace
}  // namespace trawl

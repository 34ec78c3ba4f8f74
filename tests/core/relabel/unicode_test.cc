#include "core/relabel/unicode.h"

#include <gtest/gtest.h>

namespace trawl {
namespace {

TEST(UnicodeTest, MapsCodePointByCodePoint) {
  EXPECT_EQ(ToLowerUtf8("ÄÖÜ ΑΣ Я 1"), "äöü ασ я 1");
  EXPECT_EQ(ToUpperUtf8("äöü ας я 1"), "ÄÖÜ ΑΣ Я 1");
}

TEST(UnicodeTest, HasNoSpecialCases) {
  EXPECT_EQ(ToUpperUtf8("straße"), "STRAßE");
  EXPECT_EQ(ToLowerUtf8("İ"), "i");
  EXPECT_EQ(ToUpperUtf8("ŉ"), "ŉ");
}

TEST(UnicodeTest, ABadByteBecomesTheReplacementCharacter) {
  EXPECT_EQ(ToLowerUtf8("A\xff"
                        "B"),
            "a\xEF\xBF\xBD"
            "b");
}

TEST(UnicodeTest, KnowsLettersAndDigitsOfAllScripts) {
  EXPECT_TRUE(IsLetterOrDigit('a'));
  EXPECT_TRUE(IsLetterOrDigit(0x00DF));  // ß
  EXPECT_TRUE(IsLetterOrDigit(0x0663));  // Arabic-Indic three
  EXPECT_FALSE(IsLetterOrDigit('_'));
  EXPECT_FALSE(IsLetterOrDigit(0x00BD));  // ½
}

}  // namespace
}  // namespace trawl

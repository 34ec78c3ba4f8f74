#include "core/model/labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/hash/hash.h"
#include "core/base/hash.h"

namespace trawl {
namespace {

TEST(LabelsTest, AreSortedUniqueAndWithoutEmptyValues) {
  const Labels labels = {{"b", "2"}, {"a", "1"}, {"c", ""}, {"b", "3"}};

  EXPECT_EQ(labels.ToString(), R"({a="1", b="3"})");
  EXPECT_EQ(labels.size(), 2u);
}

TEST(LabelsTest, GetGivesAnEmptyValueForWhatIsNotThere) {
  const Labels labels = {{"a", "1"}, {"c", "3"}};

  EXPECT_EQ(labels.Get("a"), "1");
  EXPECT_EQ(labels.Get("b"), "");
  EXPECT_EQ(labels.Get("d"), "");
  EXPECT_TRUE(labels.Has("c"));
  EXPECT_FALSE(labels.Has("b"));
  EXPECT_FALSE(Labels().Has(""));
}

TEST(LabelsTest, PrintQuotesValuesAndNamesThatNeedIt) {
  const Labels labels = {{"a", "say \"hi\"\n"}, {"dotted.name", "x"}};

  EXPECT_EQ(labels.ToString(), R"({a="say \"hi\"\n", "dotted.name"="x"})");
  EXPECT_EQ(Labels().ToString(), "{}");
}

TEST(LabelsTest, HashIsThatOfPrometheus) {
  const Labels labels = {{"foo", "bar"}, {"baz", "qux"}};

  EXPECT_EQ(labels.Hash(), XxHash64("\3baz\3qux\3foo\3bar"));
  const std::string longer(0x102, 'x');
  EXPECT_EQ(Labels({{"a", longer}}).Hash(), XxHash64("\1a\xff\2\1" + std::string(1, 0) + longer));
  EXPECT_EQ(labels.Hash(), Labels({{"baz", "qux"}, {"foo", "bar"}}).Hash());
  EXPECT_NE(labels.Hash(), Labels({{"bar", "baz"}, {"foo", "qux"}}).Hash());
  EXPECT_EQ(Labels().Hash(), 0xef46db3751d8e999ull);
}

TEST(LabelsTest, EqualSetsAreEqualAndHashAlike) {
  const Labels a = {{"x", "1"}, {"y", "2"}};
  const Labels b = {{"y", "2"}, {"x", "1"}};

  EXPECT_EQ(a, b);
  EXPECT_EQ(absl::HashOf(a), absl::HashOf(b));
  EXPECT_LT(a, Labels({{"x", "2"}}));
}

TEST(LabelsBuilderTest, SetsReplacesAndDeletes) {
  LabelsBuilder builder(Labels{{"a", "1"}, {"b", "2"}});
  builder.Set("c", "3").Set("a", "9").Set("b", "").Delete("missing");

  EXPECT_EQ(builder.Get("a"), "9");
  EXPECT_EQ(builder.Get("b"), "");
  EXPECT_EQ(builder.Build(), Labels({{"a", "9"}, {"c", "3"}}));

  builder.Reset(Labels{{"z", "1"}});
  EXPECT_EQ(std::move(builder).Build(), Labels({{"z", "1"}}));
}

TEST(LabelsBuilderTest, ResetTakesLabelsAsSetOneByOneWould) {
  LabelsBuilder builder(Labels{{"gone", "1"}});

  builder.Reset(std::vector<Label>{
      {"b", "1"}, {"a", "2"}, {"b", "3"}, {"c", ""}, {"a", ""}, {"b", ""}, {"z", "4"}});
  EXPECT_EQ(builder.Build(), Labels({{"a", "2"}, {"b", "3"}, {"z", "4"}}));

  builder.Reset(std::vector<Label>{{"a", "1"}, {"a", "2"}, {"b", "3"}});
  EXPECT_EQ(builder.Build(), Labels({{"a", "2"}, {"b", "3"}}));
  builder.Reset(std::vector<Label>{});
  EXPECT_TRUE(builder.empty());
}

TEST(LabelsBuilderTest, ANameMayBeAViewOfItsOwnValue) {
  LabelsBuilder builder(Labels{{"a", "b"}});
  const std::string value(builder.Get("a"));

  builder.Set(value, "x");

  EXPECT_EQ(builder.Build(), Labels({{"a", "b"}, {"b", "x"}}));
}

TEST(LabelsTest, LegacyNamesAreLettersDigitsAndUnderscores) {
  for (const char* name : {"a", "_", "A_9", "__name__"}) {
    EXPECT_TRUE(IsValidLabelName(name, NameValidation::kLegacy)) << name;
  }
  for (const char* name : {"", "9a", "a-b", "a:b", "größe", "a.b"}) {
    EXPECT_FALSE(IsValidLabelName(name, NameValidation::kLegacy)) << name;
  }
  EXPECT_TRUE(IsValidMetricName("job:up:sum", NameValidation::kLegacy));
  EXPECT_FALSE(IsValidMetricName("a b", NameValidation::kLegacy));
}

TEST(LabelsTest, Utf8NamesAreAnyTextThatIsNotEmpty) {
  for (const char* name : {"9a", "a-b", "größe", "a.b", " "}) {
    EXPECT_TRUE(IsValidLabelName(name, NameValidation::kUtf8)) << name;
    EXPECT_TRUE(IsValidMetricName(name, NameValidation::kUtf8)) << name;
  }
  for (const char* name : {"", "\xff"}) {
    EXPECT_FALSE(IsValidLabelName(name, NameValidation::kUtf8)) << name;
    EXPECT_FALSE(IsValidMetricName(name, NameValidation::kUtf8)) << name;
  }
}

TEST(LabelsTest, PublicLabelsHaveNoReservedOnes) {
  const Labels labels = {{"__address__", "x:1"}, {"_one", "1"}, {"job", "j"}};

  EXPECT_EQ(PublicLabels(labels), Labels({{"_one", "1"}, {"job", "j"}}));
}

}  // namespace
}  // namespace trawl

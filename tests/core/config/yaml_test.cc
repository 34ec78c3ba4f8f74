#include "core/config/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "core/config/yaml_scalar.h"

namespace trawl {
namespace {

using Kind = YamlNode::Kind;

YamlNode::Ptr Parse(std::string_view text) {
  YamlDocument document = ParseYaml(text, "");
  EXPECT_FALSE(document.problem) << document.problem->ToString();
  return document.root;
}

std::string Problem(std::string_view text) {
  const YamlDocument document = ParseYaml(text, "f.yml");
  return document.problem ? document.problem->ToString() : "";
}

std::string Repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out.append(text);
  return out;
}

TEST(ParseYamlTest, KeepsOrderTextAndPlace) {
  const YamlNode::Ptr root = Parse("b: 1\na:\n  - x\n  - 'y'\n");

  ASSERT_EQ(root->kind, Kind::kMap);
  ASSERT_EQ(root->entries.size(), 2u);
  EXPECT_EQ(root->entries[0].key, "b");
  EXPECT_EQ(root->entries[1].key, "a");
  EXPECT_EQ(root->entries[1].mark.line, 2);
  const YamlNode& y = *root->entries[1].value->items.at(1);
  EXPECT_EQ(y.text, "y");
  EXPECT_TRUE(y.quoted);
  EXPECT_EQ(y.mark.line, 4);
  EXPECT_EQ(y.mark.column, 5);
}

TEST(ParseYamlTest, EmptyTextIsANull) {
  EXPECT_TRUE(Parse("")->is_null());
  EXPECT_TRUE(Parse("# only a comment\n")->is_null());
  EXPECT_TRUE(Parse("---\n")->is_null());
}

TEST(ParseYamlTest, ANullStandsWhereItsDashIs) {
  const YamlNode::Ptr root = Parse("a:\n  -   # nothing\n\n# more\nb: 1\n");

  const YamlNode& null = *root->entries[0].value->items.at(0);
  EXPECT_TRUE(null.is_null());
  EXPECT_EQ(null.mark.line, 2);
  EXPECT_EQ(null.mark.column, 3);
}

TEST(ParseYamlTest, AliasesAreTheNodeTheyName) {
  const YamlNode::Ptr root = Parse("a: &x [1, 2]\nb: *x\n");

  EXPECT_EQ(root->entries[0].value, root->entries[1].value);
}

TEST(ParseYamlTest, MergedKeysGiveWayToWrittenOnes) {
  const YamlNode::Ptr root =
      Parse("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\nc: {<<: [*x, {r: 4}]}\n");

  const YamlNode& b = *root->entries[1].value;
  ASSERT_EQ(b.entries.size(), 2u);
  EXPECT_EQ(b.entries[0].key, "q");
  EXPECT_EQ(b.entries[0].value->text, "3");
  EXPECT_EQ(b.entries[1].key, "p");
  EXPECT_EQ(root->entries[2].value->entries.size(), 3u);
}

TEST(ParseYamlTest, ABlockScalarKeepsItsLastNewline) {
  EXPECT_EQ(Parse("a: |\n  x\n  y\n")->entries[0].value->text, "x\ny\n");
  EXPECT_EQ(Parse("a: |-\n  x\n")->entries[0].value->text, "x");
}

TEST(ParseYamlTest, SyntaxErrorsHaveAPlace) {
  EXPECT_THAT(Problem("a: 1\n\tb: 2\n"), testing::StartsWith("f.yml: line 2, column "));
  EXPECT_THAT(Problem("a: [1, 2\nb: 3\n"), testing::StartsWith("f.yml: line "));
}

TEST(ParseYamlTest, AnOpenQuoteDoesNotSwallowTheRestOfTheFile) {
  EXPECT_THAT(Problem("a: 'x\nb: 1\n"), testing::HasSubstr("EOF"));
  EXPECT_THAT(Problem("a: \"x\nb: 1"), testing::HasSubstr("EOF"));
}

TEST(ParseYamlTest, RefusesBytesThatAreNoText) {
  EXPECT_EQ(Problem("a: 1\nb: \xff\n"), "f.yml: line 2, column 1: the line is not valid UTF-8");
  EXPECT_EQ(Problem(std::string_view("a: 1\nb: \0", 9)),
            "f.yml: line 2, column 4: control characters are not allowed");
}

TEST(ParseYamlTest, RefusesDeepNesting) {
  const std::string problem = "nested deeper than 64 levels";
  EXPECT_THAT(Problem(Repeat("[", 100000)), testing::HasSubstr(problem));
  EXPECT_THAT(Problem(Repeat("{a: ", 100000)), testing::HasSubstr(problem));
  EXPECT_THAT(Problem(Repeat("- ", 100000)), testing::HasSubstr(problem));
  EXPECT_THAT(Problem(Repeat("? ", 100000)), testing::HasSubstr(problem));
  EXPECT_EQ(Problem(Repeat("[", 65) + Repeat("]", 65)),
            "f.yml: line 1, column 65: nested deeper than 64 levels");
  EXPECT_EQ(Problem(Repeat("[", 64) + Repeat("]", 64)), "");
}

TEST(ParseYamlTest, RefusesAnAliasBomb) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string previous = "*a" + std::to_string(i - 1);
    const std::string name = "a" + std::to_string(i);
    bomb += name + ": &" + name + " [" + Repeat(previous + ", ", 9) + previous + "]\n";
  }
  EXPECT_THAT(Problem(bomb), testing::HasSubstr("nodes, aliases written out"));
}

TEST(ParseYamlTest, RefusesANodeThatContainsItself) {
  EXPECT_EQ(Problem("a: &a [*a]\n"), "f.yml: line 1, column 8: alias of a node that contains it");
}

TEST(ParseYamlTest, RefusesKeysThatAreNoScalars) {
  EXPECT_EQ(Problem("? [a, b]\n: c\n"), "f.yml: line 1, column 3: a key must be a scalar");
}

TEST(ParseYamlTest, RefusesMergingWhatIsNoMap) {
  EXPECT_THAT(Problem("a: {<<: 1}\n"), testing::HasSubstr("map merge requires map"));
}

TEST(ParseYamlTest, RefusesBinaryValues) {
  EXPECT_THAT(Problem("a: !!binary \"/w==\"\n"), testing::HasSubstr("!!binary"));
}

YamlNode::Ptr Scalar(std::string_view text) { return Parse(text); }

TEST(ScalarTest, BooleansAreYaml11) {
  EXPECT_EQ(ScalarBool(*Scalar("yes")), true);
  EXPECT_EQ(ScalarBool(*Scalar("Off")), false);
  EXPECT_EQ(ScalarBool(*Scalar("'yes'")), std::nullopt);
  EXPECT_EQ(ScalarBool(*Scalar("yEs")), std::nullopt);
}

TEST(ScalarTest, NumbersAreReadAsGoReadsThem) {
  EXPECT_EQ(ScalarUint(*Scalar("10")), 10u);
  EXPECT_EQ(ScalarUint(*Scalar("1_000")), 1000u);
  EXPECT_EQ(ScalarUint(*Scalar("0x1F")), 31u);
  EXPECT_EQ(ScalarUint(*Scalar("010")), 8u);
  EXPECT_EQ(ScalarUint(*Scalar("1e3")), 1000u);
  EXPECT_EQ(ScalarUint(*Scalar("1.5")), std::nullopt);
  EXPECT_EQ(ScalarUint(*Scalar("-1")), std::nullopt);
  EXPECT_EQ(ScalarUint(*Scalar("'1'")), std::nullopt);
  EXPECT_EQ(ScalarUint(*Scalar("18446744073709551616")), std::nullopt);
}

TEST(ScalarTest, TagsAreGos) {
  EXPECT_EQ(Scalar("abc")->Describe(), "!!str `abc`");
  EXPECT_EQ(Scalar("-1")->Describe(), "!!int `-1`");
  EXPECT_EQ(Scalar("1.5")->Describe(), "!!float `1.5`");
  EXPECT_EQ(Scalar("true")->Describe(), "!!bool `true`");
  EXPECT_EQ(Scalar("[1]")->Describe(), "!!seq");
  EXPECT_EQ(Scalar("{a: 1}")->Describe(), "!!map");
}

}  // namespace
}  // namespace trawl

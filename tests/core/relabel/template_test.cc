#include "core/relabel/template.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace trawl {
namespace {

// Expands against the groups of `(x)(?P<name>y)(?P<größe>z)` having matched `xyz`.
std::string Expand(std::string_view text) {
  const ReplacementTemplate::Groups groups = {3, {{"name", 2}, {"größe", 3}}};
  const std::vector<std::string_view> captures = {"xyz", "x", "y", "z"};
  return ReplacementTemplate(text, groups).Expand(captures);
}

struct Case {
  std::string_view text;
  std::string_view expanded;
};

TEST(ReplacementTemplateTest, ExpandsAsGoDoes) {
  const std::vector<Case> cases = {
      {"", ""},          {"plain", "plain"}, {"$0", "xyz"},        {"$1", "x"},     {"${1}", "x"},
      {"a${1}b", "axb"}, {"$1$2", "xy"},     {"$1x", ""},          {"${1}x", "xx"}, {"$1_", ""},
      {"$1-$2", "x-y"},  {"$name", "y"},     {"${name}!", "y!"},   {"$names", ""},  {"$größe", "z"},
      {"${größe}", "z"}, {"$4", ""},         {"$99999999999", ""}, {"$01", ""},     {"$$", "$"},
      {"$$1", "$1"},     {"$$$1", "$x"},     {"$", "$"},           {"a$", "a$"},    {"${", "${"},
      {"${}", "${}"},    {"${1", "${1"},     {"${1 }", "${1 }"},   {"$-1", "$-1"},  {"$ 1", "$ 1"},
  };
  for (const Case& test : cases) EXPECT_EQ(Expand(test.text), test.expanded) << test.text;
}

TEST(ReplacementTemplateTest, KnowsItsHighestGroup) {
  const ReplacementTemplate::Groups groups = {3, {{"name", 2}}};

  EXPECT_EQ(ReplacementTemplate("none", groups).max_group(), 0);
  EXPECT_EQ(ReplacementTemplate("$1 $name", groups).max_group(), 2);
  EXPECT_EQ(ReplacementTemplate("$9", groups).max_group(), 0);
}

}  // namespace
}  // namespace trawl

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/section.h"

namespace trawl {
namespace {

std::optional<std::string> Env(std::string_view name) {
  if (name == "HOME_1") return "home";
  if (name == "1") return "one";
  if (name == "EMPTY") return "";
  return std::nullopt;
}

std::string Expand(std::string_view text) {
  std::vector<std::string> missing;
  return ExpandEnv(text, Env, missing);
}

struct Case {
  std::string_view text;
  std::string_view expanded;
};

TEST(ExpandEnvTest, ExpandsAsGoDoes) {
  const std::vector<Case> cases = {
      {"", ""},
      {"plain", "plain"},
      {"$HOME_1", "home"},
      {"${HOME_1}", "home"},
      {"a-$HOME_1-b", "a-home-b"},
      {"a${HOME_1}b", "ahomeb"},
      {"$1x", "onex"},
      {"$$", "$"},
      {"$$HOME_1", "$HOME_1"},
      {"${$}", "$"},
      {"$", "$"},
      {"a$", "a$"},
      {"$ x", "$ x"},
      {"$UNSET", ""},
      {"${UNSET}!", "!"},
      {"a${}b", "ab"},
      {"a${HOME", "aHOME"},
  };
  for (const Case& test : cases) EXPECT_EQ(Expand(test.text), test.expanded) << test.text;
}

TEST(ExpandEnvTest, TellsWhichVariablesAreEmpty) {
  std::vector<std::string> missing;

  ExpandEnv("$HOME_1 $EMPTY ${NONE}", Env, missing);

  EXPECT_THAT(missing, testing::ElementsAre("EMPTY", "NONE"));
}

TEST(ExpandEnvTest, WithoutALookupEveryVariableIsEmpty) {
  std::vector<std::string> missing;

  EXPECT_EQ(ExpandEnv("a$HOME_1", {}, missing), "a");
}

}  // namespace
}  // namespace trawl

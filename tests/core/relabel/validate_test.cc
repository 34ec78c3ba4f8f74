#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/model/labels.h"
#include "core/relabel/relabel.h"

namespace trawl {
namespace {

using enum RelabelAction;

std::string Problem(const RelabelConfig& config, NameValidation names = NameValidation::kUtf8) {
  return std::string(ValidateRelabelConfig(config, names).message());
}

struct Case {
  RelabelConfig config;
  std::string_view problem;  // "" when it is valid
  NameValidation names = NameValidation::kUtf8;
};

// TestRelabelValidate's, and one for each rule of the list in the spec.
TEST(ValidateRelabelConfigTest, SaysWhatPrometheusSays) {
  const NameValidation legacy = NameValidation::kLegacy;
  const std::vector<Case> cases = {
      {{.target_label = "x", .action = kHashMod},
       "relabel configuration for hashmod requires non-zero modulus"},
      {{}, "relabel configuration for replace action requires 'target_label' value"},
      {{.action = kLowercase},
       "relabel configuration for lowercase action requires 'target_label' value"},
      {{.modulus = 2, .action = kHashMod},
       "relabel configuration for hashmod action requires 'target_label' value"},
      {{.action = kKeepEqual},
       "relabel configuration for keepequal action requires 'target_label' value"},
      {{.target_label = "${3}", .action = kLowercase}, ""},
      {{.target_label = "${3}", .action = kLowercase},
       R"("${3}" is invalid 'target_label' for lowercase action)",
       legacy},
      {{.regex = "some-([^-]+)-([^,]+)", .target_label = "${3}", .replacement = "${1}"}, ""},
      {{.regex = "some-([^-]+)-([^,]+)", .target_label = "${3}", .replacement = "${1}"},
       "",
       legacy},
      {{.target_label = "0${3}", .replacement = "${1}"}, ""},
      {{.target_label = "0${3}", .replacement = "${1}"},
       R"("0${3}" is invalid 'target_label' for replace action)",
       legacy},
      {{.target_label = "-${3}", .replacement = "${1}"}, ""},
      {{.target_label = "-${3}", .replacement = "${1}"},
       R"("-${3}" is invalid 'target_label' for replace action)",
       legacy},
      {{.target_label = "a.b"}, R"("a.b" is invalid 'target_label' for replace action)", legacy},
      {{.target_label = "a\xff"}, R"("a\xff" is invalid 'target_label' for replace action)"},
      {{.target_label = "x", .replacement = "y", .action = kUppercase},
       "'replacement' can not be set for uppercase action"},
      {{.target_label = "x", .replacement = "y", .action = kDropEqual},
       "'replacement' can not be set for dropequal action"},
      {{.replacement = "-$1", .action = kLabelMap},
       R"("-$1" is invalid 'replacement' for labelmap action)",
       legacy},
      {{.replacement = "", .action = kLabelMap},
       R"("" is invalid 'replacement' for labelmap action)"},
      {{.modulus = 2, .target_label = "a.b", .action = kHashMod},
       R"("a.b" is invalid 'target_label' for hashmod action)",
       legacy},
      {{.target_label = "x", .action = kKeepEqual, .regex_set = true},
       "keepequal action requires only 'source_labels' and `target_label`, and no other fields"},
      {{.separator = ",", .target_label = "x", .action = kDropEqual},
       "dropequal action requires only 'source_labels' and `target_label`, and no other fields"},
      {{.source_labels = {"a"}, .action = kLabelDrop},
       "labeldrop action requires only 'regex', and no other fields"},
      {{.target_label = "a", .action = kLabelKeep},
       "labelkeep action requires only 'regex', and no other fields"},
      {{.regex = "a.*", .action = kLabelKeep, .regex_set = true}, ""},
      {{.source_labels = {"a"}, .regex = "x", .action = kKeep, .regex_set = true}, ""},
      {{.regex = "a[", .action = kKeep}, R"(error parsing regexp "a[": missing ]: [)$)"},
  };
  for (const Case& test : cases) {
    EXPECT_EQ(Problem(test.config, test.names), test.problem)
        << RelabelActionName(test.config.action) << " " << test.config.target_label;
  }
}

// TestTargetLabelLegacyValidity.
TEST(ValidateRelabelConfigTest, LegacyTemplatesAreWordsWithGroups) {
  const auto is_valid = [](std::string_view target) {
    return Problem({.target_label = std::string(target)}, NameValidation::kLegacy).empty();
  };
  for (const std::string_view valid :
       {"label", "label${1}", "${1}label", "${1}", "$1", "asd$2asd", "_${1}_", "foo${bar}foo"}) {
    EXPECT_TRUE(is_valid(valid)) << valid;
  }
  for (const std::string_view invalid :
       {"-label", "${", "$", "${}", "foo${", "-foo${1}bar-", "bar.foo${1}bar"}) {
    EXPECT_FALSE(is_valid(invalid)) << invalid;
  }
}

TEST(RelabelActionTest, NamesAreReadInAnyCase) {
  ASSERT_TRUE(ParseRelabelAction("HashMod").ok());
  EXPECT_EQ(*ParseRelabelAction("HashMod"), kHashMod);
  EXPECT_EQ(*ParseRelabelAction("KEEP"), kKeep);
}

TEST(RelabelActionTest, AnUnknownNameIsAnError) {
  EXPECT_EQ(std::string(ParseRelabelAction("mangle").status().message()),
            "unknown relabel action \"mangle\"");
}

TEST(RelabelActionTest, EveryActionIsReadBackFromItsName) {
  for (const RelabelAction action : {kReplace, kKeep, kDrop, kKeepEqual, kDropEqual, kHashMod,
                                     kLabelMap, kLabelDrop, kLabelKeep, kLowercase, kUppercase}) {
    EXPECT_EQ(*ParseRelabelAction(RelabelActionName(action)), action);
  }
}

}  // namespace
}  // namespace trawl

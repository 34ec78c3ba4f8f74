#include "server/access/access_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

PushRule Rule(std::string_view text) { return *ParsePushRule(text); }

TEST(ParsePushRuleTest, TakesSourcesAndJobsWhichAreAllByDefault) {
  const PushRule whole = Rule("pusher");
  const PushRule narrow = Rule("spiffe://x/y  sources=k8s-*,ops jobs=node");

  EXPECT_EQ(whole.name, "pusher");
  EXPECT_THAT(whole.sources, ElementsAre("*"));
  EXPECT_THAT(whole.jobs, ElementsAre("*"));
  EXPECT_EQ(narrow.name, "spiffe://x/y");
  EXPECT_THAT(narrow.sources, ElementsAre("k8s-*", "ops"));
  EXPECT_THAT(narrow.jobs, ElementsAre("node"));
}

TEST(ParsePushRuleTest, SaysWhatIsWrong) {
  EXPECT_THAT(ParsePushRule("").status().message(), HasSubstr("want NAME"));
  EXPECT_THAT(ParsePushRule("a source=b").status().message(), HasSubstr("\"source=b\""));
  EXPECT_THAT(ParsePushRule("a jobs=").status().message(), HasSubstr("jobs= has an empty item"));
  EXPECT_THAT(ParsePushRule("a jobs=x,,y").status().message(), HasSubstr("empty item"));
}

TEST(AccessPolicyTest, WithoutRulesEverybodyMayDoAll) {
  const AccessPolicy policy;

  EXPECT_OK(policy.MayView({}));
  EXPECT_OK(policy.MayOperate({}));
  EXPECT_OK(policy.MayPush({}, "ops"));
  EXPECT_TRUE(policy.MayPushInto({}, "ops", "node"));
}

TEST(AccessPolicyTest, WhereNamesAreRequiredNobodyWithoutOneMayDoAnything) {
  const AccessPolicy policy({}, /*names_required=*/true);

  EXPECT_EQ(policy.MayView({}).code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(policy.MayOperate({}).code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(policy.MayPush({}, "ops").code(), absl::StatusCode::kUnauthenticated);
  EXPECT_FALSE(policy.MayPushInto({}, "ops", "node"));
  EXPECT_OK(policy.MayOperate({{"anybody"}}));
}

TEST(AccessPolicyTest, RolesAreSeparateButThatAnOperatorLooks) {
  const AccessPolicy policy({.push = {Rule("pusher")}, .viewers = {"eye"}, .operators = {"op"}});

  EXPECT_OK(policy.MayView({{"eye"}}));
  EXPECT_OK(policy.MayView({{"op"}}));
  EXPECT_OK(policy.MayOperate({{"op"}}));
  EXPECT_OK(policy.MayPush({{"pusher"}}, "any"));
  EXPECT_EQ(policy.MayView({{"pusher"}}).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(policy.MayOperate({{"eye"}}).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(policy.MayPush({{"op"}}, "any").code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(policy.MayView({}).code(), absl::StatusCode::kUnauthenticated);
}

TEST(AccessPolicyTest, APushRuleHoldsForItsSourcesAndJobsAlone) {
  const AccessPolicy policy({.push = {Rule("a sources=k8s-* jobs=node,web-*"),
                                      Rule("a sources=ops"), Rule("b sources=k8s-eu")}});

  EXPECT_OK(policy.MayPush({{"a"}}, "k8s-eu"));
  EXPECT_EQ(policy.MayPush({{"a"}}, "consul").code(), absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(policy.MayPushInto({{"a"}}, "k8s-eu", "node"));
  EXPECT_TRUE(policy.MayPushInto({{"a"}}, "k8s-eu", "web-1"));
  EXPECT_FALSE(policy.MayPushInto({{"a"}}, "k8s-eu", "db"));
  EXPECT_TRUE(policy.MayPushInto({{"a"}}, "ops", "db"));
  EXPECT_TRUE(policy.MayPushInto({{"x", "b"}}, "k8s-eu", "db"));
}

TEST(AccessPolicyTest, WhoHasNoPushRuleMayPushNothing) {
  const AccessPolicy policy({.push = {Rule("a sources=k8s-*")}, .viewers = {"eye"}});

  EXPECT_OK(policy.MayPushSomething({{"x", "a"}}));
  EXPECT_EQ(policy.MayPushSomething({{"eye"}}).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(policy.MayPushSomething({}).code(), absl::StatusCode::kUnauthenticated);
  EXPECT_OK(AccessPolicy().MayPushSomething({}));
}

TEST(AccessPolicyTest, AStarStandsForAnyRunOfCharacters) {
  const auto may = [](std::string_view pattern, std::string_view source) {
    const AccessPolicy policy({.push = {PushRule{"a", {std::string(pattern)}, {"*"}}}});
    return policy.MayPush({{"a"}}, source).ok();
  };

  EXPECT_TRUE(may("*", ""));
  EXPECT_TRUE(may("a*b*c", "a-b-bc"));
  EXPECT_TRUE(may("a*", "a"));
  EXPECT_FALSE(may("a*b", "a-bc"));
  EXPECT_FALSE(may("", "a"));
  EXPECT_FALSE(may("ab", "a"));
  EXPECT_FALSE(may("a", "ab"));
}

TEST(AccessPolicyTest, ADenialNamesWhoAskedAndWhatFor) {
  const AccessPolicy policy({.operators = {"op"}});

  EXPECT_EQ(policy.MayPush({{"a", "b"}}, "ops").message(),
            "\"a\", \"b\" may not push the source \"ops\"");
}

}  // namespace
}  // namespace trawl

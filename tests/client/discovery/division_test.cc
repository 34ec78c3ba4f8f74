#include "client/discovery/division.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;

constexpr int kTargets = 5'000;

std::string Target(int i) { return absl::StrCat("10.", i / 250, ".7.", i % 250, ":9100"); }

std::vector<std::string> Addresses(size_t count) {
  std::vector<std::string> addresses;
  for (size_t i = 0; i < count; ++i) addresses.push_back(absl::StrCat("trawl-", i, ":8729"));
  return addresses;
}

std::set<std::string> OwnersOf(const Division& division, const std::string& target) {
  std::vector<size_t> owners;
  division.FindOwners("node", target, owners);
  std::set<std::string> names;
  for (const size_t owner : owners) names.insert(division.addresses()[owner]);
  EXPECT_EQ(names.size(), owners.size()) << "an owner is named twice";
  return names;
}

TEST(DivisionTest, AddingOneOfNMovesItsShareAndNothingElse) {
  for (const size_t replicas : {1u, 2u, 3u}) {
    for (size_t n = replicas; n <= 10; n += 3) {
      const Division before(Addresses(n), replicas);
      const Division after(Addresses(n + 1), replicas);
      const std::string added = absl::StrCat("trawl-", n, ":8729");
      int moved = 0;
      for (int i = 0; i < kTargets; ++i) {
        const std::set<std::string> old_owners = OwnersOf(before, Target(i));
        std::set<std::string> new_owners = OwnersOf(after, Target(i));
        if (new_owners == old_owners) continue;
        ++moved;
        ASSERT_EQ(new_owners.erase(added), 1u) << "moved between old addresses: " << Target(i);
        EXPECT_TRUE(std::includes(old_owners.begin(), old_owners.end(), new_owners.begin(),
                                  new_owners.end()));
      }
      // Each target has `replicas` owners: that share of all places moves.
      const double share = static_cast<double>(replicas) / static_cast<double>(n + 1);
      EXPECT_LE(moved, kTargets * (share + 0.05)) << n << " addresses, " << replicas << " replicas";
      EXPECT_GE(moved, kTargets * (share - 0.05)) << n << " addresses, " << replicas << " replicas";
    }
  }
}

TEST(DivisionTest, SharesAreBalanced) {
  for (const size_t replicas : {1u, 2u}) {
    for (size_t n = 2; n <= 16; n += 7) {
      const Division division(Addresses(n), replicas);
      std::vector<int> counts(n);
      std::vector<size_t> owners;
      for (int i = 0; i < kTargets; ++i) {
        division.FindOwners("node", Target(i), owners);
        for (const size_t owner : owners) ++counts[owner];
      }
      const double mean = static_cast<double>(kTargets * replicas) / static_cast<double>(n);
      for (size_t i = 0; i < n; ++i) {
        EXPECT_NEAR(counts[i], mean, mean * 0.2) << "address " << i << " of " << n;
      }
    }
  }
}

TEST(DivisionTest, EqualTargetsOfTwoJobsAreDividedIndependently) {
  const Division division(Addresses(2), 1);
  int equal = 0;
  for (int i = 0; i < kTargets; ++i) {
    equal += division.Owns("trawl-0:8729", "node", Target(i)) ==
             division.Owns("trawl-0:8729", "mysql", Target(i));
  }

  EXPECT_NEAR(equal, kTargets / 2.0, kTargets * 0.05);
}

TEST(DivisionTest, OrderAndRepetitionOfAddressesDoNotMatter) {
  const Division division({"b:1", "a:1", "b:1"}, 1);

  EXPECT_THAT(division.addresses(), ElementsAre("a:1", "b:1"));
  EXPECT_TRUE(division == Division({"a:1", "b:1"}, 1));
  EXPECT_FALSE(division == Division({"a:1", "b:1"}, 2));
}

TEST(DivisionTest, WithFewerAddressesThanReplicasAllOwnEach) {
  const Division division({"a:1", "b:1"}, 3);

  EXPECT_THAT(OwnersOf(division, "t:1"), ElementsAre("a:1", "b:1"));
}

TEST(DivisionTest, IsReadBackFromItsText) {
  const Division division({"unix:/run/a/b", "dns:///b:1"}, 2);

  ASSERT_TRUE(Division::FromText(division.ToText()).has_value());
  EXPECT_TRUE(*Division::FromText(division.ToText()) == division);
}

TEST(DivisionTest, OfManyAddressesTheTextIsAHash) {
  const Division division(Addresses(1000), 1);

  EXPECT_LT(division.ToText().size(), 64u);
  EXPECT_NE(division.ToText(), Division(Addresses(999), 1).ToText());
  EXPECT_FALSE(Division::FromText(division.ToText()).has_value());
}

TEST(DivisionTest, OtherTextsAreNoDivision) {
  for (const char* text : {"", "/", "rendezvous1", "rendezvous1/2", "rendezvous1/x/a:1",
                           "rendezvous2/1/a:1", "rendezvous1/1/"}) {
    EXPECT_FALSE(Division::FromText(text).has_value()) << text;
  }
}

// The owners of a target are a fact that two versions of a pusher must agree on.
TEST(DivisionTest, TheRuleDoesNotChange) {
  const Division division({"a:1", "b:1", "c:1"}, 1);
  std::string owners;
  for (int i = 0; i < 12; ++i) owners += OwnersOf(division, Target(i)).begin()->substr(0, 1);

  EXPECT_EQ(owners, "bbbaabcaaacc");
}

}  // namespace
}  // namespace trawl

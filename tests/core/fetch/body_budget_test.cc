#include "core/fetch/body_budget.h"

#include <gtest/gtest.h>

#include <optional>

namespace trawl {
namespace {

TEST(BodyBudgetTest, SharesGrowUpToTheLimitAndComeBack) {
  BodyBudget budget(100);
  std::optional<BodyBudget::Share> share(std::in_place, budget);

  EXPECT_TRUE(share->TryGrow(40));
  EXPECT_TRUE(share->TryGrow(60));
  EXPECT_TRUE(share->TryGrow(10));  // has it
  EXPECT_EQ(budget.used_bytes(), 60u);

  share.reset();
  EXPECT_EQ(budget.used_bytes(), 0u);
}

TEST(BodyBudgetTest, OneAtATimeGoesOnBeyondTheLimit) {
  BodyBudget budget(100);
  BodyBudget::Share first(budget);
  BodyBudget::Share second(budget);
  ASSERT_TRUE(first.TryGrow(50));
  ASSERT_TRUE(second.TryGrow(50));

  EXPECT_TRUE(first.TryGrow(1000));
  EXPECT_FALSE(second.TryGrow(51));
  EXPECT_TRUE(first.TryGrow(2000));
  EXPECT_EQ(budget.waits(), 1u);

  first.Reset();
  EXPECT_TRUE(second.TryGrow(51));
}

TEST(BodyBudgetTest, ThePlaceBeyondTheLimitIsFreeAgainWhenItsBodyIsDone) {
  BodyBudget budget(10);
  BodyBudget::Share kept(budget);
  BodyBudget::Share first(budget);
  BodyBudget::Share second(budget);
  kept.Grow(10);
  ASSERT_TRUE(first.TryGrow(5));
  ASSERT_FALSE(second.TryGrow(5));

  first.Reset();

  EXPECT_TRUE(second.TryGrow(5));
}

TEST(BodyBudgetTest, WhatComesBackIsToldOnlyToThoseWhoWait) {
  BodyBudget budget(10);
  int told = 0;
  budget.set_on_free([&] { ++told; });
  BodyBudget::Share first(budget);
  BodyBudget::Share second(budget);
  ASSERT_TRUE(first.TryGrow(20));
  first.Reset();
  EXPECT_EQ(told, 0);

  ASSERT_TRUE(first.TryGrow(20));
  ASSERT_FALSE(second.TryGrow(1));
  first.Reset();
  EXPECT_EQ(told, 1);
}

TEST(BodyBudgetTest, WhatIsThereAlreadyCountsThoughItDoesNotFit) {
  BodyBudget budget(10);
  BodyBudget::Share copy(budget);
  BodyBudget::Share other(budget);

  copy.Grow(50);
  EXPECT_EQ(budget.used_bytes(), 50u);
  EXPECT_TRUE(other.TryGrow(1));  // the one beyond
}

}  // namespace
}  // namespace trawl

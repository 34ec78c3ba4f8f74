#include "core/spool/spool_budget.h"

#include <gtest/gtest.h>

namespace trawl {
namespace {

TEST(SpoolBudgetTest, LeavesHalfOfWhatIsFreeAtTheStartAndKeepsWhatIsThere) {
  SpoolBudget budget(1'000);
  EXPECT_EQ(budget.max_bytes(), 1'000u);
  budget.NoteDisk(300, 400);
  EXPECT_EQ(budget.max_bytes(), 500u);
}

TEST(SpoolBudgetTest, WhatItTakesItselfDoesNotRaiseIt) {
  SpoolBudget budget(1'000);
  budget.NoteDisk(300, 400);
  budget.NoteDisk(500, 200);
  EXPECT_EQ(budget.max_bytes(), 500u);
}

TEST(SpoolBudgetTest, RisesUpToTheConfiguredWhenADiskThatWasFullIsFreed) {
  SpoolBudget budget(1'000);
  budget.NoteDisk(0, 0);
  EXPECT_EQ(budget.max_bytes(), 0u);
  budget.NoteDisk(0, 600);
  EXPECT_EQ(budget.max_bytes(), 300u);
  budget.NoteDisk(200, 10'000);
  EXPECT_EQ(budget.max_bytes(), 1'000u);
}

TEST(SpoolBudgetTest, NothingIsDroppedForWhoFillsTheDisk) {
  SpoolBudget budget(1'000);
  budget.NoteDisk(0, 800);
  budget.NoteDisk(400, 0);
  EXPECT_EQ(budget.max_bytes(), 400u);
}

}  // namespace
}  // namespace trawl

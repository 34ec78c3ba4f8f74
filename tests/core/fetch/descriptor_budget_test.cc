#include "core/fetch/descriptor_budget.h"

#include <gtest/gtest.h>

namespace trawl {
namespace {

TEST(DescriptorBudgetTest, GivesAsManyAsItsLimit) {
  DescriptorBudget budget(2);

  EXPECT_TRUE(budget.TryAcquire());
  EXPECT_TRUE(budget.TryAcquire());
  EXPECT_FALSE(budget.TryAcquire());
  budget.Release();
  EXPECT_TRUE(budget.TryAcquire());
}

TEST(DescriptorBudgetTest, NotifiesOnceWhenOneIsFree) {
  DescriptorBudget budget(1);
  ASSERT_TRUE(budget.TryAcquire());
  int notified = 0;
  budget.NotifyWhenFree([&] { ++notified; });

  EXPECT_TRUE(budget.UnderPressure());
  EXPECT_EQ(notified, 0);
  budget.Release();
  EXPECT_EQ(notified, 1);
  EXPECT_FALSE(budget.UnderPressure());
}

TEST(DescriptorBudgetTest, NotifiesAtOnceWhenOneIsFreeAlready) {
  DescriptorBudget budget(1);
  int notified = 0;
  budget.NotifyWhenFree([&] { ++notified; });

  EXPECT_EQ(notified, 1);
}

TEST(DescriptorBudgetTest, ACancelledWaiterIsNotNotified) {
  DescriptorBudget budget(1);
  ASSERT_TRUE(budget.TryAcquire());
  int notified = 0;
  budget.CancelNotify(budget.NotifyWhenFree([&] { ++notified; }));
  budget.Release();

  EXPECT_EQ(notified, 0);
}

TEST(DescriptorBudgetTest, OverheadHasALimitOfItsOwn) {
  DescriptorBudget budget(1, 4);

  EXPECT_TRUE(budget.TryTakeOverhead(2));
  EXPECT_TRUE(budget.TryTakeOverhead(2));
  EXPECT_FALSE(budget.TryTakeOverhead(2));
  EXPECT_TRUE(budget.TryAcquire());
  budget.ReturnOverhead(2);
  EXPECT_TRUE(budget.TryTakeOverhead(2));
}

TEST(DescriptorBudgetTest, SocketsGoWithoutWhatOverheadTakesBeyondItsLimit) {
  DescriptorBudget budget(2, 0);
  budget.TakeOverhead(2);
  EXPECT_FALSE(budget.TryAcquire());
  int notified = 0;
  budget.NotifyWhenFree([&] { ++notified; });

  budget.ReturnOverhead(2);

  EXPECT_EQ(notified, 1);
  EXPECT_TRUE(budget.TryAcquire());
}

}  // namespace
}  // namespace trawl

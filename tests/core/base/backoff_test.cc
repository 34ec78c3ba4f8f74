#include "core/base/backoff.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace trawl {
namespace {

constexpr Backoff::Options kOptions = {absl::Milliseconds(100), absl::Seconds(1), 2};

TEST(BackoffTest, EachDelayIsAboveZeroAndWithinItsDoublingBound) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 100; ++round) {
    Backoff backoff(kOptions);
    absl::Duration bound = kOptions.initial;
    for (int step = 0; step < 8; ++step) {
      const absl::Duration delay = backoff.Next(random);
      EXPECT_GT(delay, absl::ZeroDuration());
      EXPECT_LE(delay, bound);
      bound = std::min(bound * 2, kOptions.max);
    }
  }
}

TEST(BackoffTest, DelaysSpreadOverTheWholeBound) {
  std::mt19937_64 random(1);
  absl::Duration smallest = absl::InfiniteDuration();
  absl::Duration largest;
  for (int i = 0; i < 1000; ++i) {
    const absl::Duration delay = Backoff(kOptions).Next(random);
    smallest = std::min(smallest, delay);
    largest = std::max(largest, delay);
  }
  EXPECT_LT(smallest, absl::Milliseconds(5));
  EXPECT_GT(largest, absl::Milliseconds(95));
}

TEST(BackoffTest, ResetStartsAtTheInitialBound) {
  std::mt19937_64 random(1);
  Backoff backoff(kOptions);
  for (int i = 0; i < 10; ++i) backoff.Next(random);

  backoff.Reset();

  EXPECT_LE(backoff.Next(random), kOptions.initial);
}

TEST(BackoffTest, UseMaxTakesTheLongestBoundUntilReset) {
  std::mt19937_64 random(1);
  absl::Duration largest;
  for (int i = 0; i < 100; ++i) {
    Backoff backoff(kOptions);
    backoff.UseMax();
    largest = std::max(largest, backoff.Next(random));
  }
  EXPECT_GT(largest, absl::Milliseconds(900));
  EXPECT_LE(largest, kOptions.max);
}

}  // namespace
}  // namespace trawl

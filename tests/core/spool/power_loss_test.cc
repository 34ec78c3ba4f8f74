// Random lives of a spool that end in a power loss, over a disk that keeps of what was not synced
// whatever it likes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>

#include "absl/random/distributions.h"
#include "absl/status/status.h"
#include "tests/core/spool/spool_rig.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

class Life {
 public:
  explicit Life(uint64_t seed) : random_(seed), rig_(MakeOptions(random_)) {}

  void Run() {
    const int steps = absl::Uniform(random_, 1, 40);
    for (int i = 0; i < steps; ++i) Step();
    const bool orderly = absl::Bernoulli(random_, 0.1);
    if (orderly) {
      first_ = rig_.spool->first_number();
      rig_.Stop();
      if (!failed_) synced_ = rig_.last();
    }
    rig_.files.FailAfter(-1, absl::OkStatus());
    rig_.files.LosePowerUnevenly(random_);
    if (!orderly) first_ = rig_.spool->first_number();
    rig_.spool.reset();
    Check();
  }

 private:
  static Spool::Options MakeOptions(std::mt19937_64& random) {
    Spool::Options options = SpoolRig::DefaultOptions();
    if (absl::Bernoulli(random, 0.3)) options.max_bytes = 20'000;
    return options;
  }

  void Step() {
    const int what = absl::Uniform(random_, 0, 20);
    if (what < 14) return Append();
    if (what < 17) return Sync();
    if (what == 17) return Trim();
    if (what == 18) {
      // One operation of the disk fails.
      rig_.files.FailAfter(absl::Uniform(random_, 0, 6), absl::UnknownError("EIO"));
      failed_ = true;
      return;
    }
    rig_.loop.Advance(absl::Seconds(absl::Uniform(random_, 1, 8)));
    Synced();
  }

  void Append() {
    const bool start = rig_.last() == 0 || rig_.spool->wants_segment() ||
                       rig_.spool->segment_bytes() > 14'000 || absl::Bernoulli(random_, 0.1);
    const bool dictionary = start || absl::Bernoulli(random_, 0.2);
    const auto bytes = static_cast<size_t>(absl::LogUniform(random_, 20, 4'000));
    ASSERT_OK(rig_.Append(dictionary ? RecordKind::kDictionary : RecordKind::kScrape, bytes,
                          dictionary ? 0 : absl::Uniform<uint64_t>(random_, 1, 100), start,
                          !dictionary && absl::Bernoulli(random_, 0.3)));
  }

  void Sync() {
    rig_.syncer->Pass();
    Synced();
  }
  // What was written up to here is safe, unless a failure may have kept it from the disk.
  void Synced() {
    if (!failed_) synced_ = rig_.last();
  }

  void Trim() {
    trimmed_ = absl::Uniform(absl::IntervalClosed, random_, trimmed_, rig_.last());
    rig_.spool->Trim(trimmed_);
  }

  void Check() {
    if (!rig_.files.List(SpoolRig::kDirectory).ok()) {
      EXPECT_TRUE(synced_ == 0 || trimmed_ >= synced_);
      return;
    }
    const auto log = rig_.Recover();
    ASSERT_NE(log, nullptr);
    const Told told = rig_.Tell(*log);  // checks every byte
    EXPECT_LE(log->next_number(), rig_.last() + 1) << "no number is lost that never was";
    for (uint64_t n = std::max(first_, trimmed_ + 1); n <= synced_; ++n) {
      EXPECT_TRUE(told.records.contains(n)) << n << " was synced";
    }
  }

  std::mt19937_64 random_;
  SpoolRig rig_;
  bool failed_ = false;
  uint64_t synced_ = 0;
  uint64_t trimmed_ = 0;
  uint64_t first_ = 1;
};

// TRAWL_TEST_SEED runs one life again.
TEST(PowerLossTest, WhatWasSyncedIsThereAndNothingIsInvented) {
  if (const char* const seed = std::getenv("TRAWL_TEST_SEED")) {
    Life(std::strtoull(seed, nullptr, 10)).Run();
    return;
  }
  const uint64_t lives = LongTests() ? 1'000'000 : 10'000;
  for (uint64_t seed = 1; seed <= lives; ++seed) {
    Life(seed).Run();
    ASSERT_FALSE(HasFailure()) << "seed " << seed << ": TRAWL_TEST_SEED=" << seed << " repeats it";
  }
}

}  // namespace
}  // namespace trawl

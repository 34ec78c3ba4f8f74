#include "core/append/rejected_samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsNull;
using ::testing::Pair;
using Key = std::pair<std::string, int>;

constexpr uint64_t kA = 100, kB = 200;  // targets

TEST(RejectedSamplesTest, SamplesAreOfTheTargetWhoseRecordItIs) {
  RejectedSamples rejected;
  rejected.NoteRecord(2, kA);
  rejected.NoteRecord(3, kB);
  rejected.NoteRecord(5, kA);

  rejected.Count("s", 2, 1, 10);
  rejected.Count("s", 5, 1, 5);
  rejected.Count("s", 5, 4, 1);
  rejected.Count("t", 3, 1, 7);
  rejected.Count("t", 4, 1, 99);  // a definition

  const auto counts = rejected.Snapshot();
  ASSERT_EQ(counts->size(), 2u);
  EXPECT_THAT(*counts->at(kA), ElementsAre(Pair(Key("s", 1), 15), Pair(Key("s", 4), 1)));
  EXPECT_THAT(*counts->at(kB), ElementsAre(Pair(Key("t", 1), 7)));
}

TEST(RejectedSamplesTest, OfRecordsThatEverySinkHasNothingMoreIsCounted) {
  RejectedSamples rejected;
  rejected.NoteRecord(1, kA);
  rejected.NoteRecord(2, kA);
  rejected.Trim(1);

  rejected.Count("s", 1, 1, 10);
  EXPECT_THAT(rejected.Snapshot(), IsNull());
  rejected.Count("s", 2, 1, 10);
  EXPECT_EQ(rejected.Snapshot()->size(), 1u);
}

TEST(RejectedSamplesTest, OfALongBacklogTheNewestRecordsAreKnown) {
  RejectedSamples rejected(/*max_records=*/2);
  for (uint64_t number = 1; number <= 3; ++number) rejected.NoteRecord(number, kA);

  rejected.Count("s", 1, 1, 10);
  EXPECT_THAT(rejected.Snapshot(), IsNull());
  rejected.Count("s", 2, 1, 10);
  EXPECT_EQ(rejected.Snapshot()->size(), 1u);
}

TEST(RejectedSamplesTest, ATargetThatIsGoneIsForgotten) {
  RejectedSamples rejected;
  rejected.NoteRecord(1, kA);
  rejected.Count("s", 1, 1, 10);

  rejected.Forget(kB);
  EXPECT_EQ(rejected.Snapshot()->size(), 1u);
  rejected.Forget(kA);
  EXPECT_THAT(rejected.Snapshot(), IsNull());
}

TEST(RejectedSamplesTest, ASnapshotStaysAsItWasAndIsSharedUntilSomethingChanges) {
  RejectedSamples rejected;
  rejected.NoteRecord(1, kA);
  rejected.Count("s", 1, 1, 10);
  const auto before = rejected.Snapshot();
  EXPECT_EQ(rejected.Snapshot(), before);

  rejected.Count("s", 1, 1, 10);

  EXPECT_NE(rejected.Snapshot(), before);
  EXPECT_THAT(*before->at(kA), ElementsAre(Pair(Key("s", 1), 10)));
}

}  // namespace
}  // namespace trawl

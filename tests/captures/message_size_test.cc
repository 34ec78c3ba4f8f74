#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/captures/captures.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

// What storage is sent of a real exporter, in bytes a sample. Nothing here depends on a clock or on
// chance, but for the release of zstd.
class MessageSizeTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(pages_,
                         ReadCaptures(TRAWL_TEST_DATA "/exposition-captures.tar.zst", GetParam()));
    ASSERT_GT(pages_.size(), 50u);
  }
  std::vector<std::string> pages_;
};

TEST_P(MessageSizeTest, ASampleTakesLessThanAByteFromTheSecondScrapeOn) {
  ASSERT_OK_AND_ASSIGN(const CaptureSizes sizes,
                       MeasureSizes(pages_, storage::v1::ENCODING_DECIMAL_DELTA));

  EXPECT_GT(sizes.steady.samples, 10'000u);
  EXPECT_LE(sizes.steady.zstd_per_sample(), 0.85);
  EXPECT_LE(sizes.steady.plain_per_sample(), 1.05);
}

TEST_P(MessageSizeTest, DefinitionsAndTheFirstScrapeAreSmallBesideAMinuteOfScrapes) {
  ASSERT_OK_AND_ASSIGN(const CaptureSizes sizes,
                       MeasureSizes(pages_, storage::v1::ENCODING_DECIMAL_DELTA));

  EXPECT_GT(sizes.whole.samples, sizes.steady.samples);
  EXPECT_LE(sizes.whole.zstd_per_sample(), 1.15);
}

TEST_P(MessageSizeTest, RawColumnsAreLeftToZstd) {
  ASSERT_OK_AND_ASSIGN(const CaptureSizes sizes,
                       MeasureSizes(pages_, storage::v1::ENCODING_RAW_COLUMNS));

  EXPECT_GT(sizes.steady.plain_per_sample(), 8);
  EXPECT_LE(sizes.steady.zstd_per_sample(), 2.1);
}

INSTANTIATE_TEST_SUITE_P(Captures, MessageSizeTest,
                         ::testing::Values("node_exporter", "prometheus"),
                         [](const auto& page) { return std::string(page.param); });

}  // namespace
}  // namespace trawl

#include "server/descriptor_shares.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::HasSubstr;

Flags TwoShards() {
  Flags flags;
  flags.shards = 2;
  return flags;
}

TEST(DescriptorSharesTest, AllThatThereAreBelongToSomebody) {
  for (const int64_t limit : {256, 1024, 65536, 1 << 30}) {
    ASSERT_OK_AND_ASSIGN(const DescriptorShares shares, ShareDescriptors(limit, 8, TwoShards(), 1));

    EXPECT_EQ(shares.own + shares.servers + shares.cells + shares.targets, limit);
    EXPECT_GE(shares.servers, 32);
    EXPECT_GE(shares.targets + shares.cells, 32);
    EXPECT_LE(static_cast<int64_t>(shares.max_grpc_connections + shares.max_web_connections),
              shares.servers * 3 / 4);
  }
}

TEST(DescriptorSharesTest, WithManyThePortsHaveWhatTheirFlagsSayAndTargetsTheRest) {
  ASSERT_OK_AND_ASSIGN(const DescriptorShares shares, ShareDescriptors(1 << 20, 8, TwoShards(), 1));

  EXPECT_EQ(shares.max_grpc_connections, Flags().max_grpc_connections);
  EXPECT_EQ(shares.max_web_connections, Flags().max_web_connections);
  EXPECT_GT(shares.targets, 900'000);
}

TEST(DescriptorSharesTest, WithFewThePortsLetFewerIn) {
  ASSERT_OK_AND_ASSIGN(const DescriptorShares shares, ShareDescriptors(256, 8, TwoShards(), 1));

  EXPECT_GE(shares.max_grpc_connections, 16u);
  EXPECT_LT(shares.max_grpc_connections, 64u);
  EXPECT_GE(shares.max_web_connections, 8u);
  EXPECT_GT(shares.targets, 100);
}

TEST(DescriptorSharesTest, TooFewAreRefusedWithTheNumberThatWouldDo) {
  EXPECT_THAT(ShareDescriptors(143, 8, TwoShards(), 1),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("the limit of open files is 143, and 144 are needed"),
                             HasSubstr("LimitNOFILE"))));
  EXPECT_OK(ShareDescriptors(144, 8, TwoShards(), 1));
}

}  // namespace
}  // namespace trawl

#include "client/trawlctl/output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/trawlctl/format.h"
#include "tests/matchers/status_matchers.h"
#include "trawl/discovery/v1/discovery.pb.h"

namespace trawl {
namespace {

using discovery::v1::GroupKey;

TEST(OutputTest, ColumnsAreAlignedAndTheLastIsNotPadded) {
  EXPECT_EQ(FormatTable({"JOB", "N", "ERROR"}, {{"node", "1", ""}, {"küche", "12", "refused"}}),
            "JOB    N   ERROR\n"
            "node   1\n"
            "küche  12  refused\n");
}

TEST(OutputTest, TableWithoutRowsIsItsHeader) { EXPECT_EQ(FormatTable({"A", "B"}, {}), "A  B\n"); }

TEST(OutputTest, ControlCharactersCannotSteerTheTerminal) {
  EXPECT_EQ(FormatTable({"L"}, {{"a\x1b[2Jb\n"}}), "L\na\\x1b[2Jb\\x0a\n");
}

TEST(OutputTest, JsonIsAnArrayOfObjectsWithProtobufsNames) {
  GroupKey one;
  one.set_job("node");
  one.set_key("0");
  EXPECT_THAT(FormatJson({&one, &one}),
              IsOkAndHolds("[\n{\"job\":\"node\",\"key\":\"0\"},\n{\"job\":\"node\",\"key\":\"0\"}\n]\n"));
  EXPECT_THAT(FormatJson({}), IsOkAndHolds("[]\n"));
}

TEST(FormatTest, LabelsAreSortedAndQuoted) {
  google::protobuf::Map<std::string, std::string> labels;
  labels["job"] = "a \"b\"";
  labels["instance"] = "x:1";
  EXPECT_EQ(FormatLabels(labels), R"({instance="x:1", job="a \"b\""})");
}

TEST(FormatTest, AgesAndDurationsTakeAUnitThatFits) {
  google::protobuf::Timestamp at;
  at.set_seconds(1000);
  EXPECT_EQ(FormatAgo(at, true, absl::FromUnixSeconds(1003)), "3.0s ago");
  EXPECT_EQ(FormatAgo(at, true, absl::FromUnixSeconds(1600)), "10m ago");
  EXPECT_EQ(FormatAgo(at, false, absl::FromUnixSeconds(1600)), "never");
  google::protobuf::Duration duration;
  duration.set_nanos(1'500'000);
  EXPECT_EQ(FormatShort(duration), "1.5ms");
}

}  // namespace
}  // namespace trawl

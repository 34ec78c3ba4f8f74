#include "core/base/status_macros.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

absl::StatusOr<std::unique_ptr<int>> MakeInt(bool fail) {
  if (fail) return absl::NotFoundError("no int");
  return std::make_unique<int>(7);
}

absl::StatusOr<int> Use(bool fail) {
  ASSIGN_OR_RETURN(const std::unique_ptr<int> value, MakeInt(fail));
  RETURN_IF_ERROR(absl::OkStatus());
  return *value;
}

TEST(StatusMacrosTest, AssignOrReturnMovesTheValueOrReturnsTheError) {
  EXPECT_THAT(Use(false), IsOkAndHolds(7));
  EXPECT_THAT(Use(true), StatusIs(absl::StatusCode::kNotFound, "no int"));
}

TEST(StatusMacrosTest, AnnotateGrowsOutwardAndKeepsTheCode) {
  absl::Status inner = absl::InvalidArgumentError("line 17: bad");
  inner.SetPayload("type", absl::Cord("payload"));

  const absl::Status outer = Annotate(Annotate(inner, "target http://x"), "job node");

  EXPECT_THAT(outer, StatusIs(absl::StatusCode::kInvalidArgument,
                              "line 17: bad; target http://x; job node"));
  EXPECT_EQ(outer.GetPayload("type"), absl::Cord("payload"));
}

TEST(StatusMacrosTest, AnnotateLeavesOkAlone) { EXPECT_OK(Annotate(absl::OkStatus(), "job")); }

}  // namespace
}  // namespace trawl

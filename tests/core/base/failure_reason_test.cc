#include "core/base/failure_reason.h"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

#include "absl/strings/ascii.h"

namespace trawl {
namespace {

TEST(FailureReasonTest, EveryReasonHasAWordOfItsOwn) {
  std::set<std::string_view> words;
  for (int i = 0; i <= static_cast<int>(FailureReason::kAppend); ++i) {
    const std::string_view word = FailureReasonName(static_cast<FailureReason>(i));
    EXPECT_TRUE(words.insert(word).second) << word;
    for (const char c : word)
      EXPECT_TRUE(absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_');
  }
  EXPECT_EQ(FailureReasonName(FailureReason::kHttpStatus4xx), "http_4xx");
}

}  // namespace
}  // namespace trawl

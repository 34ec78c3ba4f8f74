#include "server/access/web_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

// bcrypt of "right", at the lowest cost.
constexpr const char* kRight = "$2b$04$/SII4h49lFPScvo2uMb1gel6rgh37YnlcHbI1.pWPvj.A1my7ixrC";

std::string Basic(const std::string& credentials) {
  return absl::StrCat("Basic ", absl::Base64Escape(credentials));
}

class WebGuardTest : public ::testing::Test {
 protected:
  std::unique_ptr<WebGuard> Open(const std::string& text) {
    files_.Put("/web.yml", text);
    auto guard = WebGuard::Open(files_, "/web.yml");
    EXPECT_OK(guard);
    return *std::move(guard);
  }

  MemFileSystem files_;
};

TEST_F(WebGuardTest, WithoutAFileOrUsersEverybodyComesIn) {
  EXPECT_TRUE((*WebGuard::Open(files_, ""))->Admits(""));
  EXPECT_TRUE(Open("")->Admits(""));
}

TEST_F(WebGuardTest, OnlyTheRightPasswordComesInEachTime) {
  const auto guard = Open(absl::StrCat("basic_auth_users: {ann: '", kRight, "'}"));

  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(guard->Admits(Basic("ann:right")));
    EXPECT_TRUE(guard->Admits(absl::StrCat("bAsIc ", absl::Base64Escape("ann:right"))));
    EXPECT_FALSE(guard->Admits(Basic("ann:wrong")));
    EXPECT_FALSE(guard->Admits(Basic("bob:right")));
    EXPECT_FALSE(guard->Admits(Basic("ann")));
    EXPECT_FALSE(guard->Admits("Basic !"));
    EXPECT_FALSE(guard->Admits("Bearer right"));
    EXPECT_FALSE(guard->Admits(""));
  }
}

TEST_F(WebGuardTest, AUserWhoIsTakenOutComesInNoMore) {
  const auto guard =
      Open(absl::StrCat("basic_auth_users: {ann: '", kRight, "', bob: '", kRight, "'}"));
  ASSERT_TRUE(guard->Admits(Basic("ann:right")));

  files_.Put("/web.yml", absl::StrCat("basic_auth_users: {bob: '", kRight, "'}"));
  EXPECT_OK(guard->Refresh());

  EXPECT_FALSE(guard->Admits(Basic("ann:right")));
  EXPECT_TRUE(guard->Admits(Basic("bob:right")));
}

TEST_F(WebGuardTest, AFileThatBecomesWrongLetsNobodyElseIn) {
  const auto guard = Open(absl::StrCat("basic_auth_users: {ann: '", kRight, "'}"));

  files_.Put("/web.yml", "basic_auth_users: {ann: plain}");
  EXPECT_FALSE(guard->Refresh().ok());

  EXPECT_FALSE(guard->Admits(""));
  EXPECT_TRUE(guard->Admits(Basic("ann:right")));
}

}  // namespace
}  // namespace trawl

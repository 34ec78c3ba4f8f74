#include "server/access/tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kToken = "0123456789abcdef";

TEST(TokensTest, ATokenStandsForItsName) {
  const absl::StatusOr<Tokens> tokens =
      Tokens::Parse("# pushers\n\nk8s 0123456789abcdef\r\n  ops\tfedcba9876543210  \n");

  ASSERT_OK(tokens);
  EXPECT_EQ(tokens->size(), 2u);
  EXPECT_EQ(tokens->NameOf(kToken), "k8s");
  EXPECT_EQ(tokens->NameOf("fedcba9876543210"), "ops");
  EXPECT_EQ(tokens->NameOf("0123456789abcde"), "");
  EXPECT_EQ(tokens->NameOf(""), "");
}

TEST(TokensTest, ErrorsNameTheLineAndNeverTheToken) {
  for (const std::string text : {"\nk8s\n", "\na b0123456789abcdef c\n", "\nk8s secret\n",
                                 "a 0123456789abcdef\nb 0123456789abcdef\n"}) {
    const absl::Status status = Tokens::Parse(text).status();
    EXPECT_THAT(status.message(), HasSubstr("line 2: ")) << text;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("secret"))) << text;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("abcdef"))) << text;
  }
}

TEST(TokenFileTest, AChangedFileCountsFromTheNextRefreshAndABadOneChangesNothing) {
  MemFileSystem files;
  files.Put("/t", "k8s 0123456789abcdef\n");
  auto file = TokenFile::Open(files, "/t");
  ASSERT_OK(file);

  files.Put("/t", "new 0123456789abcdef\n");
  EXPECT_EQ((*file)->Get()->NameOf(kToken), "k8s");
  EXPECT_OK((*file)->Refresh());
  EXPECT_EQ((*file)->Get()->NameOf(kToken), "new");

  files.Put("/t", "broken\n");
  EXPECT_THAT((*file)->Refresh().message(), HasSubstr("line 1"));
  EXPECT_EQ((*file)->Get()->NameOf(kToken), "new");
}

TEST(TokenFileTest, AMissingOrWrongFileIsToldAtTheStart) {
  MemFileSystem files;
  files.Put("/bad", "k8s short\n");

  EXPECT_EQ(TokenFile::Open(files, "/none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(TokenFile::Open(files, "/bad").status().message(), HasSubstr("/bad"));
}

}  // namespace
}  // namespace trawl

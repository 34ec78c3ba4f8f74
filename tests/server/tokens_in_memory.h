#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string_view>

#include "server/access/tokens.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {

// A file of tokens.
class TokensInMemory {
 public:
  explicit TokensInMemory(std::string_view text) {
    files_.Put("/tokens", text);
    file_ = *TokenFile::Open(files_, "/tokens");
  }

  const TokenFile& file() const { return *file_; }
  // Read again, too.
  void Replace(std::string_view text) {
    files_.Put("/tokens", text);
    EXPECT_OK(file_->Refresh());
  }

 private:
  MemFileSystem files_;
  std::unique_ptr<TokenFile> file_;
};

}  // namespace trawl

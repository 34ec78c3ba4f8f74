#include "server/access/tokens.h"

#include <openssl/sha.h>

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/concat.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

// Shorter ones can be guessed.
constexpr size_t kMinTokenBytes = 16;

std::string Digest(std::string_view token) {
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(),
         reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

}  // namespace

absl::StatusOr<Tokens> Tokens::Parse(std::string_view text) {
  Tokens out;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(ToAbsl(text), '\n')) {
    ++number;
    const absl::string_view content = absl::StripAsciiWhitespace(line);
    if (content.empty() || content[0] == '#') continue;
    const std::vector<std::string> words =
        absl::StrSplit(content, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    if (words.size() != 2) {
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": want NAME TOKEN"));
    }
    if (words[1].size() < kMinTokenBytes) {
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": the token of ", words[0],
                                                     " is shorter than ", kMinTokenBytes,
                                                     " characters"));
    }
    if (!out.names_.emplace(Digest(words[1]), words[0]).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, ": the token of ", words[0], " stands there twice"));
    }
  }
  return out;
}

std::string Tokens::NameOf(std::string_view token) const {
  const auto found = names_.find(Digest(token));
  return found == names_.end() ? std::string() : found->second;
}

absl::StatusOr<std::unique_ptr<TokenFile>> TokenFile::Open(FileSystem& files, std::string path) {
  std::unique_ptr<TokenFile> file(new TokenFile(files, std::move(path)));
  RETURN_IF_ERROR(file->Refresh());
  return file;
}

absl::Status TokenFile::Refresh() {
  ASSIGN_OR_RETURN(std::string text, files_.ReadFile(path_));
  if (text == text_) return absl::OkStatus();
  absl::StatusOr<Tokens> tokens = Tokens::Parse(text);
  if (!tokens.ok()) return Annotate(tokens.status(), path_);
  text_ = std::move(text);
  tokens_.Set(std::make_shared<const Tokens>(*std::move(tokens)));
  return absl::OkStatus();
}

}  // namespace trawl

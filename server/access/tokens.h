#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "core/base/published.h"

namespace trawl {

// Bearer tokens and whom each stands for. Keeps digests alone: a lookup takes as long whatever a
// caller guessed, and nothing that prints it shows a token. A value; thread-safe to read.
class Tokens {
 public:
  // A line a token: `NAME TOKEN`. Empty lines and lines with `#` first are left out. Errors name
  // the line, never the token.
  static absl::StatusOr<Tokens> Parse(std::string_view text);

  // The name; "" for a token that isn't there.
  std::string NameOf(std::string_view token) const;
  size_t size() const { return names_.size(); }

 private:
  absl::flat_hash_map<std::string, std::string> names_;  // by SHA-256 of the token
};

// A file of tokens that may change while trawld runs.
//
// Refresh: one thread. Get: any thread.
class TokenFile {
 public:
  // Errors: the file can't be read, or is wrong.
  static absl::StatusOr<std::unique_ptr<TokenFile>> Open(FileSystem& files, std::string path);

  // Reads the file again. On an error what was read last stays.
  absl::Status Refresh();
  std::shared_ptr<const Tokens> Get() const { return tokens_.Get(); }

 private:
  TokenFile(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}

  FileSystem& files_;
  const std::string path_;
  std::string text_;  // as read last
  Published<Tokens> tokens_;
};

}  // namespace trawl

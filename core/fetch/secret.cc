#include "core/fetch/secret.h"

#include <fcntl.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;

absl::Status FileError(const std::string& path, const char* what, int error) {
  return absl::FailedPreconditionError(absl::StrCat("unable to read file ", path, ": ", what, " ",
                                                    path, ": ",
                                                    absl::AsciiStrToLower(strerror(error))));
}

absl::StatusOr<std::string> ReadAll(int fd, const std::string& path) {
  std::string content;
  char buffer[4096];
  while (content.size() <= kMaxFileBytes) {
    const ssize_t n = read(fd, buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError(path, "read", errno);
    if (n == 0) return content;
    content.append(buffer, static_cast<size_t>(n));
  }
  return FileError(path, "read", EFBIG);
}

// What may not stand in a header: it would let a secret's file write headers of its own.
bool ValidHeaderValue(std::string_view value) {
  for (const char c : value) {
    const auto u = static_cast<unsigned char>(c);
    if ((u < 0x20 && u != '\t') || u == 0x7f) return false;
  }
  return true;
}

absl::StatusOr<std::string> ReadNamed(const SecretSource& source, const char* what) {
  auto value = ReadSecret(source);
  if (value.ok()) return value;
  return absl::Status(value.status().code(),
                      absl::StrCat("unable to read ", what, ": ", value.status().message()));
}

absl::StatusOr<std::string> BasicValue(const BasicAuth& auth) {
  ASSIGN_OR_RETURN(const std::string user, ReadNamed(auth.username, "basic auth username"));
  ASSIGN_OR_RETURN(const std::string password, ReadNamed(auth.password, "basic auth password"));
  return absl::StrCat("Basic ", absl::Base64Escape(absl::StrCat(user, ":", password)));
}

absl::StatusOr<std::string> BearerValue(const Authorization& auth) {
  ASSIGN_OR_RETURN(const std::string token,
                   ReadNamed(auth.credentials, "authorization credentials"));
  const std::string value = absl::StrCat(auth.type, " ", token);
  if (ValidHeaderValue(value)) return value;
  return absl::FailedPreconditionError(
      "net/http: invalid header field value for \"Authorization\"");
}

}  // namespace

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return FileError(path, "open", errno);
  auto content = ReadAll(fd, path);
  close(fd);
  return content;
}

absl::StatusOr<std::string> ReadSecret(const SecretSource& source) {
  if (source.file.empty()) return source.value;
  ASSIGN_OR_RETURN(const std::string content, ReadSmallFile(source.file));
  return std::string(absl::StripAsciiWhitespace(content));
}

absl::StatusOr<std::optional<std::string>> AuthorizationValue(const HttpClientConfig& config) {
  std::string value;
  if (config.basic_auth) {
    ASSIGN_OR_RETURN(value, BasicValue(*config.basic_auth));
  } else if (config.authorization && config.authorization->credentials.set()) {
    ASSIGN_OR_RETURN(value, BearerValue(*config.authorization));
  } else {
    return std::nullopt;
  }
  return std::optional<std::string>(std::move(value));
}

}  // namespace trawl

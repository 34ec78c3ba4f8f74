#include "server/access/web_guard.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

// Checked for users that are not there, so that the time of an answer does not tell who is. Of a
// password that nobody knows.
constexpr const char* kNobodysHash = "$2b$10$emMP.LkJsQq1RPCXEfL6/ug3.cOl1kMNkZgaESaV9Slhwbk2L6XRi";

struct Credentials {
  std::string user;
  std::string password;
};

absl::StatusOr<Credentials> ParseBasic(std::string_view authorization) {
  constexpr std::string_view kBasic = "Basic ";
  std::string decoded;
  if (authorization.size() < kBasic.size() ||
      !absl::EqualsIgnoreCase(authorization.substr(0, kBasic.size()), kBasic) ||
      !absl::Base64Unescape(authorization.substr(kBasic.size()), &decoded)) {
    return absl::UnauthenticatedError("want basic authentication");
  }
  const size_t colon = decoded.find(':');
  if (colon == std::string::npos) return absl::UnauthenticatedError("want USER:PASSWORD");
  return Credentials{decoded.substr(0, colon), decoded.substr(colon + 1)};
}

bool MatchesBcrypt(const std::string& password, const std::string& hash) {
  auto data = std::make_unique<crypt_data>();
  const char* made = crypt_r(password.c_str(), hash.c_str(), data.get());
  return made != nullptr && std::string_view(made).size() == hash.size() &&
         CRYPTO_memcmp(made, hash.data(), hash.size()) == 0;
}

std::string Digest(const Credentials& credentials, const std::string& hash) {
  const std::string text =
      absl::StrCat(credentials.user.size(), ":", credentials.user, ":", credentials.password.size(),
                   ":", credentials.password, ":", hash);
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

}  // namespace

absl::StatusOr<std::unique_ptr<WebGuard>> WebGuard::Open(FileSystem& files, std::string path) {
  std::unique_ptr<WebGuard> guard(new WebGuard(files, std::move(path)));
  RETURN_IF_ERROR(guard->Refresh());
  return guard;
}

absl::Status WebGuard::Refresh() {
  if (path_.empty()) return absl::OkStatus();
  std::vector<ConfigWarning> warnings;
  ASSIGN_OR_RETURN(WebConfig config, LoadWebConfigFile(files_, path_, &warnings));
  const std::shared_ptr<const WebConfig> before = config_.Get();
  if (config == *before) return absl::OkStatus();
  for (const ConfigWarning& warning : warnings) {
    LogWarn("Web configuration", {{"warning", warning.ToString()}});
  }
  config_.Set(std::make_shared<const WebConfig>(std::move(config)));
  return absl::OkStatus();
}

bool WebGuard::Admits(std::string_view authorization) {
  const std::shared_ptr<const WebConfig> config = config_.Get();
  if (config->users.empty()) return true;
  const absl::StatusOr<Credentials> credentials = ParseBasic(authorization);
  if (!credentials.ok()) return false;
  const auto user = config->users.find(credentials->user);
  const bool known = user != config->users.end();
  const std::string hash = known ? user->second : kNobodysHash;
  const std::string digest = Digest(*credentials, hash);
  if (known && Remembers(digest)) return true;
  const bool right = MatchesBcrypt(credentials->password, hash) && known;
  if (right) Remember(digest);
  return right;
}

bool WebGuard::Remembers(const std::string& digest) {
  MutexLock lock(mutex_);
  return right_.contains(digest);
}

void WebGuard::Remember(const std::string& digest) {
  MutexLock lock(mutex_);
  if (right_.size() >= kMaxRemembered) right_.clear();
  right_.insert(digest);
}

}  // namespace trawl

#include "tests/fakes/fake_resolver.h"

#include "absl/strings/str_cat.h"

namespace trawl {

void FakeResolver::Answer(const std::string& host, std::vector<std::string> addresses) {
  Set(host, std::move(addresses));
}

void FakeResolver::Fail(const std::string& host, absl::Status status) {
  Set(host, std::move(status));
}

void FakeResolver::Hang(const std::string& host) { hanging_.insert(host); }

Resolver::ResolveId FakeResolver::Resolve(const std::string& host, Callback callback) {
  asked_.push_back(host);
  if (hanging_.contains(host)) {
    const ResolveId id = next_id_++;
    waiting_.emplace(id, std::make_pair(host, std::move(callback)));
    return id;
  }
  const auto answer = answers_.find(host);
  if (answer != answers_.end()) {
    callback(answer->second);
  } else {
    callback(absl::UnavailableError(absl::StrCat("lookup ", host, ": no such host")));
  }
  return 0;
}

void FakeResolver::Cancel(ResolveId id) { waiting_.erase(id); }

void FakeResolver::Set(const std::string& host, absl::StatusOr<std::vector<std::string>> answer) {
  hanging_.erase(host);
  answers_.insert_or_assign(host, answer);
  std::vector<ResolveId> ids;
  for (const auto& [id, waiter] : waiting_) {
    if (waiter.first == host) ids.push_back(id);
  }
  for (const ResolveId id : ids) {
    const auto found = waiting_.find(id);
    if (found == waiting_.end()) continue;  // cancelled by an earlier one's callback
    Callback callback = std::move(found->second.second);
    waiting_.erase(found);
    callback(answer);
  }
}

}  // namespace trawl

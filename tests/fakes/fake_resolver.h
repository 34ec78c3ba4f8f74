#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/fetch/resolver.h"

namespace trawl {

// A Resolver that a test tells what to say. Names it was told nothing about don't exist.
// Test's thread.
class FakeResolver final : public Resolver {
 public:
  // Answers at once, from inside Resolve.
  void Answer(const std::string& host, std::vector<std::string> addresses);
  void Fail(const std::string& host, absl::Status status);
  // No answer until Answer or Fail is called for the name, which then tells all who wait.
  void Hang(const std::string& host);

  // Every name asked for, in order.
  const std::vector<std::string>& asked() const { return asked_; }
  size_t waiting() const { return waiting_.size(); }

  ResolveId Resolve(const std::string& host, Callback callback) override;
  void Cancel(ResolveId id) override;

 private:
  void Set(const std::string& host, absl::StatusOr<std::vector<std::string>> answer);

  ResolveId next_id_ = 1;
  std::map<std::string, absl::StatusOr<std::vector<std::string>>> answers_;
  std::set<std::string> hanging_;
  std::map<ResolveId, std::pair<std::string, Callback>> waiting_;
  std::vector<std::string> asked_;
};

}  // namespace trawl

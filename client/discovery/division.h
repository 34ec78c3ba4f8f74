#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trawl {

// How a source's targets are divided over several trawlds: rendezvous hashing. Each target has a
// weight at each address, and belongs to the `replicas` addresses where its weight is highest.
//
// Guarantees:
//   1. A target's owners depend on its job, its address and the set of addresses alone: not on
//      its group, its labels or other targets. So a target that two groups or two sources list
//      has one owner, and new labels move nothing.
//   2. An address that is added to N takes about 1 in N + 1 targets, from all others alike, and
//      nothing else moves; one that goes gives its own away, and nothing else moves.
//
// A value; immutable.
class Division {
 public:
  Division() = default;
  // The addresses' order does not matter, repeated ones count once. With fewer addresses than
  // `replicas` each target belongs to all of them.
  Division(std::vector<std::string> addresses, size_t replicas);

  const std::vector<std::string>& addresses() const { return addresses_; }  // sorted
  size_t replicas() const { return replicas_; }

  // The owners of a target, as indices into addresses(), into `owners`.
  void FindOwners(std::string_view job, std::string_view target, std::vector<size_t>& owners) const;
  bool Owns(const std::string& address, std::string_view job, std::string_view target) const;

  // The division in a line, for history ids: "rendezvous1/2/a:8729,b:8729". Equal for equal
  // divisions only. Of many addresses a hash stands for them.
  std::string ToText() const;
  // Unset: another rule, or only a hash.
  static std::optional<Division> FromText(std::string_view text);

  friend bool operator==(const Division& a, const Division& b) {
    return a.replicas_ == b.replicas_ && a.addresses_ == b.addresses_;
  }

 private:
  std::vector<std::string> addresses_;
  std::vector<uint64_t> hashes_;  // of addresses_
  size_t replicas_ = 1;
};

}  // namespace trawl

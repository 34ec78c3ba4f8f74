#include "client/discovery/division.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/base/hash.h"

namespace trawl {
namespace {

// Names the hash functions below: another rule is another division.
constexpr char kRule[] = "rendezvous1";
constexpr size_t kMaxTextBytes = 1024;

// Every bit of the result depends on every bit of `x`.
uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint64_t HashTarget(std::string_view job, std::string_view target) {
  return XxHash64(job) * 31 + XxHash64(target);
}

}  // namespace

Division::Division(std::vector<std::string> addresses, size_t replicas)
    : addresses_(std::move(addresses)), replicas_(std::max<size_t>(replicas, 1)) {
  std::sort(addresses_.begin(), addresses_.end());
  addresses_.erase(std::unique(addresses_.begin(), addresses_.end()), addresses_.end());
  for (const std::string& address : addresses_) hashes_.push_back(XxHash64(address));
}

void Division::FindOwners(std::string_view job, std::string_view target,
                          std::vector<size_t>& owners) const {
  owners.clear();
  const size_t count = std::min(replicas_, addresses_.size());
  const uint64_t target_hash = HashTarget(job, target);
  if (count == 1) {
    size_t best = 0;
    for (size_t i = 1; i < hashes_.size(); ++i) {
      if (Mix(hashes_[i] ^ target_hash) >= Mix(hashes_[best] ^ target_hash)) best = i;
    }
    owners.push_back(best);
    return;
  }
  std::vector<std::pair<uint64_t, size_t>> best;  // weight, index; heaviest first
  for (size_t i = 0; i < hashes_.size(); ++i) {
    const std::pair<uint64_t, size_t> entry{Mix(hashes_[i] ^ target_hash), i};
    if (best.size() == count && entry <= best.back()) continue;
    if (best.size() == count) best.pop_back();
    best.insert(std::upper_bound(best.begin(), best.end(), entry, std::greater<>()), entry);
  }
  for (const auto& [weight, index] : best) owners.push_back(index);
}

bool Division::Owns(const std::string& address, std::string_view job,
                    std::string_view target) const {
  std::vector<size_t> owners;
  FindOwners(job, target, owners);
  return std::any_of(owners.begin(), owners.end(),
                     [&](size_t owner) { return addresses_[owner] == address; });
}

std::string Division::ToText() const {
  const std::string head = absl::StrCat(kRule, "/", replicas_, "/");
  std::string text = absl::StrJoin(addresses_, ",");
  if (text.size() <= kMaxTextBytes) return head + text;
  return absl::StrCat(head, "#", absl::Hex(XxHash64(text), absl::kZeroPad16));
}

std::optional<Division> Division::FromText(std::string_view text) {
  const std::vector<std::string> parts = absl::StrSplit(text, absl::MaxSplits('/', 2));
  size_t replicas = 0;
  if (parts.size() != 3 || parts[0] != kRule || !absl::SimpleAtoi(parts[1], &replicas) ||
      parts[2].empty() || parts[2][0] == '#') {
    return std::nullopt;
  }
  return Division(absl::StrSplit(parts[2], ','), replicas);
}

}  // namespace trawl

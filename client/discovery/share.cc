#include "client/discovery/share.h"

#include <algorithm>

namespace trawl {
namespace {

// A field's number and the length of what follows.
constexpr size_t kFieldBytes = 6;

}  // namespace

bool SameGroup(const discovery::v1::TargetGroup& a, const discovery::v1::TargetGroup& b) {
  return a.job() == b.job() && a.key() == b.key() &&
         std::equal(a.targets().begin(), a.targets().end(), b.targets().begin(),
                    b.targets().end()) &&
         a.labels_size() == b.labels_size() &&
         std::all_of(a.labels().begin(), a.labels().end(), [&](const auto& label) {
           const auto other = b.labels().find(label.first);
           return other != b.labels().end() && other->second == label.second;
         });
}

size_t GroupBytes(const discovery::v1::TargetGroup& group) {
  return group.ByteSizeLong() + kFieldBytes;
}

bool Share::Put(GroupPtr group) {
  const GroupId id = IdOf(*group);
  Entry& entry = entries_[id];
  if (entry.group != nullptr) {
    if (entry.group == group || SameGroup(*entry.group, *group)) return false;
    target_count_ -= static_cast<size_t>(entry.group->targets_size());
    --group_count_;
  }
  target_count_ += static_cast<size_t>(group->targets_size());
  ++group_count_;
  entry.group = std::move(group);
  Touch(id, entry);
  return true;
}

bool Share::Remove(const GroupId& id) {
  auto it = entries_.find(id);
  if (it == entries_.end() || it->second.group == nullptr) return false;
  target_count_ -= static_cast<size_t>(it->second.group->targets_size());
  --group_count_;
  it->second.group = nullptr;
  Touch(id, it->second);
  return true;
}

void Share::Touch(const GroupId& id, Entry& entry) {
  log_.erase(entry.version);
  entry.version = ++version_;
  log_[entry.version] = id;
}

void Share::SkipTo(uint64_t version) { version_ = std::max(version_, version); }

GroupPtr Share::Find(const GroupId& id) const {
  auto it = entries_.find(id);
  return it == entries_.end() ? nullptr : it->second.group;
}

std::vector<GroupPtr> Share::Groups() const {
  std::vector<GroupPtr> groups;
  groups.reserve(group_count_);
  for (const auto& [id, entry] : entries_) {
    if (entry.group != nullptr) groups.push_back(entry.group);
  }
  return groups;
}

Share::Changes Share::ChangesAfter(uint64_t base, size_t max_bytes) const {
  Changes changes;
  for (auto it = log_.upper_bound(base); it != log_.end(); ++it) {
    const Entry& entry = entries_.at(it->second);
    if (entry.group != nullptr && GroupBytes(*entry.group) > max_bytes) {
      changes.too_large.push_back(entry.group);
      continue;
    }
    changes.bytes += entry.group != nullptr
                         ? GroupBytes(*entry.group)
                         : it->second.first.size() + it->second.second.size() + 3 * kFieldBytes;
    if (changes.bytes > max_bytes) return changes;
    if (entry.group != nullptr) {
      changes.upsert.push_back(entry.group);
    } else {
      changes.remove.push_back(it->second);
    }
  }
  changes.complete = true;
  return changes;
}

void Share::Forget(uint64_t version) {
  forgotten_ = std::max(forgotten_, version);
  const auto end = log_.upper_bound(version);
  for (auto it = log_.begin(); it != end; it = log_.erase(it)) {
    auto entry = entries_.find(it->second);
    if (entry->second.group == nullptr) {
      entries_.erase(entry);
    } else {
      entry->second.version = 0;  // told: no version to be erased from the log
    }
  }
}

}  // namespace trawl

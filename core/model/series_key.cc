#include "core/model/series_key.h"

#include <utility>

#include "absl/hash/hash.h"

namespace trawl {

size_t KeyTable::IdHash::operator()(KeyId id) const { return (*this)(table->Get(id)); }

size_t KeyTable::IdHash::operator()(const SeriesKey& key) const {
  return absl::HashOf(key.labels, key.complete, key.family);
}

bool KeyTable::IdEq::operator()(KeyId a, const SeriesKey& b) const {
  const SeriesKey& key = table->Get(a);
  return key.complete == b.complete && key.family == b.family && key.labels == b.labels;
}

KeyTable::KeyTable() : index_(0, IdHash{this}, IdEq{this}) { InternFamily(MetricFamily{}); }

KeyId KeyTable::Intern(const SeriesKey& key) {
  const auto found = index_.find(key);
  if (found != index_.end()) {
    Ref(*found);
    return *found;
  }
  KeyId id;
  if (free_.empty()) {
    id = static_cast<KeyId>(entries_.size());
    entries_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  entries_[id] = Entry{key, 1, next_serial_++};
  index_.insert(id);
  return id;
}

void KeyTable::Ref(KeyId id) { ++entries_[id].refs; }

void KeyTable::Unref(KeyId id) {
  Entry& entry = entries_[id];
  if (--entry.refs > 0) return;
  index_.erase(id);  // hashes the key: before it goes
  entry = Entry{};
  free_.push_back(id);
}

uint32_t KeyTable::InternFamily(const MetricFamily& family) {
  const auto found = family_index_.find(family);
  if (found != family_index_.end()) return found->second;
  const size_t bytes = family.name.size() + family.unit.size() + family.help.size();
  if (families_.size() >= kMaxFamilies || bytes > kMaxFamilyBytes - family_bytes_) return 0;
  family_bytes_ += bytes;
  const auto id = static_cast<uint32_t>(families_.size());
  families_.push_back(std::make_unique<MetricFamily>(family));
  family_index_.emplace(family, id);
  return id;
}

}  // namespace trawl

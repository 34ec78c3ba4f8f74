#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "core/model/labels.h"
#include "core/model/metadata.h"

namespace trawl {

// A series without its target's labels: what all targets of a job have in common
// (storage-protocol.md, Dictionary). `complete`: a rule changed one of the target's labels, so
// the target's labels do not apply and `labels` is all there is.
struct SeriesKey {
  Labels labels;  // includes __name__
  bool complete = false;
  uint32_t family = 0;  // id in the table; 0 is the empty family
};

using KeyId = uint32_t;

// The keys and families of one shard, each kept once and counted by its users.
// A key lives as long as a Layout names it (or a caller holds a reference of its own).
// Ids are reused after a key has died; `serial` tells two lives of an id apart.
// Not thread-safe: the shard's thread only.
class KeyTable {
 public:
  KeyTable();
  KeyTable(const KeyTable&) = delete;
  KeyTable& operator=(const KeyTable&) = delete;

  // The id of an equal key, or a new one. Adds one reference, for the caller to Unref.
  KeyId Intern(const SeriesKey& key);
  void Ref(KeyId id);
  void Unref(KeyId id);

  // Valid until the key dies; Intern does not move it.
  const SeriesKey& Get(KeyId id) const { return entries_[id].key; }
  uint64_t Serial(KeyId id) const { return entries_[id].serial; }
  // Families are never freed within a run; beyond kMaxFamilies of them, or kMaxFamilyBytes
  // of text in all, the empty family (0) is given instead of a new one.
  uint32_t InternFamily(const MetricFamily& family);
  const MetricFamily& Family(uint32_t id) const { return *families_[id]; }

  size_t live_keys() const { return index_.size(); }

  static constexpr size_t kMaxFamilies = 1 << 20;
  static constexpr size_t kMaxFamilyBytes = size_t{64} << 20;

 private:
  struct Entry {
    SeriesKey key;
    uint32_t refs = 0;
    uint64_t serial = 0;
  };
  struct IdHash {
    const KeyTable* table;
    using is_transparent = void;
    size_t operator()(KeyId id) const;
    size_t operator()(const SeriesKey& key) const;
  };
  struct IdEq {
    const KeyTable* table;
    using is_transparent = void;
    bool operator()(KeyId a, KeyId b) const { return a == b; }
    bool operator()(KeyId a, const SeriesKey& b) const;
    bool operator()(const SeriesKey& a, KeyId b) const { return (*this)(b, a); }
  };

  std::deque<Entry> entries_;  // a deque: what Get gave stays where it is
  std::vector<KeyId> free_;
  uint64_t next_serial_ = 1;
  absl::flat_hash_set<KeyId, IdHash, IdEq> index_;
  std::vector<std::unique_ptr<MetricFamily>> families_;
  size_t family_bytes_ = 0;
  absl::flat_hash_map<MetricFamily, uint32_t> family_index_;
};

}  // namespace trawl

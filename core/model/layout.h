#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/model/labels.h"
#include "core/model/series_key.h"

namespace trawl {

// How a layout differs from the one before it: a list of steps over the base's positions.
// +n: keep the next n; -n: drop the next n; 0 followed by n: insert n new keys here.
// The steps cover every position of the base. Same form on the wire (LayoutDef.patch).
using LayoutPatch = std::vector<int32_t>;

// The ordered series of one target's scrapes: a series is (layout, position). The series of the
// body come first, in the body's order, the report series (up, …) last.
//
// Immutable. Holds a reference to each of its keys. Destroyed on its shard's thread; the table
// must outlive it. `id` is unique in the process, never reused.
class Layout {
 public:
  // `keys` are ids in `table`; the layout takes its own references.
  // With a base: `patch` leads from the base's keys to these. base_id 0: no base, patch empty.
  Layout(KeyTable& table, std::shared_ptr<const Labels> target_labels, std::vector<KeyId> keys,
         uint64_t base_id, LayoutPatch patch);
  ~Layout();
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;

  uint64_t id() const { return id_; }
  const Labels& target_labels() const { return *target_labels_; }
  const std::shared_ptr<const Labels>& shared_target_labels() const { return target_labels_; }
  const std::vector<KeyId>& keys() const { return keys_; }
  size_t size() const { return keys_.size(); }
  const KeyTable& table() const { return table_; }
  uint64_t base_id() const { return base_id_; }
  const LayoutPatch& patch() const { return patch_; }
  // The full labels of one series: the key's, and the target's unless the key is complete.
  Labels SeriesLabels(size_t position) const;

 private:
  KeyTable& table_;
  const uint64_t id_;
  const std::shared_ptr<const Labels> target_labels_;
  const std::vector<KeyId> keys_;
  const uint64_t base_id_;
  const LayoutPatch patch_;
};

using LayoutPtr = std::shared_ptr<const Layout>;

}  // namespace trawl

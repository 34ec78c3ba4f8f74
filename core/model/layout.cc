#include "core/model/layout.h"

#include <atomic>
#include <utility>

namespace trawl {
namespace {

uint64_t NextLayoutId() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

}  // namespace

Layout::Layout(KeyTable& table, std::shared_ptr<const Labels> target_labels,
               std::vector<KeyId> keys, uint64_t base_id, LayoutPatch patch)
    : table_(table),
      id_(NextLayoutId()),
      target_labels_(std::move(target_labels)),
      keys_(std::move(keys)),
      base_id_(base_id),
      patch_(std::move(patch)) {
  for (const KeyId key : keys_) table_.Ref(key);
}

Layout::~Layout() {
  for (const KeyId key : keys_) table_.Unref(key);
}

Labels Layout::SeriesLabels(size_t position) const {
  const SeriesKey& key = table_.Get(keys_[position]);
  if (key.complete) return key.labels;
  LabelsBuilder labels(*target_labels_);
  for (const Label& label : key.labels) labels.Set(label.name, label.value);
  return std::move(labels).Build();
}

}  // namespace trawl

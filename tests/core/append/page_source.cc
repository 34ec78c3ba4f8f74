#include "tests/core/append/page_source.h"

#include <bit>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/append/sample_bitmap.h"
#include "core/model/value.h"

namespace trawl {
namespace {

void SetBit(std::vector<uint64_t>& words, size_t position) {
  words[position / 64] |= uint64_t{1} << (position % 64);
}

Labels WithExternal(const Labels& labels, const Labels& external) {
  LabelsBuilder builder(labels);
  for (const Label& label : external) {
    if (!labels.Has(label.name)) builder.Set(label.name, label.value);
  }
  return std::move(builder).Build();
}

}  // namespace

PageSource::PageSource(KeyTable& table, std::string instance, uint64_t seed)
    : table_(table),
      random_(seed),
      target_labels_(std::make_shared<Labels>(Labels{{"instance", instance}, {"job", "j"}})) {
  const size_t series = 1 + random_() % 90;
  for (size_t i = 0; i < series; ++i) keys_.push_back(MakeKey());
  ending_.assign(keys_.size(), false);
  layout_ = std::make_shared<Layout>(table_, target_labels_, keys_, 0, LayoutPatch{});
}

PageSource::~PageSource() {
  for (const KeyId key : keys_) table_.Unref(key);
}

KeyId PageSource::MakeKey() {
  SeriesKey key;
  const std::string name = absl::StrCat("metric_", random_() % 20);
  LabelsBuilder labels;
  labels.Set("__name__", name).Set("le", absl::StrCat(random_() % 10'000));
  key.complete = Chance(5);
  if (key.complete) labels.Set("instance", "rewritten");
  key.labels = std::move(labels).Build();
  if (Chance(70)) {
    key.family = table_.InternFamily(
        MetricFamily{name, MetricType::kCounter, "", absl::StrCat("What ", name, " counts.")});
  }
  return table_.Intern(key);
}

// Drops what ended, and inserts some: a patch over the layout before.
void PageSource::ChangePage() {
  std::vector<KeyId> keys;
  LayoutPatch patch;
  bool changed = false;
  for (size_t i = 0; i < keys_.size(); ++i) {
    if (Chance(2)) {
      keys.push_back(MakeKey());
      patch.insert(patch.end(), {0, 1});
      changed = true;
    }
    if (ending_[i]) {
      table_.Unref(keys_[i]);
      patch.push_back(-1);
      changed = true;
    } else {
      keys.push_back(keys_[i]);
      patch.push_back(1);
    }
  }
  if (!changed) return;
  keys_ = std::move(keys);
  const uint64_t base = layout_->id();
  layout_ = std::make_shared<Layout>(table_, target_labels_, keys_, base, std::move(patch));
}

double PageSource::MakeValue() {
  switch (random_() % 8) {
    case 0:
      return 0.0;
    case 1:
      return -0.0;
    case 2:
      return NormalNaN();
    case 3:
      return std::numeric_limits<double>::infinity();
    case 4:
      return std::bit_cast<double>(random_());
    case 5:
      return static_cast<double>(random_() % 100'000) / 100;
    default:
      return static_cast<double>(random_() % 1'000'000);
  }
}

const ScrapeBatch& PageSource::NextScrape() {
  ChangePage();
  time_ms_ += 15'000 + static_cast<int64_t>(random_() % 3);
  const size_t size = keys_.size();
  const bool failed = Chance(10);
  values_.assign(size, 0);
  absent_.assign(BitWordCount(size), 0);
  stale_.assign(BitWordCount(size), 0);
  times_.clear();
  ending_.assign(size, false);
  for (size_t p = 0; p < size; ++p) {
    if (failed && p + 5 < size) {
      SetBit(absent_, p);
      if (Chance(70)) SetBit(stale_, p);
      continue;
    }
    values_[p] = MakeValue();
    if (Chance(3)) {
      values_[p] = StaleMarker();
      ending_[p] = true;
    } else if (Chance(3)) {
      SetBit(absent_, p);
    } else if (Chance(3)) {
      times_.push_back({static_cast<uint32_t>(p), time_ms_ - 500 + int64_t(random_() % 1'000)});
    }
  }
  batch_ = ScrapeBatch();
  batch_.layout = layout_;
  batch_.timestamp_ms = time_ms_;
  batch_.flags = failed ? uint32_t{ScrapeBatch::kScrapeFailed} : 0;
  batch_.values = values_;
  batch_.absent = absent_;
  if (failed) batch_.stale = stale_;
  batch_.times = times_;
  return batch_;
}

const ScrapeBatch& PageSource::Gone() {
  time_ms_ += 15'000;
  stale_.assign(BitWordCount(layout_->size()), 0);
  for (size_t p = 0; p < layout_->size(); ++p) SetBit(stale_, p);
  batch_ = ScrapeBatch();
  batch_.layout = layout_;
  batch_.timestamp_ms = time_ms_;
  batch_.flags = ScrapeBatch::kTargetGone;
  batch_.stale = stale_;
  return batch_;
}

Rows PageSource::ExpectedRows(const Labels& external_labels) const {
  Rows rows;
  size_t next_time = 0;
  for (uint32_t p = 0; p < layout_->size(); ++p) {
    const bool stale = BitIsSet(batch_.stale, p);
    if (!stale && BitIsSet(batch_.absent, p)) continue;
    Row row;
    row.labels = WithExternal(layout_->SeriesLabels(p), external_labels).ToString();
    row.time_ms = batch_.timestamp_ms;
    while (next_time < batch_.times.size() && batch_.times[next_time].position < p) ++next_time;
    if (next_time < batch_.times.size() && batch_.times[next_time].position == p) {
      row.time_ms = batch_.times[next_time].timestamp_ms;
    }
    row.bits = stale ? kStaleNaNBits : std::bit_cast<uint64_t>(batch_.values[p]);
    rows.push_back(row);
  }
  return rows;
}

Rows RowsOf(const DecodedScrape& scrape) {
  Rows rows;
  scrape.ForEachSample([&](uint32_t position, double value, int64_t time_ms) {
    rows.push_back({scrape.layout->SeriesLabels(position).ToString(), time_ms,
                    std::bit_cast<uint64_t>(value)});
  });
  return rows;
}

}  // namespace trawl

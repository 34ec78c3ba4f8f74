#include "core/scrape/series_cache.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "core/model/metadata.h"
#include "core/model/report_series.h"
#include "core/model/value.h"
#include "core/scrape/scrape_scratch.h"

namespace trawl {
namespace {

constexpr uint32_t kNowhere = UINT32_MAX;

struct ReportFamily {
  std::string_view unit;
  std::string_view help;
};

// Spec 4.8; in the order of kReportSeries and kExtraReportSeries.
constexpr std::array<ReportFamily, kReportSeries.size() + kExtraReportSeries.size()>
    kReportFamilies = {{
        {"targets",
         "Health of the scrape target. 1 means the target is healthy, 0 if the scrape failed."},
        {"seconds", "Duration of the last scrape in seconds."},
        {"samples", "Number of samples last scraped."},
        {"samples", "Number of samples remaining after metric relabeling was applied."},
        {"series", "Number of series in the last scrape."},
        {"seconds", "The configured scrape timeout for a target."},
        {"samples",
         "The configured sample limit for a target. Returns zero if there is no limit configured."},
        {"bytes",
         "The uncompressed size of the last scrape response, if successful. Scrapes failing "
         "because body_size_limit is exceeded report -1, other scrape failures report 0."},
    }};

// Report series bypass honor_labels and the metric rules (spec 2.7).
KeyId InternReportKey(KeyTable& keys, size_t i) {
  const std::string_view name =
      i < kReportSeries.size() ? kReportSeries[i] : kExtraReportSeries[i - kReportSeries.size()];
  MetricFamily family;
  family.name = name;
  family.type = MetricType::kGauge;
  family.unit = kReportFamilies[i].unit;
  family.help = kReportFamilies[i].help;
  SeriesKey key;
  key.labels = Labels({{kMetricName, name}});
  key.family = keys.InternFamily(family);
  return keys.Intern(key);
}

// The steps of a patch, merged as they come.
class PatchWriter {
 public:
  void Keep() {
    if (!patch_.empty() && !inserting_ && patch_.back() > 0) {
      ++patch_.back();
    } else {
      patch_.push_back(1);
    }
    inserting_ = false;
  }
  void Drop() {
    if (!patch_.empty() && patch_.back() < 0) {
      --patch_.back();
    } else {
      patch_.push_back(-1);
    }
    inserting_ = false;
  }
  void Insert() {
    if (inserting_) {
      ++patch_.back();
    } else {
      patch_.push_back(0);
      patch_.push_back(1);
    }
    inserting_ = true;
  }
  LayoutPatch Take() { return std::move(patch_); }

 private:
  LayoutPatch patch_;
  bool inserting_ = false;
};

}  // namespace

SeriesCache::SeriesCache(Options options, const Deps& deps)
    : samples_(std::move(options.samples)),
      target_labels_(std::move(options.target_labels)),
      keys_(deps.keys),
      hash_key_(deps.hash_key),
      report_count_(kReportSeries.size() +
                    (samples_->extra_scrape_metrics ? kExtraReportSeries.size() : 0)) {}

SeriesCache::~SeriesCache() = default;

std::unique_ptr<SeriesCache> SeriesCache::Copy() const {
  return std::unique_ptr<SeriesCache>(new SeriesCache(*this));
}

void SeriesCache::set_samples(std::shared_ptr<const SampleOptions> samples) {
  samples_ = std::move(samples);
}

size_t SeriesCache::memory_bytes() const {
  return entries_.capacity() * sizeof(Entry) + tracked_.capacity() * sizeof(uint64_t) +
         timed_.capacity() * sizeof(TimedSample);
}

ScrapeResult SeriesCache::IngestNothing(int64_t timestamp_ms, bool failed, ScrapeScratch& scratch) {
  ScrapeResult result;
  Open(scratch);
  const uint32_t flags = failed ? uint32_t{ScrapeBatch::kScrapeFailed} : 0;
  Close(Closing{timestamp_ms, flags, true}, scratch, result);
  return result;
}

ScrapeResult SeriesCache::IngestEndOfRun(int64_t timestamp_ms, ScrapeScratch& scratch) {
  ScrapeResult result;
  Open(scratch);
  entries_.clear();
  Close(Closing{timestamp_ms, ScrapeBatch::kTargetGone, true}, scratch, result);
  timed_.clear();
  return result;
}

void SeriesCache::MakeFirstLayout() {
  std::vector<KeyId> keys;
  keys.reserve(report_count_);
  for (size_t i = 0; i < report_count_; ++i) keys.push_back(InternReportKey(keys_, i));
  layout_ = std::make_shared<const Layout>(keys_, target_labels_, keys, 0, LayoutPatch());
  for (const KeyId key : keys) keys_.Unref(key);
}

std::optional<uint32_t> SeriesCache::ReportFamily(const SeriesKey& key) const {
  if (key.labels.size() != 1 || key.complete) return std::nullopt;
  for (size_t p = body_size(); p < layout_size(); ++p) {
    const SeriesKey& report = keys_.Get(layout_->keys()[p]);
    if (report.labels == key.labels) return report.family;
  }
  return std::nullopt;
}

void SeriesCache::Open(ScrapeScratch& scratch) {
  if (layout_ == nullptr) MakeFirstLayout();
  scratch.Begin(layout_->size(), entries_.size());
}

void SeriesCache::Close(const Closing& closing, ScrapeScratch& scratch, ScrapeResult& result) {
  const bool sampled = closing.flags == 0;
  if (!sampled) UndoTimed(scratch);
  FindStale(closing.timestamp_ms, scratch);
  ForEachBit(scratch.stale_, [&](uint32_t) { ++result.stale_markers; });
  if (!sampled) {
    scratch.present_.clear();
    scratch.times_.clear();
  }
  MarkStale(closing.timestamp_ms, scratch);
  tracked_ = scratch.tracked_;
  UpdateEntries(closing.keep, scratch, result);
  UpdateLayout(scratch);
  if (closing.flags == ScrapeBatch::kTargetGone) {
    for (size_t p = body_size(); p < layout_size(); ++p) {
      SetBit(scratch.stale_, p);
      SetBit(scratch.present_, p);
      scratch.values_[p] = StaleMarker();
    }
  }
  FillBatch(closing, scratch);
  layout_published_ = true;
  if (sampled) previous_ms_ = closing.timestamp_ms;
}

void SeriesCache::UndoTimed(ScrapeScratch& scratch) {
  for (auto undo = scratch.undo_.rbegin(); undo != scratch.undo_.rend(); ++undo) {
    timed_[undo->position] = TimedSample{undo->timestamp_ms, undo->value};
  }
}

// Staleness is what was tracked and is not any more (spec 4.7). A report series never is, and a
// storage rejects the marker where a sample with a timestamp of its own is not older.
void SeriesCache::FindStale(int64_t timestamp_ms, ScrapeScratch& scratch) const {
  scratch.stale_ = tracked_;
  for (size_t word = 0; word < std::min(tracked_.size(), scratch.tracked_.size()); ++word) {
    scratch.stale_[word] &= ~scratch.tracked_[word];
  }
  for (size_t p = body_size(); p < layout_size(); ++p) ClearBit(scratch.stale_, p);
  if (timed_.empty()) return;
  ForEachBit(scratch.stale_, [&](uint32_t p) {
    const bool rejected = p < timed_.size() && timed_[p].timestamp_ms >= timestamp_ms;
    if (rejected) ClearBit(scratch.stale_, p);
  });
}

void SeriesCache::MarkStale(int64_t timestamp_ms, ScrapeScratch& scratch) {
  std::vector<uint32_t> taken;
  ForEachBit(scratch.stale_, [&](uint32_t position) {
    if (TestBit(scratch.present_, position)) {
      taken.push_back(position);
      return;
    }
    scratch.values_[position] = StaleMarker();
    SetBit(scratch.present_, position);
    if (position < timed_.size()) timed_[position] = {timestamp_ms, StaleMarker()};
  });
  // It has a sample with a timestamp in this scrape too (spec 4.5, 13): the marker comes behind
  // it, at a position of its own with the same key.
  for (const uint32_t position : taken) {
    const KeyId key = KeyAt(position, scratch);
    keys_.Ref(key);
    const uint32_t marker = AddSeries(key, OrderAfter(position, scratch), scratch);
    scratch.values_[marker] = StaleMarker();
    SetBit(scratch.present_, marker);
    if (position < timed_.size()) timed_[position] = {timestamp_ms, StaleMarker()};
  }
}

uint32_t SeriesCache::AddSeries(KeyId key, uint32_t after, ScrapeScratch& scratch) {
  const auto position = static_cast<uint32_t>(layout_size() + scratch.new_series_.size());
  scratch.new_series_.push_back({key, after});
  if (scratch.values_.size() <= position) scratch.values_.resize(position + 1 + position / 4);
  if (scratch.position_index_valid_) scratch.position_index_.emplace(key, position);
  return position;
}

std::optional<uint32_t> SeriesCache::FindPosition(KeyId key, ScrapeScratch& scratch) const {
  auto& index = scratch.position_index_;
  if (!scratch.position_index_valid_) {
    scratch.position_index_valid_ = true;
    const std::vector<KeyId>& keys = layout_->keys();
    index.reserve(keys.size());
    for (uint32_t p = 0; p < keys.size(); ++p) index.emplace(keys[p], p);
  }
  const auto found = index.find(key);
  return found == index.end() ? std::nullopt : std::optional(found->second);
}

KeyId SeriesCache::KeyAt(uint32_t position, const ScrapeScratch& scratch) const {
  return position < layout_size() ? layout_->keys()[position]
                                  : scratch.new_series_[position - layout_size()].key;
}

// How many of the layout's body series come before what is put behind a position.
uint32_t SeriesCache::OrderAfter(uint32_t position, const ScrapeScratch& scratch) const {
  if (position >= layout_size()) return scratch.new_series_[position - layout_size()].after;
  return std::min(position + 1, static_cast<uint32_t>(body_size()));
}

// ---- Entries.

std::optional<uint32_t> SeriesCache::LookUp(uint64_t hash, ScrapeScratch& scratch) const {
  auto& index = scratch.entry_index_;
  if (!scratch.entry_index_valid_) {
    scratch.entry_index_valid_ = true;
    index.reserve(entries_.size());
    for (uint32_t i = 0; i < entries_.size(); ++i) index.emplace(entries_[i].hash, i);
  }
  const auto found = index.find(hash);
  if (found == index.end()) return std::nullopt;
  // A text that stands several times, with several timestamps, has as many entries.
  const auto size = static_cast<uint32_t>(entries_.size());
  const uint32_t end = std::min(size, found->second + kLookAhead);
  for (uint32_t i = found->second; i < end; ++i) {
    if (entries_[i].hash == hash && !TestBit(scratch.visited_, i)) return i;
  }
  return found->second;
}

uint32_t SeriesCache::AddEntry(const Entry& entry, ScrapeScratch& scratch) {
  const auto index = static_cast<uint32_t>(entries_.size());
  entries_.push_back(entry);
  entries_changed_ = true;
  if (scratch.entry_index_valid_) scratch.entry_index_.emplace(entry.hash, index);
  return index;
}

void SeriesCache::UpdateEntries(bool keep, ScrapeScratch& scratch, ScrapeResult& result) {
  const size_t count = entries_.size() + report_count_;
  // Prometheus' guard against targets that fail with ever new series (spec 4.9).
  result.cache_flush_forced = keep && count > 2 * successful_count_ + 1000;
  const auto& visits = scratch.visits_;
  const bool whole = entries_.empty() || (visits.size() == 1 && visits[0].begin == 0 &&
                                          visits[0].end == entries_.size());
  const bool nothing_read = keep && visits.empty() && !result.cache_flush_forced;
  if (!whole && !nothing_read) RebuildEntries(keep && !result.cache_flush_forced, scratch);
  if (entries_changed_) FlagSharedPositions();
  if (!keep) successful_count_ = count;
}

// In the order in which they were read; then, if they are kept, those that were not.
void SeriesCache::RebuildEntries(bool keep, ScrapeScratch& scratch) {
  std::vector<Entry> entries;
  entries.reserve(entries_.size());
  for (const ScrapeScratch::Visit& visit : scratch.visits_) {
    entries.insert(entries.end(), entries_.begin() + visit.begin, entries_.begin() + visit.end);
  }
  if (keep) {
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (!TestBit(scratch.visited_, i)) entries.push_back(entries_[i]);
    }
  }
  if (entries.capacity() > entries.size() + entries.size() / 8) entries.shrink_to_fit();
  entries_.swap(entries);
  entries_changed_ = true;
}

// Two texts of one series: which of them comes first must be decided each time.
void SeriesCache::FlagSharedPositions() {
  Bits seen;
  Bits shared;
  for (const Entry& entry : entries_) {
    if ((entry.flags & kComment) != 0 || entry.place == kDropped) continue;
    if (TestBit(seen, entry.place)) SetBit(shared, entry.place);
    SetBit(seen, entry.place);
  }
  for (Entry& entry : entries_) {
    if ((entry.flags & kComment) != 0) continue;
    const bool is_shared = entry.place != kDropped && TestBit(shared, entry.place);
    entry.flags = static_cast<uint16_t>(is_shared ? entry.flags | kShared : entry.flags & ~kShared);
  }
}

// ---- The layout.

// A new one is needed for new series. That some have gone is no reason by itself: a vacant
// position costs a byte a scrape, a new layout costs a definition.
void SeriesCache::UpdateLayout(ScrapeScratch& scratch) {
  if (scratch.new_series_.empty() && !entries_changed_) return;
  const size_t vacant = CountVacant(scratch);
  // What ends in this scrape needs its position for the marker, and is vacant in the next one.
  entries_changed_ = std::any_of(scratch.stale_.begin(), scratch.stale_.end(),
                                 [](uint64_t word) { return word != 0; });
  if (scratch.new_series_.empty() && vacant <= 8 + body_size() / 4) return;
  BuildLayout(scratch);
  MoveState(scratch);
}

size_t SeriesCache::CountVacant(ScrapeScratch& scratch) const {
  Bits& needed = scratch.needed_;
  needed.assign(WordCount(layout_size() + scratch.new_series_.size()), 0);
  for (const Entry& entry : entries_) {
    if ((entry.flags & kComment) == 0 && entry.place != kDropped) SetBit(needed, entry.place);
  }
  for (const Bits* bits : {&tracked_, static_cast<const Bits*>(&scratch.present_)}) {
    for (size_t word = 0; word < std::min(bits->size(), needed.size()); ++word) {
      needed[word] |= (*bits)[word];
    }
  }
  size_t vacant = 0;
  for (size_t p = 0; p < body_size(); ++p) vacant += TestBit(needed, p) ? 0 : 1;
  return vacant;
}

void SeriesCache::BuildLayout(ScrapeScratch& scratch) {
  const size_t old_size = layout_size();
  const size_t body = body_size();
  auto& added = scratch.new_series_;
  std::vector<uint32_t> order(added.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return added[a].after < added[b].after; });

  std::vector<KeyId> keys;
  keys.reserve(old_size + added.size());
  PatchWriter patch;
  scratch.moves_.assign(old_size + added.size(), kNowhere);
  auto next = order.begin();
  for (size_t p = 0; p < old_size; ++p) {
    for (; next != order.end() && p <= body && (added[*next].after <= p || p == body); ++next) {
      const size_t provisional = old_size + *next;
      if (!TestBit(scratch.needed_, provisional)) continue;
      scratch.moves_[provisional] = static_cast<uint32_t>(keys.size());
      keys.push_back(added[*next].key);
      patch.Insert();
    }
    if (p < body && !TestBit(scratch.needed_, p)) {
      patch.Drop();
      continue;
    }
    scratch.moves_[p] = static_cast<uint32_t>(keys.size());
    keys.push_back(layout_->keys()[p]);
    patch.Keep();
  }

  const uint64_t base = layout_published_ ? layout_->id() : 0;
  keys.shrink_to_fit();
  layout_ = std::make_shared<const Layout>(keys_, target_labels_, std::move(keys), base,
                                           base == 0 ? LayoutPatch() : patch.Take());
  for (const auto& series : added) keys_.Unref(series.key);
  added.clear();
}

// Everything that is kept by position, to the new positions.
void SeriesCache::MoveState(ScrapeScratch& scratch) {
  const std::vector<uint32_t>& moves = scratch.moves_;
  const size_t size = layout_->size();
  for (Entry& entry : entries_) {
    if ((entry.flags & kComment) == 0 && entry.place != kDropped) entry.place = moves[entry.place];
  }
  for (Bits* bits : {&tracked_, &scratch.present_, &scratch.stale_}) {
    scratch.moved_bits_.assign(WordCount(size), 0);
    ForEachBit(*bits, [&](uint32_t p) {
      if (p < moves.size() && moves[p] != kNowhere) SetBit(scratch.moved_bits_, moves[p]);
    });
    *bits = scratch.moved_bits_;
  }
  scratch.moved_values_.assign(size, 0);
  for (size_t p = 0; p < moves.size(); ++p) {
    if (moves[p] != kNowhere) scratch.moved_values_[moves[p]] = scratch.values_[p];
  }
  scratch.values_.swap(scratch.moved_values_);
  for (auto& time : scratch.times_) time.position = moves[time.position];
  if (timed_.empty()) return;
  std::vector<TimedSample> timed(size);
  for (size_t p = 0; p < std::min(timed_.size(), moves.size()); ++p) {
    if (moves[p] != kNowhere) timed[moves[p]] = timed_[p];
  }
  timed_.swap(timed);
}

// ---- The batch.

void SeriesCache::FillBatch(const Closing& closing, ScrapeScratch& scratch) const {
  const size_t size = layout_->size();
  const bool gone = closing.flags == ScrapeBatch::kTargetGone;
  for (size_t p = body_size(); p < size; ++p) {
    if (!TestBit(scratch.present_, p)) scratch.values_[p] = 0;
  }
  scratch.present_.resize(WordCount(size));
  scratch.absent_.assign(WordCount(size), 0);
  bool any_absent = false;
  for (size_t word = 0; word < scratch.absent_.size(); ++word) {
    uint64_t absent = ~scratch.present_[word];
    if (word == size / 64) absent &= (uint64_t{1} << (size % 64)) - 1;
    scratch.absent_[word] = absent;
  }
  for (size_t p = body_size(); p < size; ++p) ClearBit(scratch.absent_, p);
  for (const uint64_t word : scratch.absent_) any_absent = any_absent || word != 0;
  std::sort(scratch.times_.begin(), scratch.times_.end(),
            [](const auto& a, const auto& b) { return a.position < b.position; });

  ScrapeBatch& batch = scratch.batch_;
  batch.layout = layout_;
  batch.timestamp_ms = closing.timestamp_ms;
  batch.flags = closing.flags;
  batch.values = std::span(scratch.values_).first(size);
  if (any_absent) batch.absent = scratch.absent_;
  if (closing.flags != 0 || gone) {
    scratch.stale_.resize(WordCount(size));
    batch.stale = scratch.stale_;
  }
  batch.times = scratch.times_;
}

}  // namespace trawl

#include "core/scrape/scrape_body.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "core/model/value.h"
#include "core/scrape/line_numbers.h"
#include "core/scrape/sample_labels.h"

namespace trawl {
namespace {

// Spec 2.8, time limit.
constexpr int64_t kMaxAheadMs = int64_t{10} * 60 * 1000;
constexpr size_t kMaxRunLength = std::numeric_limits<uint32_t>::max();

inline uint64_t Hash(HashKey key, const char* text, size_t length) {
  return XXH3_64bits_withSeed(text, length, key.seed);
}

bool IsSameValue(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

}  // namespace

ScrapeBody::ScrapeBody(SeriesCache& cache, ScrapeScratch& scratch, const Input& input)
    : cache_(cache),
      scratch_(scratch),
      input_(input),
      samples_(cache.samples_),
      options_(*samples_),
      parser_(input.body),
      metadata_(input.body, cache.keys_),
      known_end_(static_cast<uint32_t>(cache.entries_.size())) {
  const size_t newline = input.body.rfind('\n');
  fast_end_ = newline == std::string_view::npos ? 0 : newline + 1;
  cache_.Open(scratch_);
}

bool ScrapeBody::Step(size_t max_bytes) {
  const size_t size = input_.body.size();
  const size_t stop = max_bytes == 0 ? size : std::min(size, at_ + max_bytes);
  while (!done_ && at_ < stop) {
    if (input_.observer == nullptr) ReadFast(std::min(stop, fast_end_));
    if (at_ < stop) ReadSlow();
  }
  done_ = done_ || at_ >= size;
  return done_;
}

ScrapeResult ScrapeBody::Finish() {
  while (!Step()) {
  }
  if (result_.sample_limit_exceeded && result_.status.ok()) {
    Fail(absl::ResourceExhaustedError("sample limit exceeded"), FailureReason::kSampleLimit);
  }
  SeriesCache::Closing closing;
  closing.timestamp_ms = input_.timestamp_ms;
  closing.keep = !result_.status.ok() || input_.body.empty();
  if (!result_.status.ok()) closing.flags = ScrapeBatch::kScrapeFailed;
  finished_ = true;
  cache_.Close(closing, scratch_, result_);
  return result_;
}

ScrapeBody::~ScrapeBody() {
  if (finished_) return;
  // The cache must not be left with series that have no position.
  Fail(absl::CancelledError("scrape abandoned"), FailureReason::kOther);
  Finish();
}

void ScrapeBody::Fail(absl::Status status, FailureReason reason) {
  if (result_.status.ok()) {
    result_.status = std::move(status);
    result_.reason = reason;
  }
  done_ = true;
}

// ---- The fast path: the lines of the last scrape, in its order, with new values.

// Up to the first entry that has been read already (the body has jumped back before).
uint32_t ScrapeBody::FastEntriesEnd() const {
  uint32_t end = cursor_;
  if (cursor_ >= visited_end_) return known_end_;
  while (end < known_end_ && !IsVisited(end)) ++end;
  return end;
}

// How many more samples sample_limit lets pass.
uint64_t ScrapeBody::Budget() const {
  if (options_.sample_limit == 0) return std::numeric_limits<uint64_t>::max();
  return options_.sample_limit - admitted_;
}

void ScrapeBody::ReadFast(size_t end) {
  const char* const base = input_.body.data();
  if (rekey_ && at_ < end && base[at_] != '#') return;
  const char* const stop = base + end;
  const char* const limit = base + fast_end_;
  const char* p = base + at_;
  const Entry* const entries = cache_.entries_.data();
  const uint32_t entries_end = FastEntriesEnd();
  uint64_t budget = Budget();
  double* values = scratch_.values_.data();
  const HashKey key = cache_.hash_key_;
  while (p < stop) {
    if (*p == '\n') {
      ++p;
      continue;
    }
    if (cursor_ == entries_end) break;
    const Entry entry = entries[cursor_];
    const auto left = static_cast<size_t>(limit - p);
    if ((entry.flags & ~SeriesCache::kTimed) == SeriesCache::kPlain) {
      // The text, a blank, a digit and a line feed at least.
      if (rekey_ || left < size_t{entry.length} + 3 || p[entry.length] != ' ') break;
      if (Hash(key, p, entry.length) != entry.hash) break;
      if (entry.flags != SeriesCache::kPlain) {
        const char* const line_end = ReadTimed(entry, p);
        if (line_end == nullptr) break;
        p = line_end + 1;
        values = scratch_.values_.data();
        budget = Budget();
        continue;
      }
      double value;
      const char* line_end = ParseLineValue(p + entry.length + 1, &value);
      if (line_end != nullptr && *line_end == ' ') {
        int64_t ignored;
        line_end = options_.honor_timestamps ? nullptr : ParseLineTimestamp(line_end, &ignored);
      }
      if (line_end == nullptr) break;
      if (entry.place != SeriesCache::kDropped) {
        if (budget == 0) break;
        --budget;
        values[entry.place] = value;
      }
      p = line_end + 1;
    } else if ((entry.flags & SeriesCache::kComment) != 0) {
      if (*p != '#' || left < entry.place || Hash(key, p, entry.place) != entry.hash) break;
      rekey_ = false;
      NoteMetadata(entry.flags, {static_cast<size_t>(p - base), entry.place});
      p += entry.place;
    } else {
      break;
    }
    ++cursor_;
  }
  at_ = static_cast<size_t>(p - base);
  EndRun();
}

// The expected series, with a timestamp of its own. The end of its line, or null: for the strict
// parser.
const char* ScrapeBody::ReadTimed(const Entry& entry, const char* p) {
  Sample sample{{p, entry.length}, 0, std::nullopt};
  const char* line_end = ParseLineValue(p + entry.length + 1, &sample.value);
  if (line_end != nullptr && *line_end == ' ') {
    int64_t timestamp_ms;
    line_end = ParseLineTimestamp(line_end, &timestamp_ms);
    sample.timestamp_ms = timestamp_ms;
  }
  if (line_end == nullptr) return nullptr;
  EndRun();
  ++result_.total;
  if (entry.place == SeriesCache::kDropped) {
    Visit(cursor_);
  } else {
    OnKnown(cursor_, sample);
  }
  return line_end;
}

// Books the entries that the fast path has read.
void ScrapeBody::EndRun() {
  if (run_ == cursor_) return;
  // `present_` has room for all positions of the layout, `visited_` for all known entries.
  uint64_t* const present = scratch_.present_.data();
  uint64_t* const tracked = scratch_.tracked_.data();
  uint64_t* const visited = scratch_.visited_.data();
  const Entry* const entries = cache_.entries_.data();
  int64_t total = 0;
  int64_t dropped = 0;
  for (uint32_t i = run_; i < cursor_; ++i) {
    const Entry entry = entries[i];
    visited[i / 64] |= uint64_t{1} << (i % 64);
    if (entry.flags != SeriesCache::kPlain) continue;  // comments
    ++total;
    if (entry.place == SeriesCache::kDropped) {
      ++dropped;
      continue;
    }
    order_ = entry.place + 1;
    const uint64_t bit = uint64_t{1} << (entry.place % 64);
    present[entry.place / 64] |= bit;
    tracked[entry.place / 64] |= bit;
  }
  result_.total += total;
  result_.added += total - dropped;
  admitted_ += static_cast<uint64_t>(total - dropped);
  auto& visits = scratch_.visits_;
  if (!visits.empty() && visits.back().end == run_) {
    visits.back().end = cursor_;
  } else {
    visits.push_back({run_, cursor_});
  }
  visited_end_ = std::max(visited_end_, cursor_);
  run_ = cursor_;
}

// ---- The slow path: one entry by the strict parser.

void ScrapeBody::ReadSlow() {
  parser_.set_position(at_);
  const TextParser::Entry entry = parser_.Next();
  switch (entry) {
    case TextParser::Entry::kEnd:
      at_ = input_.body.size();
      return;
    case TextParser::Entry::kError:
      if (input_.observer != nullptr) input_.observer->OnError(parser_);
      Fail(parser_.status(), FailureReason::kParse);
      return;
    case TextParser::Entry::kSeries: {
      Sample sample{parser_.series(), parser_.value(), std::nullopt};
      if (options_.honor_timestamps) sample.timestamp_ms = parser_.timestamp();
      input_.observer == nullptr ? OnSample(sample) : Observe(sample);
      break;
    }
    default:
      ReadComments(entry);
  }
  at_ = parser_.position();
}

// All comment lines from here on are one entry.
void ScrapeBody::ReadComments(TextParser::Entry first) {
  uint16_t flags = SeriesCache::kComment;
  const size_t begin = at_;
  for (TextParser::Entry entry = first;; entry = parser_.Next()) {
    if (entry == TextParser::Entry::kEnd) break;  // a NUL, behind which nothing is read
    if (entry == TextParser::Entry::kError) {
      if (input_.observer != nullptr) input_.observer->OnError(parser_);
      Fail(parser_.status(), FailureReason::kParse);
      return;
    }
    if (entry == TextParser::Entry::kType) flags |= SeriesCache::kHasType | SeriesCache::kHasMeta;
    if (entry == TextParser::Entry::kHelp) flags |= SeriesCache::kHasMeta;
    const size_t next = parser_.position();
    if (next >= fast_end_ || input_.body[next] != '#' || next - begin > kSliceBytes) break;
  }
  const MetadataLines::Run run{begin, parser_.position() - begin};
  NoteMetadata(flags, run);
  // Only what ends with a line feed can be found again as it is.
  if (run.at + run.length > fast_end_ || run.length > kMaxRunLength) return;
  const uint64_t hash = Hash(cache_.hash_key_, input_.body.data() + begin, run.length);
  const std::optional<uint32_t> known = FindEntry(hash);
  if (known.has_value() && !IsVisited(*known)) {
    rekey_ = false;
    Visit(*known);
    return;
  }
  rekey_ = rekey_ || (!known.has_value() && (flags & SeriesCache::kHasMeta) != 0);
  Visit(cache_.AddEntry(Entry{hash, static_cast<uint32_t>(run.length), 0, flags}, scratch_));
}

void ScrapeBody::NoteMetadata(uint16_t flags, MetadataLines::Run run) {
  if ((flags & SeriesCache::kHasMeta) == 0) return;
  metadata_.Note(run, (flags & SeriesCache::kHasType) != 0);
}

// ---- Entries.

std::optional<uint32_t> ScrapeBody::FindEntry(uint64_t hash) {
  const uint32_t end = std::min(known_end_, cursor_ + SeriesCache::kLookAhead);
  for (uint32_t i = cursor_; i < end; ++i) {
    if (cache_.entries_[i].hash == hash && !IsVisited(i)) return i;
  }
  return cache_.LookUp(hash, scratch_);
}

// Behind a known entry the next known one is expected; a new one changes no expectation.
void ScrapeBody::Visit(uint32_t index) {
  SetBit(scratch_.visited_, index);
  auto& visits = scratch_.visits_;
  if (!visits.empty() && visits.back().end == index) {
    ++visits.back().end;
  } else {
    visits.push_back({index, index + 1});
  }
  if (index >= known_end_) return;
  visited_end_ = std::max(visited_end_, index + 1);
  cursor_ = index + 1;
  run_ = cursor_;
}

void ScrapeBody::AddSeriesEntry(uint64_t hash, uint32_t place, const Sample& sample) {
  Entry entry{hash, place, 0, SeriesCache::kPlain};
  entry.length = static_cast<uint16_t>(std::min(sample.text.size(), SeriesCache::kMaxLength));
  if (sample.text.size() > SeriesCache::kMaxLength) entry.flags |= SeriesCache::kLong;
  if (sample.timestamp_ms.has_value()) entry.flags |= SeriesCache::kTimed;
  Visit(cache_.AddEntry(entry, scratch_));
}

// ---- Samples (spec 4.5).

// What is told is what was counted.
void ScrapeBody::Observe(const Sample& sample) {
  parser_.set_type(metadata_.Type());
  const ScrapeResult before = result_;
  const uint64_t admitted = admitted_;
  OnSample(sample);
  input_.observer->OnSample(parser_, FateSince(before, admitted), result_.status);
}

SampleFate ScrapeBody::FateSince(const ScrapeResult& before, uint64_t admitted) const {
  if (!result_.status.ok()) {
    return result_.label_limit_exceeded ? SampleFate::kOverLimit : SampleFate::kBad;
  }
  if (result_.duplicates > before.duplicates) return SampleFate::kDuplicate;
  if (result_.out_of_order > before.out_of_order) return SampleFate::kOutOfOrder;
  if (result_.out_of_bounds > before.out_of_bounds) return SampleFate::kOutOfBounds;
  if (result_.added == before.added) return SampleFate::kDropped;
  return admitted_ == admitted ? SampleFate::kOverLimit : SampleFate::kKept;
}

void ScrapeBody::OnSample(const Sample& sample) {
  ++result_.total;
  const uint64_t hash = Hash(cache_.hash_key_, sample.text.data(), sample.text.size());
  const std::optional<uint32_t> index = FindEntry(hash);
  if (!index.has_value()) {
    OnNew(hash, sample);
  } else if (cache_.entries_[*index].place == SeriesCache::kDropped) {
    if (!IsVisited(*index)) Visit(*index);
  } else if (IsVisited(*index)) {
    OnRepeated(*index, hash, sample);
  } else {
    OnKnown(*index, sample);
  }
}

void ScrapeBody::OnKnown(uint32_t index, const Sample& sample) {
  Visit(index);
  ++result_.added;
  Entry& entry = cache_.entries_[index];
  if (sample.timestamp_ms.has_value()) entry.flags |= SeriesCache::kTimed;
  const uint32_t position = rekey_ ? Rekey(entry.place) : entry.place;
  entry.place = position;
  order_ = cache_.OrderAfter(position, scratch_);
  const Verdict verdict = Judge(position, sample);
  if (verdict == Verdict::kReject) return;
  if (verdict == Verdict::kStore) Store(position, sample);
  Track(position, sample);
}

// The same text again: a duplicate, unless it has a timestamp of its own.
void ScrapeBody::OnRepeated(uint32_t index, uint64_t hash, const Sample& sample) {
  ++result_.added;
  if (!sample.timestamp_ms.has_value()) {
    ++result_.duplicates;
    return;
  }
  const uint32_t position = cache_.entries_[index].place;
  const Verdict verdict = Judge(position, sample);
  if (verdict == Verdict::kReject) return;
  if (verdict == Verdict::kStore) AddSeriesEntry(hash, Store(position, sample), sample);
  Track(position, sample);
}

void ScrapeBody::OnNew(uint64_t hash, const Sample& sample) {
  const absl::StatusOr<std::optional<KeyId>> resolved = Resolve();
  if (!resolved.ok()) return;
  if (!resolved->has_value()) {
    AddSeriesEntry(hash, SeriesCache::kDropped, sample);
    return;
  }
  ++result_.added;
  const KeyId key = **resolved;
  std::optional<uint32_t> position = cache_.FindPosition(key, scratch_);
  const Verdict verdict = Judge(position, sample);
  if (verdict == Verdict::kReject || position.has_value()) {
    cache_.keys_.Unref(key);
  } else {
    position = cache_.AddSeries(key, order_, scratch_);
  }
  if (verdict == Verdict::kReject) return;
  uint32_t place = *position;
  if (verdict == Verdict::kStore) place = Store(*position, sample);
  AddSeriesEntry(hash, place, sample);
  Track(*position, sample);
  if (!result_.sample_limit_exceeded) ++result_.series_added;
}

ScrapeBody::Verdict ScrapeBody::Judge(std::optional<uint32_t> position, const Sample& sample) {
  if (options_.sample_limit > 0 && admitted_ >= options_.sample_limit) {
    result_.sample_limit_exceeded = true;
    return Verdict::kReject;
  }
  ++admitted_;
  if (sample.timestamp_ms.value_or(input_.timestamp_ms) > input_.now_ms + kMaxAheadMs) {
    ++result_.out_of_bounds;
    return Verdict::kReject;
  }
  return position.has_value() ? JudgeOrder(*position, sample) : Verdict::kStore;
}

ScrapeBody::Verdict ScrapeBody::JudgeOrder(uint32_t position, const Sample& sample) {
  const std::optional<SeriesCache::TimedSample> last = LastSample(position);
  const int64_t timestamp = sample.timestamp_ms.value_or(input_.timestamp_ms);
  if (!last.has_value() || timestamp > last->timestamp_ms) return Verdict::kStore;
  // What collides within the scrape Prometheus' storage leaves out at the commit only: to the
  // scrape it is a sample like others.
  const Verdict collision =
      TestBit(scratch_.present_, position) ? Verdict::kKnown : Verdict::kReject;
  if (timestamp < last->timestamp_ms) {
    ++result_.out_of_order;
    return collision;
  }
  if (IsSameValue(last->value, sample.value)) return Verdict::kKnown;
  ++result_.duplicates;
  return collision;
}

// The newest sample of a position, this scrape's included. Of a series without timestamps the
// value is known only within the scrape; no exposition can have the stale marker in its place.
std::optional<SeriesCache::TimedSample> ScrapeBody::LastSample(uint32_t position) const {
  const auto& timed = cache_.timed_;
  const bool is_timed = position < timed.size() && timed[position].timestamp_ms != INT64_MIN;
  if (TestBit(scratch_.present_, position)) {
    if (is_timed) return timed[position];
    return SeriesCache::TimedSample{input_.timestamp_ms, scratch_.values_[position]};
  }
  if (is_timed) return timed[position];
  const bool tracked = TestBit(cache_.tracked_, position) && cache_.previous_ms_ != INT64_MIN;
  if (!tracked) return std::nullopt;
  return SeriesCache::TimedSample{cache_.previous_ms_, StaleMarker()};
}

uint32_t ScrapeBody::Store(uint32_t position, const Sample& sample) {
  if (TestBit(scratch_.present_, position)) {
    // A second sample in one scrape, later than the first: a position of its own, same key.
    const KeyId key = cache_.KeyAt(position, scratch_);
    cache_.keys_.Ref(key);
    RememberTime(position, *sample.timestamp_ms, sample.value);
    position = cache_.AddSeries(key, cache_.OrderAfter(position, scratch_), scratch_);
  }
  scratch_.values_[position] = sample.value;
  SetBit(scratch_.present_, position);
  if (sample.timestamp_ms.has_value()) {
    scratch_.times_.push_back({position, *sample.timestamp_ms});
    RememberTime(position, *sample.timestamp_ms, sample.value);
  } else if (position < cache_.timed_.size() && cache_.timed_[position].timestamp_ms != INT64_MIN) {
    RememberTime(position, input_.timestamp_ms, sample.value);
  }
  return position;
}

void ScrapeBody::RememberTime(uint32_t position, int64_t timestamp_ms, double value) {
  auto& timed = cache_.timed_;
  if (position >= timed.size()) timed.resize(std::max<size_t>(position + 1, cache_.layout_size()));
  scratch_.undo_.push_back({position, timed[position].timestamp_ms, timed[position].value});
  timed[position] = {timestamp_ms, value};
}

void ScrapeBody::Track(uint32_t position, const Sample& sample) {
  if (sample.timestamp_ms.has_value() && !options_.track_timestamps_staleness) return;
  SetBit(scratch_.tracked_, position);
}

// ---- New series.

absl::StatusOr<std::optional<KeyId>> ScrapeBody::Resolve() {
  parser_.set_type(metadata_.Type());
  parser_.ReadLabels(&scratch_.labels_);
  LabelsBuilder& labels = scratch_.builder_;
  FailureReason reason = FailureReason::kNone;
  const absl::StatusOr<bool> kept =
      LabelSample(options_, *cache_.target_labels_, scratch_.labels_, &labels, &reason);
  if (!kept.ok()) {
    result_.label_limit_exceeded = reason == FailureReason::kLabelLimit;
    Fail(kept.status(), reason);
    return kept.status();
  }
  if (!*kept) return std::nullopt;
  SeriesKey key = MakeSeriesKey(labels.labels(), *cache_.target_labels_);
  const std::optional<uint32_t> report = cache_.ReportFamily(key);
  key.family = report.has_value() ? *report : metadata_.FamilyOf(labels.Get(kMetricName));
  return cache_.keys_.Intern(key);
}

// The position of the same series with the metadata that is in force now. The old position gets
// no stale marker: its series goes on.
uint32_t ScrapeBody::Rekey(uint32_t position) {
  SeriesKey key = cache_.keys_.Get(cache_.KeyAt(position, scratch_));
  const uint32_t family = metadata_.FamilyOf(key.labels.Get(kMetricName));
  if (family == key.family || position >= cache_.body_size()) return position;
  key.family = family;
  const KeyId id = cache_.keys_.Intern(key);
  std::optional<uint32_t> moved = cache_.FindPosition(id, scratch_);
  if (moved.has_value()) {
    cache_.keys_.Unref(id);
  } else {
    moved = cache_.AddSeries(id, position, scratch_);
    if (position < cache_.timed_.size()) {
      const SeriesCache::TimedSample last = cache_.timed_[position];
      RememberTime(*moved, last.timestamp_ms, last.value);
    }
  }
  if (TestBit(cache_.tracked_, position)) {
    ClearBit(cache_.tracked_, position);
    SetBit(cache_.tracked_, *moved);
  }
  return *moved;
}

}  // namespace trawl

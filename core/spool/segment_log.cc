#include "core/spool/segment_log.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

// Of dropped segments, how many records' samples are remembered one by one.
constexpr size_t kExactLostRecords = 1 << 20;

uint64_t Share(uint64_t samples, uint64_t part, uint64_t whole) {
  return static_cast<uint64_t>(static_cast<double>(samples) * static_cast<double>(part) /
                               static_cast<double>(whole));
}

}  // namespace

uint64_t SegmentLog::first_number() const {
  return segments_.empty() ? next_number_ : segments_.front().first();
}

const SpoolSegment* SegmentLog::Find(uint64_t number) const {
  const auto above =
      std::upper_bound(segments_.begin(), segments_.end(), number,
                       [](uint64_t n, const SpoolSegment& segment) { return n < segment.first(); });
  if (above == segments_.begin()) return nullptr;
  const SpoolSegment& segment = *std::prev(above);
  return number < segment.end() ? &segment : nullptr;
}

SpoolSegment* SegmentLog::Find(uint64_t number) {
  return const_cast<SpoolSegment*>(std::as_const(*this).Find(number));
}

// ---- Records

absl::StatusOr<LogRecord> SegmentLog::Read(uint64_t number) {
  SpoolSegment* const segment = Find(number);
  if (segment == nullptr) return absl::NotFoundError(absl::StrCat("no record ", number));
  LogRecord out;
  if (open_block_ != nullptr && number >= open_block_->first()) {
    out = open_block_->Get(number);
  } else {
    ASSIGN_OR_RETURN(reading_, Block(*segment, number));
    if (IsLost(*segment, number)) return absl::NotFoundError(absl::StrCat("lost record ", number));
    out = reading_->Get(number);
  }
  out.segment_start = number == segment->first();
  const SegmentBlock& block = segment->index().blocks[segment->BlockOf(number)];
  out.keyframe = out.segment_start || (block.keyframe && block.number == number);
  return out;
}

absl::StatusOr<std::shared_ptr<const RecordBlock>> SegmentLog::Block(SpoolSegment& segment,
                                                                     uint64_t number) {
  const size_t index = segment.BlockOf(number);
  if (auto resident = segment.Resident(index)) return resident;
  const uint64_t first = segment.index().blocks[index].number;
  for (auto it = cache_.begin(); it != cache_.end(); ++it) {
    if (it->first != first) continue;
    cache_.splice(cache_.begin(), cache_, it);
    return it->block;
  }
  ASSIGN_OR_RETURN(std::shared_ptr<const RecordBlock> block, segment.LoadBlock(files_, index));
  Cache(first, block);
  return block;
}

void SegmentLog::Cache(uint64_t first_number, std::shared_ptr<const RecordBlock> block) {
  cache_bytes_ += block->bytes().size();
  cache_.push_front(CachedBlock{first_number, std::move(block)});
  while (cache_bytes_ > kCacheBytes && cache_.size() > 1) {
    cache_bytes_ -= cache_.back().block->bytes().size();
    cache_.pop_back();
  }
}

bool SegmentLog::IsLost(SpoolSegment& segment, uint64_t number) {
  const SpoolSegment::Damage* const damage = segment.DamageAt(number);
  if (damage == nullptr) return false;
  if (damage->all) return true;
  const absl::StatusOr<std::shared_ptr<const RecordBlock>> block = Block(segment, number);
  // What can't be read now is told when it can; that may have found more damage.
  if (!block.ok() || (*block)->lost(number)) return true;
  const SpoolSegment::Damage* const again = segment.DamageAt(number);
  return again->all || (*block)->kind(number) == RecordKind::kScrape;
}

// ---- Holes

std::optional<LogHole> SegmentLog::HoleAt(uint64_t number) {
  if (number >= next_number_) return std::nullopt;
  SpoolSegment* const segment = Find(number);
  if (segment == nullptr) return HoleBetween(number);
  const SpoolSegment::Damage* const damage = segment->DamageAt(number);
  if (damage == nullptr || !IsLost(*segment, number)) return std::nullopt;
  return HoleInSegment(*segment, number, *segment->DamageAt(number));
}

// Up to the next record that is to be had. `damage` must not be used once blocks are loaded.
LogHole SegmentLog::HoleInSegment(SpoolSegment& segment, uint64_t number,
                                  const SpoolSegment::Damage& damage) {
  uint64_t end = damage.end;
  if (!damage.all) {
    const uint64_t limit = end;
    end = number + 1;
    while (end < limit && IsLost(segment, end)) ++end;
  }
  return LogHole{.from = number,
                 .to = end - 1,
                 .samples = SamplesBetween(number, end - 1),
                 .reason = HoleReason::kDamaged};
}

LogHole SegmentLog::HoleBetween(uint64_t number) const {
  const auto next =
      std::upper_bound(segments_.begin(), segments_.end(), number,
                       [](uint64_t n, const SpoolSegment& segment) { return n < segment.first(); });
  LogHole hole{.from = number,
               .to = next == segments_.end() ? next_number_ - 1 : next->first() - 1};
  if (const LostRanges::Range* range = lost_.Find(number)) {
    hole.reason = range->reason;
    hole.to = range->end - 1;
    // Ranges of one reason that follow on each other are one hole.
    for (const LostRanges::Range* more = lost_.Find(hole.to + 1);
         more != nullptr && more->reason == hole.reason; more = lost_.Find(hole.to + 1)) {
      hole.to = more->end - 1;
    }
  } else {
    if (const LostRanges::Range* above = lost_.NextAbove(number)) {
      hole.to = std::min(hole.to, above->first - 1);
    }
    // Where it is not known: before the first segment everybody was past it, or it would be noted.
    const bool delivered = delivered_ ? number <= *delivered_ : next == segments_.begin();
    hole.reason = delivered ? HoleReason::kTrimmed : HoleReason::kNotSpooled;
    if (delivered) hole.to = std::min(hole.to, delivered_.value_or(hole.to));
  }
  hole.samples = SamplesBetween(hole.from, hole.to);
  return hole;
}

// ---- Places

uint64_t SegmentLog::SegmentStart(uint64_t number) const {
  const SpoolSegment* const segment = Find(number);
  return segment == nullptr ? 0 : segment->first();
}

uint64_t SegmentLog::Keyframe(uint64_t number) const {
  const SpoolSegment* const segment = Find(number);
  return segment == nullptr ? 0 : segment->KeyframeAtOrBelow(number);
}

uint64_t SegmentLog::SamplesBetween(uint64_t from, uint64_t to) const {
  return to < from ? 0 : SamplesBelow(to + 1) - SamplesBelow(from);
}

uint64_t SegmentLog::BytesFrom(uint64_t number) const {
  uint64_t bytes = 0;
  for (auto segment = segments_.rbegin(); segment != segments_.rend(); ++segment) {
    if (segment->end() <= number) break;
    bytes += segment->BytesFrom(std::max(number, segment->first()));
  }
  return bytes;
}

uint64_t SegmentLog::SamplesBelow(uint64_t number) const {
  // What is known of it lies between the ends of what comes before and the start of what follows.
  uint64_t number_before = 1;
  uint64_t samples_before = 0;
  uint64_t number_after = next_number_;
  uint64_t samples_after = segments_.empty() ? 0 : segments_.back().samples_end();
  const auto note = [&](uint64_t first, uint64_t end, uint64_t samples_first,
                        uint64_t samples_end) {
    if (end <= number && end >= number_before) {
      number_before = end;
      samples_before = samples_end;
    }
    if (first >= number && first < number_after) {
      number_after = first;
      samples_after = samples_first;
    }
  };
  for (const LostRanges::Range& range : lost_.ranges()) {
    if (number > range.first && number < range.end) return range.SamplesBelow(number);
    note(range.first, range.end, range.samples_before, range.samples_end);
  }
  for (const SpoolSegment& segment : segments_) {
    if (number > segment.first() && number < segment.end()) {
      return SamplesBelowInSegment(segment, number);
    }
    note(segment.first(), segment.end(), segment.samples_before(), segment.samples_end());
  }
  if (number <= number_before || samples_after < samples_before) return samples_before;
  if (number >= number_after) return samples_after;
  return samples_before + Share(samples_after - samples_before, number - number_before,
                                number_after - number_before);
}

uint64_t SegmentLog::SamplesBelowInSegment(const SpoolSegment& segment, uint64_t number) const {
  const size_t index = segment.BlockOf(number);
  const SegmentBlock& block = segment.index().blocks[index];
  if (number == block.number) return block.samples;
  if (open_block_ != nullptr && number >= open_block_->first()) {
    return block.samples + open_block_->SamplesBelow(number);
  }
  const uint64_t end = segment.BlockEnd(index);
  const uint64_t end_samples = index + 1 < segment.index().blocks.size()
                                   ? segment.index().blocks[index + 1].samples
                                   : segment.samples_end();
  // Reading changes what is cached, not what the log holds.
  const absl::StatusOr<std::shared_ptr<const RecordBlock>> records =
      const_cast<SegmentLog*>(this)->Block(const_cast<SpoolSegment&>(segment), number);
  if (!records.ok()) {
    return block.samples +
           Share(end_samples - block.samples, number - block.number, end - block.number);
  }
  // From the end where records are lost in front: what is lost counts as what is missing.
  const RecordBlock& found = **records;
  if (!found.damaged() || number <= found.first_lost()) {
    return block.samples + found.SamplesBelow(number);
  }
  const uint64_t above = found.SamplesBelow(end) - found.SamplesBelow(number);
  return end_samples - std::min(above, end_samples - block.samples);
}

// ---- Removal

void SegmentLog::Remove(size_t at, HoleReason reason) {
  SpoolSegment& segment = segments_[at];
  if (reason != HoleReason::kTrimmed) {
    LostRanges::Range range{segment.first(),       segment.end(), segment.samples_before(),
                            segment.samples_end(), reason,        {}};
    const uint64_t records = range.end - range.first;
    if (records + lost_.exact_records() <= kExactLostRecords) {
      range.samples = std::move(segment.record_samples);
    }
    if (range.samples.size() != records) range.samples.clear();
    lost_.Add(std::move(range));
  }
  for (auto it = cache_.begin(); it != cache_.end();) {
    const bool gone = it->first >= segment.first() && it->first < segment.end();
    if (gone) cache_bytes_ -= it->block->bytes().size();
    it = gone ? cache_.erase(it) : std::next(it);
  }
  segments_.erase(segments_.begin() + static_cast<std::ptrdiff_t>(at));
}

}  // namespace trawl

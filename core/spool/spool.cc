#include "core/spool/spool.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "core/spool/gap_ledger.h"

namespace trawl {
namespace {

constexpr size_t kRememberedRecords = 1 << 20;
constexpr absl::Duration kTellEvery = absl::Minutes(1);
// Segments in memory are small, so that little goes at a time when it is full.
constexpr uint64_t kMemorySegments = 16;

}  // namespace

Spool::Spool(const Options& options, const Deps& deps)
    : options_(options),
      identity_(options.identity.Checksum()),
      loop_(deps.loop),
      files_(deps.files),
      syncer_(deps.syncer),
      budget_(deps.budget),
      share_(deps.budget.Join()),
      log_(deps.files),
      retry_step_(options.first_retry) {
  tick_timer_ = loop_.RunAfter(options_.tick, [this] { Tick(); });
}

Spool::~Spool() {
  loop_.Cancel(tick_timer_);
  EndSegment();
  // An epoch that everybody is past needs no next run to clear it away.
  if (durable_ + 1 >= next_number()) {
    while (!log_.segments().empty()) Drop(0, HoleReason::kTrimmed);
    if (directory_made_) {
      syncer_.Remove({.path = absl::StrCat(options_.directory, "/", kLedgerFileName)});
      syncer_.Remove({.path = options_.directory});
      // The epoch's, with the last lane.
      syncer_.Remove({.path = DirectoryOf(options_.directory), .once = true});
    }
  }
  budget_.Leave(share_);
}

int64_t Spool::NowMs() const { return absl::ToUnixMillis(loop_.clock().Now()); }

// ---- Appending

absl::Status Spool::Append(const LogRecord& record) {
  if (record.number != next_number()) {
    return absl::InternalError(
        absl::StrCat("record ", record.number, " appended, want ", next_number()));
  }
  if (log_.segments().empty() && !record.segment_start) {
    return absl::InternalError("the first record does not start a segment");
  }
  const uint64_t before = record.segment_start ? 0 : segment_bytes_;
  if (before + record.bytes.size() > max_segment_bytes()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the spool of ", max_segment_bytes(), " bytes does not hold one segment"));
  }
  if (record.segment_start) BeginSegment();
  const bool keyframe = record.keyframe || record.segment_start;
  const bool with_mark = keyframe || block_->bytes().size() >= kSpoolBlockBytes;
  if (with_mark) BeginBlock(keyframe);

  const size_t old_size = block_->bytes().size();
  block_->Append(static_cast<uint32_t>(record.samples), record.bytes);
  SpoolSegment& segment = newest();
  SegmentIndex& index = segment.mutable_index();
  const size_t entry_bytes = block_->bytes().size() - old_size;
  WriteEntry(entry_bytes, with_mark);
  index.end_offset += static_cast<uint32_t>(entry_bytes);
  if (record.kind == RecordKind::kDictionary) ++index.end_dictionaries;
  index.end_samples += record.samples;
  index.end_number = record.number + 1;
  if (remembered_records_ < kRememberedRecords) {
    segment.record_samples.push_back(static_cast<uint32_t>(record.samples));
    ++remembered_records_;
  }
  segment_bytes_ += record.bytes.size();
  samples_ += record.samples;
  log_.SetNext(record.number + 1);
  if (resident_) status_.memory_samples += record.samples;
  NoteMemory();
  // The limit of all is looked at block by block.
  if (with_mark || total_bytes() > options_.max_bytes) KeepLimits();
  return absl::OkStatus();
}

void Spool::BeginSegment() {
  EndSegment();
  segment_bytes_ = 0;
  SegmentIndex index;
  index.end_number = next_number();
  index.end_samples = samples_;
  index.time_ms = NowMs();
  log_.segments().emplace_back(
      absl::StrCat(options_.directory, "/", SegmentFileName(next_number())), next_number(),
      std::move(index));
  if (loop_.clock().Steady() >= retry_at_) OpenFile(newest());
}

// With its header; the first mark comes with the first record.
void Spool::OpenFile(SpoolSegment& segment) {
  const auto open = [&]() -> absl::StatusOr<std::unique_ptr<WritableFile>> {
    if (!directory_made_) {
      RETURN_IF_ERROR(files_.CreateDirectory(options_.directory));
      RETURN_IF_ERROR(CreateLedger(files_, absl::StrCat(options_.directory, "/", kLedgerFileName)));
      directory_made_ = true;
    }
    return files_.OpenForAppend(segment.path(), /*truncate=*/true);
  };
  absl::StatusOr<std::unique_ptr<WritableFile>> opened = open();
  if (absl::IsNotFound(opened.status()) && std::exchange(directory_made_, false)) {
    opened = open();  // somebody removed the directory
  }
  if (!opened.ok()) return FailFile(opened.status());
  file_ = std::make_shared<SpoolFile>();
  file_->path = segment.path();
  file_->directory = options_.directory;
  file_->file = *std::move(opened);
  const std::string header = EncodeSegmentHeader(
      {options_.identity, segment.first(), segment.index().end_samples, segment.index().time_ms});
  const absl::Status written = file_->file->Append(header);
  if (!written.ok()) {
    file_.reset();
    syncer_.Remove({.path = segment.path()});
    return FailFile(written);
  }
  segment.file_bytes = header.size();
  segment.mutable_index().end_offset = static_cast<uint32_t>(header.size());
  file_bytes_ += header.size();
  status_.written_bytes += header.size();
  file_->written_bytes.store(header.size(), std::memory_order_release);
  syncer_.Watch(file_);
  newest_file_ = segment.first();
  SpoolRemoval nothing;  // the ledger is written with the next pass, when the file is synced
  PutLedger(nothing);
  syncer_.Remove(std::move(nothing));
}

// With its index, if the file has all of it.
void Spool::EndSegment() {
  if (log_.segments().empty()) return;
  EndBlock();
  if (file_ == nullptr) return;
  if (!file_->failed.load()) {
    const std::string footer = EncodeFooter(newest().index(), identity_);
    const absl::Status written = file_->file->Append(footer);
    if (written.ok()) {
      newest().file_bytes += footer.size();
      file_bytes_ += footer.size();
      status_.written_bytes += footer.size();
      file_->written_bytes.fetch_add(footer.size(), std::memory_order_release);
    }
  }
  file_->sealed.store(true, std::memory_order_release);
  file_.reset();
}

void Spool::BeginBlock(bool keyframe) {
  EndBlock();
  SegmentIndex& index = newest().mutable_index();
  index.time_ms = NowMs();
  newest().written_at = loop_.clock().Steady();
  index.end_offset += kSegmentMarkBytes;
  index.blocks.push_back(SegmentBlock{next_number(), index.end_samples, index.end_offset,
                                      index.end_dictionaries, keyframe});
  block_ = std::make_shared<RecordBlock>(next_number());
  log_.SetOpenBlock(block_.get());
  resident_ = file_ == nullptr;
}

void Spool::EndBlock() {
  if (block_ == nullptr) return;
  SpoolSegment& segment = newest();
  if (resident_) {
    segment.KeepResident(segment.index().blocks.size() - 1, block_);
  } else {
    log_.Cache(block_->first(), block_);
  }
  log_.SetOpenBlock(nullptr);
  block_.reset();
}

// The entry is the end of the open block. One write, also with the mark in front of it.
void Spool::WriteEntry(size_t entry_bytes, bool with_mark) {
  if (file_ == nullptr) return;
  if (file_->failed.load(std::memory_order_relaxed)) {
    return FailFile(absl::UnavailableError("the file could not be synced"));
  }
  const SegmentIndex& index = newest().index();
  std::string_view bytes =
      std::string_view(block_->bytes()).substr(block_->bytes().size() - entry_bytes);
  if (with_mark) {
    const SegmentBlock& block = index.blocks.back();
    scratch_ = EncodeMark({block.keyframe, /*end=*/false, block.number, block.samples,
                           block.dictionaries, index.time_ms},
                          identity_);
    scratch_ += bytes;
    bytes = scratch_;
  }
  const absl::Status written = file_->file->Append(bytes);
  if (!written.ok()) return FailFile(written);
  newest().file_bytes += bytes.size();
  file_bytes_ += bytes.size();
  status_.written_bytes += bytes.size();
  file_->written_bytes.fetch_add(bytes.size(), std::memory_order_release);
  if (status_.degraded) {
    status_.degraded = false;
    retry_step_ = options_.first_retry;
    // Before the limit of a disk that was full takes what waited in memory.
    const absl::StatusOr<uint64_t> free = files_.FreeBytes(options_.directory);
    if (free.ok()) budget_.NoteFree(*free);
    LogInfo("The spool is on disk again", {{"directory", options_.directory}});
    Publish();
  }
}

// The rest of the segment stays in memory, with the block that is not all in the file.
void Spool::FailFile(const absl::Status& why) {
  if (file_ != nullptr) file_->sealed.store(true, std::memory_order_release);
  file_.reset();
  resident_ = true;
  const absl::Duration now = loop_.clock().Steady();
  retry_at_ = now + retry_step_;
  retry_step_ = std::min(2 * retry_step_, options_.last_retry);
  ++status_.failures;
  status_.last_error = why;
  const bool news = !status_.degraded;
  status_.degraded = true;
  if (news || now - told_at_ >= kTellEvery) {
    told_at_ = now;
    LogError("The spool is degraded: records are in memory only",
             {{"directory", options_.directory}, {"err", why}});
  }
  if (news) Publish();
}

bool Spool::wants_segment() const {
  if (log_.segments().empty() || block_ == nullptr) return false;
  if (file_ != nullptr) return file_->failed.load(std::memory_order_relaxed);
  return loop_.clock().Steady() >= retry_at_ ||
         segment_bytes_ >= options_.max_memory_bytes / kMemorySegments;
}

void Spool::NoteMemory() {
  if (!resident_ && memory_bytes_ == 0) return;
  memory_bytes_ = resident_ ? block_->bytes().size() : 0;
  for (const SpoolSegment& segment : log_.segments()) memory_bytes_ += segment.resident_bytes();
}

// ---- Removal

void Spool::Trim(uint64_t durable) {
  durable_ = std::max(durable_, durable);
  log_.lost().Forget(durable_);
  // The newest segment goes only when the next begins: it is still being written.
  while (log_.segments().size() > 1 && log_.segments().front().end() <= durable_ + 1) {
    Drop(0, HoleReason::kTrimmed);
  }
  Account();
}

void Spool::Drop(size_t at, HoleReason reason) {
  const SpoolSegment& segment = log_.segments()[at];
  SpoolRemoval removal;
  if (segment.file_bytes > 0) removal.path = segment.path();
  file_bytes_ -= segment.file_bytes;
  memory_bytes_ -= std::min<uint64_t>(memory_bytes_, segment.resident_bytes());
  remembered_records_ -= std::min(remembered_records_, segment.record_samples.size());
  // What every sink has is no loss.
  const uint64_t samples =
      log_.SamplesBetween(std::max(segment.first(), durable_ + 1), segment.end() - 1);
  status_.dropped_samples[static_cast<size_t>(reason)] += samples;
  if (reason != HoleReason::kTrimmed) {
    LogWarn("A segment of the spool is dropped", {{"directory", options_.directory},
                                                  {"from", segment.first()},
                                                  {"to", segment.end() - 1},
                                                  {"samples", samples},
                                                  {"age", reason == HoleReason::kAge}});
  }
  log_.Remove(at, reason);
  if (directory_made_) PutLedger(removal);
  if (!removal.path.empty() || !removal.ledger_path.empty()) syncer_.Remove(std::move(removal));
}

void Spool::PutLedger(SpoolRemoval& removal) {
  removal.ledger_path = absl::StrCat(options_.directory, "/", kLedgerFileName);
  removal.ledger_page = EncodeLedgerPage(log_.lost(), ++ledger_generation_, identity_,
                                         {.delivered = durable_, .newest_file = newest_file_});
  removal.ledger_generation = ledger_generation_;
}

void Spool::KeepLimits() {
  std::deque<SpoolSegment>& segments = log_.segments();
  Account();
  while (segments.size() > 1 && (total_bytes() > options_.max_bytes || budget_.MustDrop(*share_))) {
    Drop(0, HoleReason::kCap);
    Account();
  }
  // The oldest of those that are in memory alone, even if older ones are on disk; then those of
  // which a part is.
  for (const bool with_file : {false, true}) {
    for (size_t at = 0; at + 1 < segments.size() && memory_bytes_ > options_.max_memory_bytes;) {
      const bool drops =
          segments[at].resident_bytes() > 0 && (segments[at].file_bytes > 0) == with_file;
      if (drops) {
        Drop(at, HoleReason::kCap);
      } else {
        ++at;
      }
    }
  }
}

void Spool::Account() {
  const std::deque<SpoolSegment>& segments = log_.segments();
  share_->bytes.store(file_bytes_, std::memory_order_relaxed);
  share_->oldest_ms.store(
      segments.size() > 1 ? segments.front().index().time_ms : SpoolBudget::kNothing,
      std::memory_order_relaxed);
}

void Spool::Tick() {
  tick_timer_ = loop_.RunAfter(options_.tick, [this] { Tick(); });
  // By steady time: a wall clock that jumps makes nothing old.
  const absl::Duration too_old = loop_.clock().Steady() - options_.max_age;
  while (log_.segments().size() > 1 && log_.segments().front().written_at < too_old) {
    Drop(0, HoleReason::kAge);
  }
  KeepLimits();
  Publish();
}

void Spool::Publish() {
  auto status = std::make_shared<SpoolStatus>(status_);
  status->file_bytes = file_bytes_;
  status->memory_bytes = memory_bytes_;
  status->segments = log_.segments().size();
  if (!log_.segments().empty()) {
    status->oldest = absl::FromUnixMillis(log_.segments().front().index().time_ms);
  }
  published_.Set(std::move(status));
}

}  // namespace trawl

#include "core/spool/stored_log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

constexpr std::string_view kSetAsideExtension = ".damaged";

// Where files are kept when their lane goes: those of a newer format, for the trawld that wrote
// them, and those that could not be read at this start, but perhaps can be at another.
constexpr std::string_view kNewerDirectory = "newer-format";
constexpr std::string_view kUnreadDirectory = "unread";

// Another spelling of a number is somebody's copy.
template <typename Number>
bool ParseDirectoryName(const std::string& name, Number& out) {
  return absl::SimpleAtoi(name, &out) && absl::StrCat(out) == name;
}

std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

std::string SpoolLaneDirectory(const std::string& root, uint64_t epoch, uint32_t lane) {
  return absl::StrCat(root, "/", epoch, "/", lane);
}

absl::StatusOr<std::vector<StoredLane>> FindStoredLanes(FileSystem& files, const std::string& root,
                                                        uint64_t running_epoch) {
  absl::StatusOr<std::vector<std::string>> epochs = files.List(root);
  if (absl::IsNotFound(epochs.status())) return std::vector<StoredLane>();
  RETURN_IF_ERROR(epochs.status());
  std::vector<StoredLane> out;
  for (const std::string& name : *epochs) {
    StoredLane found;
    if (!ParseDirectoryName(name, found.epoch) || found.epoch == running_epoch) continue;
    const std::string epoch_directory = absl::StrCat(root, "/", name);
    const absl::StatusOr<std::vector<std::string>> lanes = files.List(epoch_directory);
    for (const std::string& lane : lanes.ok() ? *lanes : std::vector<std::string>()) {
      found.directory = absl::StrCat(epoch_directory, "/", lane);
      if (!ParseDirectoryName(lane, found.lane)) continue;
      out.push_back(found);
    }
  }
  std::sort(out.begin(), out.end(), [](const StoredLane& a, const StoredLane& b) {
    return std::pair(a.epoch, a.lane) < std::pair(b.epoch, b.lane);
  });
  return out;
}

void RemoveEmptyEpochs(FileSystem& files, const std::string& root) {
  const absl::StatusOr<std::vector<std::string>> names = files.List(root);
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    uint64_t epoch = 0;
    // Fails where something is in it.
    if (ParseDirectoryName(name, epoch)) files.Remove(absl::StrCat(root, "/", name)).IgnoreError();
  }
}

StoredLog::StoredLog(const Options& options, const Deps& deps)
    : options_(options),
      loop_(deps.loop),
      files_(deps.files),
      syncer_(deps.syncer),
      budget_(deps.budget),
      share_(deps.budget.Join()),
      log_(deps.files),
      opened_at_(deps.loop.clock().Now()),
      opened_at_steady_(deps.loop.clock().Steady()) {}

StoredLog::~StoredLog() {
  loop_.Cancel(tick_timer_);
  budget_.Leave(share_);
}

absl::StatusOr<std::unique_ptr<StoredLog>> StoredLog::Open(const Options& options,
                                                           const Deps& deps) {
  std::unique_ptr<StoredLog> log(new StoredLog(options, deps));
  RETURN_IF_ERROR(log->Recover());
  if (!options.read_only) log->Tick();
  return log;
}

std::string StoredLog::Path(const std::string& name) const {
  return absl::StrCat(options_.directory, "/", name);
}

// ---- Recovery

absl::Status StoredLog::Recover() {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, files_.List(options_.directory));
  std::vector<SegmentFile> found;
  for (const std::string& name : names) {
    if (std::optional<SegmentFile> segment = Inspect(name)) found.push_back(*std::move(segment));
  }
  std::sort(found.begin(), found.end(), [](const SegmentFile& a, const SegmentFile& b) {
    return std::pair(a.header.first_number, b.index.end_number) <
           std::pair(b.header.first_number, a.index.end_number);
  });
  TakeSegments(std::move(found));
  TakeLedger();
  NoteEmpty();
  NoteDamagedHoles();
  NoteLostEnd();
  NoteLostFile();
  Account();
  if (findings_.torn_bytes + findings_.lost_bytes + findings_.set_aside + findings_.lost_headers >
      0) {
    LogWarn("Spool of an earlier run recovered", {{"directory", options_.directory},
                                                  {"segments", findings_.segments},
                                                  {"torn_bytes", findings_.torn_bytes},
                                                  {"lost_bytes", findings_.lost_bytes},
                                                  {"set_aside", findings_.set_aside},
                                                  {"lost_headers", findings_.lost_headers}});
  }
  return absl::OkStatus();
}

std::optional<SegmentFile> StoredLog::Inspect(const std::string& name) {
  if (absl::EndsWith(name, kSetAsideExtension)) {
    NoteSetAside(name);
    return std::nullopt;
  }
  const uint64_t number = ParseSegmentFileName(name);
  if (number == 0) return std::nullopt;  // the ledger, or nothing of ours
  absl::StatusOr<SegmentFile> segment =
      InspectSegment(files_, Path(name), options_.identity, number);
  if (segment.ok()) return *std::move(segment);
  SetAside(name, segment.status());
  return std::nullopt;
}

// Now, or at a start before.
const StoredLog::BadFile& StoredLog::NoteSetAside(const std::string& name) {
  BadFile& file = findings_.bad_files.emplace_back();
  file.kind = BadFile::Kind::kSetAside;
  file.name = name;
  file.number = ParseSegmentFileName(name.substr(0, name.rfind(kSetAsideExtension)));
  const auto opened = files_.OpenForRead(Path(name));
  if (opened.ok()) file.bytes = (*opened)->Size().value_or(0);
  if (file.number != 0) {
    NoteUnreadable(file.number, file.bytes, file.bytes > kSegmentHeaderBytes + kSegmentMarkBytes);
  }
  return file;
}

// A file that can't be read now may be readable after the next start: it keeps its name.
void StoredLog::SetAside(const std::string& name, const absl::Status& why) {
  const BadFile& file = NoteSetAside(name);
  ++findings_.set_aside;
  findings_.lost_bytes += file.bytes;
  const std::string path = Path(name);
  const bool rename = absl::IsDataLoss(why) || absl::IsFailedPrecondition(why);
  LogError("A file of the spool is set aside",
           {{"file", path}, {"bytes", file.bytes}, {"err", why}});
  if (!rename) unread_.insert(name);
  if (!rename || options_.read_only) return;
  const absl::Status renamed =
      files_.Rename(path, absl::StrCat(path, absl::string_view(kSetAsideExtension)));
  if (!renamed.ok()) LogWarn("It could not be renamed", {{"file", path}, {"err", renamed}});
}

void StoredLog::NoteUnreadable(uint64_t number, uint64_t bytes, bool held_record) {
  Unreadable& what = unreadable_[number];
  what.bytes += bytes;
  what.held_record |= held_record;
}

void StoredLog::NoteEnd(const SegmentFile& file) {
  const uint64_t bytes = file.torn_bytes + file.lost_bytes;
  if (bytes == 0) return;
  findings_.torn_bytes += file.torn_bytes;
  findings_.lost_bytes += file.lost_bytes;
  const auto kind = file.lost_bytes > 0 ? BadFile::Kind::kLost : BadFile::Kind::kTorn;
  findings_.bad_files.push_back({kind, NameOf(file.path), file.header.first_number, bytes});
  if (file.lost_bytes == 0) return;
  NoteUnreadable(file.index.end_number, file.lost_bytes, file.lost_record);
  LogError("The end of a segment of the spool can't be read: how many records there were is lost",
           {{"file", file.path}, {"bytes", bytes}, {"from", file.index.end_number}});
}

void StoredLog::TakeSegments(std::vector<SegmentFile> found) {
  for (SegmentFile& file : found) {
    const uint64_t first = file.header.first_number;
    if (file.index.end_number <= first) {
      empty_.insert(first);
      NoteEnd(file);
      continue;
    }
    // One number has one record: who came first has it.
    if (first < next_number()) {
      SetAside(NameOf(file.path),
               absl::DataLossError(absl::StrCat("record ", first, " is in another")));
      continue;
    }
    ++findings_.segments;
    findings_.bytes += file.file_bytes;
    NoteEnd(file);
    if (file.header_lost) {
      ++findings_.lost_headers;
      SegmentBlock& block = file.index.blocks.front();
      if (!log_.segments().empty()) {
        block.samples = std::max(block.samples, log_.segments().back().samples_end());
      }
    }
    SpoolSegment& segment = log_.segments().emplace_back(file.path, first, std::move(file.index));
    segment.file_bytes = file.file_bytes;
    bytes_ += file.file_bytes;
    log_.SetNext(segment.end());
  }
}

void StoredLog::TakeLedger() {
  Ledger ledger =
      ReadLedger(files_, Path(std::string(kLedgerFileName)), options_.identity.Checksum());
  ledger_generation_ = ledger.generation;
  progress_ = ledger.progress;
  if (const std::optional<uint64_t> delivered = progress_.delivered) {
    log_.SetDelivered(*delivered);
    log_.SetNext(std::max(next_number(), *delivered + 1));
  }
  for (const LostRanges::Range& range : ledger.lost.ranges()) NoteDropped(range);
}

// A segment that is there was not dropped, or a power loss undid its removal.
void StoredLog::NoteDropped(LostRanges::Range range) {
  for (const SpoolSegment& segment : log_.segments()) {
    if (segment.end() <= range.first) continue;
    if (segment.first() >= range.end) break;
    if (segment.first() > range.first) {
      LostRanges::Range missing = range;
      missing.end = segment.first();
      missing.samples_end = segment.samples_before();
      log_.lost().Add(std::move(missing));
    }
    range.first = segment.end();
    range.samples_before = segment.samples_end();
    if (range.first >= range.end) return;
  }
  log_.SetNext(std::max(next_number(), range.end));
  log_.lost().Add(std::move(range));
}

// Where the ledger does not say it: a file that is there was not removed because everybody was past
// it.
void StoredLog::NoteEmpty() {
  if (progress_.delivered) return;
  for (const uint64_t number : empty_) {
    const std::optional<LogHole> hole = log_.HoleAt(number);
    if (hole && hole->reason == HoleReason::kTrimmed) NoteLost(*hole, HoleReason::kNotSpooled);
  }
}

void StoredLog::NoteLost(const LogHole& hole, HoleReason reason) {
  const uint64_t before = log_.SamplesBetween(1, hole.from - 1);
  log_.lost().Add({hole.from, hole.to + 1, before, before + hole.samples, reason, {}});
}

void StoredLog::NoteDamagedHoles() {
  for (const auto& [number, what] : unreadable_) {
    const std::optional<LogHole> hole = log_.HoleAt(number);
    if (!hole) continue;
    // Where the ledger does not say what was delivered, this was not.
    const bool guessed = hole->reason == HoleReason::kTrimmed && !progress_.delivered;
    if (guessed || hole->reason == HoleReason::kNotSpooled) NoteLost(*hole, HoleReason::kDamaged);
  }
}

// Nobody knows how many records there were, but that there was the first of each, also of a newest
// file that can't even be opened: it was begun for that one. A name that says more than what can't
// be read before it could hold, and than the ledger knows, is somebody's mistake.
void StoredLog::NoteLostEnd() {
  uint64_t room = 0;
  for (const auto& [number, what] : unreadable_) {
    const bool held_record = what.held_record || number == progress_.newest_file;
    if (number < next_number() || !held_record) continue;
    // In front of all that is left everybody was past it, where the ledger does not say.
    const bool in_front = log_.segments().empty() && log_.lost().empty() && !progress_.delivered;
    if (in_front) log_.SetNext(number);
    if (number > progress_.newest_file && !MayHold(room, number - next_number())) return;
    NoteLost({.from = next_number(), .to = number}, HoleReason::kDamaged);
    log_.SetNext(number + 1);
    room += what.bytes;
  }
}

// A file goes when all of it is delivered or dropped, which the ledger says before; what it has no
// word of, somebody removed, or a disk that could not sync it lost.
void StoredLog::NoteLostFile() {
  const uint64_t number = progress_.newest_file;
  if (number < next_number() || empty_.contains(number) || unreadable_.contains(number)) return;
  NoteLost({.from = next_number(), .to = number}, HoleReason::kNotSpooled);
  log_.SetNext(number + 1);
  LogError("The newest segment of the spool is gone: how many records it had is lost",
           {{"file", Path(SegmentFileName(number))}});
}

// ---- Removal

void StoredLog::Trim(uint64_t durable) {
  // Where it is not known, everybody is taken to have been past what is in front.
  progress_.delivered = std::max(progress_.delivered.value_or(log_.first_number() - 1), durable);
  log_.SetDelivered(*progress_.delivered);
  log_.lost().Forget(durable);
  while (!log_.segments().empty() && log_.segments().front().end() <= durable + 1) {
    Drop(HoleReason::kTrimmed);
  }
}

void StoredLog::Drop(HoleReason reason) {
  const SpoolSegment& segment = log_.segments().front();
  SpoolRemoval removal{.path = segment.path()};
  bytes_ -= segment.file_bytes;
  const uint64_t from = segment.first();
  const uint64_t to = segment.end() - 1;
  // What every sink has is no loss.
  const uint64_t untold = std::max(from, progress_.delivered.value_or(0) + 1);
  budget_.CountDropped(reason, log_.SamplesBetween(untold, to));
  log_.Remove(0, reason);
  if (reason != HoleReason::kTrimmed) {
    LogWarn("A segment of the spool is dropped", {{"directory", options_.directory},
                                                  {"from", from},
                                                  {"to", to},
                                                  {"age", reason == HoleReason::kAge}});
  }
  removal.ledger_path = Path(std::string(kLedgerFileName));
  removal.ledger_page =
      EncodeLedgerPage(log_.lost(), ++ledger_generation_, options_.identity.Checksum(), progress_);
  removal.ledger_generation = ledger_generation_;
  syncer_.Remove(std::move(removal));
  Account();
}

void StoredLog::Account() {
  share_->bytes.store(bytes_, std::memory_order_relaxed);
  share_->oldest_ms.store(
      log_.segments().empty() ? SpoolBudget::kNothing : log_.segments().front().index().time_ms,
      std::memory_order_relaxed);
}

absl::Time StoredLog::AgeNow() const {
  const Clock& clock = loop_.clock();
  return std::min(clock.Now(), opened_at_ + (clock.Steady() - opened_at_steady_));
}

void StoredLog::Tick() {
  tick_timer_ = loop_.RunAfter(options_.tick, [this] { Tick(); });
  const int64_t too_old = absl::ToUnixMillis(AgeNow() - options_.max_age);
  while (!log_.segments().empty() && log_.segments().front().index().time_ms < too_old) {
    Drop(HoleReason::kAge);
  }
  while (budget_.MustDrop(*share_)) Drop(HoleReason::kCap);
}

bool StoredLog::IsOfNewerFormat(const std::string& name) const {
  if (!absl::EndsWith(name, kSetAsideExtension)) return false;
  const auto file = files_.OpenForRead(Path(name));
  if (!file.ok()) return false;
  const absl::StatusOr<std::string> start = (*file)->ReadAt(0, kSegmentHeaderBytes);
  return start.ok() && absl::IsFailedPrecondition(DecodeSegmentHeader(*start).status());
}

void StoredLog::Keep(const std::string& name, std::string_view where) {
  const std::string root = DirectoryOf(DirectoryOf(options_.directory));
  const std::string directory = absl::StrCat(root, "/", absl::string_view(where));
  const std::string kept =
      absl::StrCat(directory, "/", options_.identity.epoch, "-", options_.identity.lane, "-", name);
  absl::Status status = files_.CreateDirectory(directory);
  if (status.ok()) status = files_.Rename(Path(name), kept);
  if (status.ok()) {
    LogWarn("A file that was not read is kept", {{"file", kept}});
  } else {
    LogWarn("A file that was not read stays where its lane was",
            {{"file", Path(name)}, {"err", status}});
  }
}

void StoredLog::RemoveDirectory() {
  while (!log_.segments().empty()) Drop(HoleReason::kTrimmed);
  const absl::StatusOr<std::vector<std::string>> names = files_.List(options_.directory);
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    if (IsOfNewerFormat(name)) {
      Keep(name, kNewerDirectory);
    } else if (unread_.contains(name)) {
      Keep(name, kUnreadDirectory);
    } else {
      syncer_.Remove({.path = Path(name)});
    }
  }
  syncer_.Remove({.path = options_.directory});
  // The epoch's, with the last lane.
  syncer_.Remove({.path = DirectoryOf(options_.directory), .once = true});
}

}  // namespace trawl

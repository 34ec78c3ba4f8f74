#include "core/spool/stored_log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "core/spool/gap_ledger.h"

namespace trawl {
namespace {

constexpr std::string_view kSetAsideExtension = ".damaged";

// Where files of a newer format are kept when their lane goes, for the trawld that wrote them.
constexpr std::string_view kNewerDirectory = "newer-format";

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
  if (file.number != 0) set_aside_[file.number] += file.bytes;
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
  if (!rename || options_.read_only) return;
  const absl::Status renamed =
      files_.Rename(path, absl::StrCat(path, absl::string_view(kSetAsideExtension)));
  if (!renamed.ok()) LogWarn("It could not be renamed", {{"file", path}, {"err", renamed}});
}

void StoredLog::NoteEnd(const SegmentFile& file) {
  const uint64_t bytes = file.torn_bytes + file.lost_bytes;
  if (bytes == 0) return;
  findings_.torn_bytes += file.torn_bytes;
  findings_.lost_bytes += file.lost_bytes;
  const auto kind = file.lost_bytes > 0 ? BadFile::Kind::kLost : BadFile::Kind::kTorn;
  findings_.bad_files.push_back({kind, NameOf(file.path), file.header.first_number, bytes});
  if (file.lost_bytes == 0) return;
  LogError("The end of a segment of the spool can't be read: how many records there were is lost",
           {{"file", file.path}, {"bytes", bytes}, {"from", file.index.end_number}});
}

void StoredLog::TakeSegments(std::vector<SegmentFile> found) {
  for (SegmentFile& file : found) {
    const uint64_t first = file.header.first_number;
    if (file.index.end_number <= first) {
      empty_.push_back(first);
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
  delivered_ = ledger.delivered;
  if (delivered_) log_.SetDelivered(*delivered_);
  for (const LostRanges::Range& range : ledger.lost.ranges()) {
    // A removal that a power loss undid.
    const bool there = std::any_of(
        log_.segments().begin(), log_.segments().end(), [&range](const SpoolSegment& segment) {
          return segment.first() < range.end && segment.end() > range.first;
        });
    if (there) continue;
    log_.lost().Add(range);
    if (range.end > next_number()) log_.SetNext(range.end);
  }
}

// A file that is there was not removed because everybody was past it.
void StoredLog::NoteEmpty() {
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
  for (const auto& [number, bytes] : set_aside_) {
    const std::optional<LogHole> hole = log_.HoleAt(number);
    if (!hole || hole->reason == HoleReason::kCap || hole->reason == HoleReason::kAge ||
        hole->reason == HoleReason::kDamaged) {
      continue;
    }
    NoteLost(*hole, HoleReason::kDamaged);
  }
}

// Nobody knows how many records there were, but that there was the first of each file that has room
// for one. A name that says more than the files before it could hold is somebody's mistake.
void StoredLog::NoteLostEnd() {
  uint64_t room = 0;
  for (const auto& [number, bytes] : set_aside_) {
    if (number < next_number() || bytes <= kSegmentHeaderBytes + kSegmentMarkBytes) continue;
    // In front of all that is left everybody was past it.
    if (log_.segments().empty() && log_.lost().empty()) log_.SetNext(number);
    if (!MayHold(room, number - next_number())) return;
    NoteLost({.from = next_number(), .to = number}, HoleReason::kDamaged);
    log_.SetNext(number + 1);
    room += bytes;
  }
}

// ---- Removal

void StoredLog::Trim(uint64_t durable) {
  delivered_ = std::max(delivered_.value_or(0), durable);
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
  budget_.CountDropped(reason, log_.SamplesBetween(std::max(from, delivered_.value_or(0) + 1), to));
  log_.Remove(0, reason);
  if (reason != HoleReason::kTrimmed) {
    LogWarn("A segment of the spool is dropped", {{"directory", options_.directory},
                                                  {"from", from},
                                                  {"to", to},
                                                  {"age", reason == HoleReason::kAge}});
  }
  removal.ledger_path = Path(std::string(kLedgerFileName));
  removal.ledger_page =
      EncodeLedgerPage(log_.lost(), ++ledger_generation_, options_.identity.Checksum(), delivered_);
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

void StoredLog::KeepForNewer(const std::string& name) {
  const std::string root = DirectoryOf(DirectoryOf(options_.directory));
  const std::string directory = absl::StrCat(root, "/", absl::string_view(kNewerDirectory));
  const std::string kept =
      absl::StrCat(directory, "/", options_.identity.epoch, "-", options_.identity.lane, "-", name);
  absl::Status status = files_.CreateDirectory(directory);
  if (status.ok()) status = files_.Rename(Path(name), kept);
  if (status.ok()) {
    LogWarn("A file of a newer format is kept", {{"file", kept}});
  } else {
    LogWarn("A file of a newer format stays where its lane was",
            {{"file", Path(name)}, {"err", status}});
  }
}

void StoredLog::RemoveDirectory() {
  while (!log_.segments().empty()) Drop(HoleReason::kTrimmed);
  const absl::StatusOr<std::vector<std::string>> names = files_.List(options_.directory);
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    if (IsOfNewerFormat(name)) {
      KeepForNewer(name);
    } else {
      syncer_.Remove({.path = Path(name)});
    }
  }
  syncer_.Remove({.path = options_.directory});
  // The epoch's, with the last lane.
  syncer_.Remove({.path = DirectoryOf(options_.directory), .once = true});
}

}  // namespace trawl

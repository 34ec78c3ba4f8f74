#include "core/discovery/state_record.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "core/base/hash.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

constexpr std::string_view kFileMark = "trawlds1";
// 0xf5 is in no UTF-8 text, so that nothing that is pushed can look like a record.
constexpr std::string_view kRecordMark = "\xf5tds";
constexpr size_t kHeaderBytes = 13;  // mark, CRC, length, type

enum RecordType : uint8_t { kSnapshot = 1, kDelta = 2 };

// --- writing

void PutFixed32(std::string& out, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(value >> shift);
}

void PutFixed64(std::string& out, uint64_t value) {
  PutFixed32(out, static_cast<uint32_t>(value));
  PutFixed32(out, static_cast<uint32_t>(value >> 32));
}

void PutVarint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void PutText(std::string& out, std::string_view text) {
  PutVarint(out, text.size());
  out.append(text);
}

void PutName(std::string& out, const GroupName& name) {
  PutText(out, name.job);
  PutText(out, name.key);
}

enum HeadFlags : uint8_t {
  kHasToken = 1,
  kHasTtl = 2,
  kRemoveOnExpiry = 4,
  kWithheld = 8,
  kReleased = 16,
  kDivided = 32,
};

uint8_t FlagsOf(const SourceHead& head) {
  uint8_t flags = 0;
  if (head.fencing_token) flags |= kHasToken;
  if (head.lease.ttl) flags |= kHasTtl;
  if (head.lease.remove_on_expiry) flags |= kRemoveOnExpiry;
  if (head.withheld) flags |= kWithheld;
  if (head.released) flags |= kReleased;
  if (head.source_targets != 0) flags |= kDivided;
  return flags;
}

void PutHead(std::string& out, const SourceHead& head) {
  out += static_cast<char>(FlagsOf(head));
  PutVarint(out, head.version);
  PutText(out, head.history_id);
  PutFixed64(out, head.last_digest);
  if (head.fencing_token) PutVarint(out, *head.fencing_token);
  if (head.lease.ttl) {
    PutFixed64(out, static_cast<uint64_t>(absl::ToInt64Nanoseconds(*head.lease.ttl)));
  }
  if (head.source_targets != 0) PutVarint(out, head.source_targets);
}

void PutTargets(std::string& out, const std::vector<std::string>& targets, const Labels& labels) {
  PutVarint(out, targets.size());
  for (const std::string& target : targets) PutText(out, target);
  PutVarint(out, labels.size());
  for (const Label& label : labels) {
    PutText(out, label.name);
    PutText(out, label.value);
  }
}

void PutGroup(std::string& out, const GroupName& name, const TargetGroup& group) {
  PutName(out, name);
  PutTargets(out, group.targets, group.labels);
}

void PutHeld(std::string& out, const GroupName& name, const HeldGroup& held) {
  PutName(out, name);
  out += static_cast<char>(held.kept ? 1 : 0);
  PutTargets(out, held.targets, held.labels);
}

void PutPeaks(std::string& out, const std::string& job, const Peaks& peaks) {
  PutText(out, job);
  PutVarint(out, peaks.size());
  for (const Peak& peak : peaks) {
    PutVarint(out, static_cast<uint64_t>(peak.minute));
    PutVarint(out, peak.targets);
  }
}

void PutIssue(std::string& out, const Issue& issue) {
  PutName(out, issue.group);
  out += static_cast<char>(issue.error ? 1 : 0);
  PutVarint(out, static_cast<uint64_t>(issue.code));
  PutVarint(out, static_cast<uint64_t>(int64_t{issue.target_index} + 1));
  PutText(out, issue.field);
  PutText(out, issue.detail);
}

std::string Frame(RecordType type, const std::string& payload) {
  std::string checked;
  PutFixed32(checked, static_cast<uint32_t>(payload.size()));
  checked += static_cast<char>(type);
  std::string out(kRecordMark);
  PutFixed32(out, Crc32c(payload, Crc32c(checked)));
  return absl::StrCat(out, checked, payload);
}

// --- reading

// Reads fields one after the other; the first that is wrong makes all later ones empty.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  bool good() const { return good_; }
  bool done() const { return good_ && rest_.empty(); }
  void Fail() {
    good_ = false;
    rest_ = {};
  }

  std::string_view Take(uint64_t size) {
    if (size > rest_.size()) Fail();
    if (!good_) return {};
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  uint8_t Byte() {
    const std::string_view byte = Take(1);
    return byte.empty() ? 0 : static_cast<uint8_t>(byte[0]);
  }
  uint64_t Fixed(size_t size) {
    uint64_t value = 0;
    int shift = 0;
    for (const char c : Take(size)) {
      value |= uint64_t{static_cast<uint8_t>(c)} << shift;
      shift += 8;
    }
    return value;
  }
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t byte = Byte();
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    Fail();
    return 0;
  }
  // How many elements follow; each has at least a byte.
  uint64_t Count() {
    const uint64_t count = Varint();
    if (count > rest_.size()) Fail();
    return good_ ? count : 0;
  }
  std::string Text() { return std::string(Take(Varint())); }
  GroupName Name() {
    std::string job = Text();
    return {std::move(job), Text()};
  }

 private:
  std::string_view rest_;
  bool good_ = true;
};

SourceHead ReadHead(Reader& in) {
  SourceHead head;
  const uint8_t flags = in.Byte();
  head.version = in.Varint();
  head.history_id = in.Text();
  head.last_digest = in.Fixed(8);
  if (flags & kHasToken) head.fencing_token = in.Varint();
  if (flags & kHasTtl) {
    const auto nanoseconds = static_cast<int64_t>(in.Fixed(8));
    head.lease.ttl = nanoseconds == std::numeric_limits<int64_t>::max()
                         ? absl::InfiniteDuration()
                         : absl::Nanoseconds(nanoseconds);
  }
  head.lease.remove_on_expiry = (flags & kRemoveOnExpiry) != 0;
  head.withheld = (flags & kWithheld) != 0;
  head.released = (flags & kReleased) != 0;
  if (flags & kDivided) head.source_targets = in.Varint();
  return head;
}

Labels ReadLabels(Reader& in) {
  std::vector<Label> labels;
  for (uint64_t left = in.Count(); left > 0; --left) {
    std::string name = in.Text();
    labels.push_back({std::move(name), in.Text()});
  }
  for (size_t i = 0; i < labels.size(); ++i) {
    const bool sorted = i == 0 || labels[i - 1].name < labels[i].name;
    if (!sorted || labels[i].value.empty()) in.Fail();
  }
  return in.good() ? Labels::FromSorted(std::move(labels)) : Labels();
}

std::vector<std::string> ReadTexts(Reader& in) {
  std::vector<std::string> texts;
  for (uint64_t left = in.Count(); left > 0; --left) texts.push_back(in.Text());
  return texts;
}

std::pair<GroupName, std::shared_ptr<const TargetGroup>> ReadGroup(Reader& in) {
  GroupName name = in.Name();
  auto group = std::make_shared<TargetGroup>();
  group->key = name.key;
  group->targets = ReadTexts(in);
  group->labels = ReadLabels(in);
  return {std::move(name), std::move(group)};
}

std::pair<GroupName, std::shared_ptr<const HeldGroup>> ReadHeld(Reader& in) {
  GroupName name = in.Name();
  auto held = std::make_shared<HeldGroup>();
  held->kept = in.Byte() != 0;
  held->targets = ReadTexts(in);
  held->labels = ReadLabels(in);
  if (held->targets.empty()) held = nullptr;
  return {std::move(name), std::move(held)};
}

std::pair<std::string, Peaks> ReadPeaks(Reader& in) {
  std::string job = in.Text();
  Peaks peaks;
  for (uint64_t left = in.Count(); left > 0; --left) {
    const auto minute = static_cast<int64_t>(in.Varint());
    peaks.push_back({minute, in.Varint()});
  }
  return {std::move(job), std::move(peaks)};
}

Issue ReadIssue(Reader& in) {
  Issue issue;
  issue.group = in.Name();
  issue.error = in.Byte() != 0;
  issue.code = static_cast<IssueCode>(in.Varint());
  issue.target_index = static_cast<int>(static_cast<int64_t>(in.Varint()) - 1);
  issue.field = in.Text();
  issue.detail = in.Text();
  return issue;
}

// Both kinds of record after what is their own.
void ReadDelta(Reader& in, StateDelta& delta) {
  delta.head = ReadHead(in);
  for (uint64_t left = in.Count(); left > 0; --left) delta.remove.push_back(in.Name());
  for (uint64_t left = in.Count(); left > 0; --left) delta.upsert.push_back(ReadGroup(in));
  for (uint64_t left = in.Count(); left > 0; --left) delta.refused.push_back(ReadIssue(in));
  for (uint64_t left = in.Count(); left > 0; --left) delta.held.push_back(ReadHeld(in));
  for (uint64_t left = in.Count(); left > 0; --left) delta.peaks.push_back(ReadPeaks(in));
}

struct Record {
  uint8_t type = 0;
  std::string_view payload;
};

// The record that `bytes` start with; unset: there is no whole one.
std::optional<Record> ReadFrame(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes || !bytes.starts_with(kRecordMark)) return std::nullopt;
  Reader in(bytes.substr(kRecordMark.size()));
  const auto crc = static_cast<uint32_t>(in.Fixed(4));
  const uint64_t length = in.Fixed(4);
  if (length > bytes.size() - kHeaderBytes) return std::nullopt;
  if (Crc32c(bytes.substr(kRecordMark.size() + 4, 5 + length)) != crc) return std::nullopt;
  return Record{in.Byte(), bytes.substr(kHeaderBytes, length)};
}

bool HasFrame(std::string_view bytes) {
  for (size_t at = bytes.find(kRecordMark); at != std::string_view::npos;
       at = bytes.find(kRecordMark, at + 1)) {
    if (ReadFrame(bytes.substr(at))) return true;
  }
  return false;
}

// Whether `bytes`, from `offset` of a file on, which hold no whole record, may be of a write that
// was under way when the power went. Of such a one the end is missing, or sectors that still are
// the zeros that the file system gave. What is there in full and wrong was written and has rotted.
bool MayBeTorn(std::string_view bytes, size_t offset) {
  constexpr size_t kSectorBytes = 512;
  if (bytes.size() < kHeaderBytes) return true;
  Reader in(bytes.substr(kRecordMark.size() + 4));
  const uint64_t size = kHeaderBytes + in.Fixed(4);
  const bool marked = bytes.starts_with(kRecordMark);
  if (marked && size > bytes.size()) return true;
  const std::string_view record = marked ? bytes.substr(0, size) : bytes;
  size_t piece = kSectorBytes - offset % kSectorBytes;
  for (size_t at = 0; at < record.size(); at += piece, piece = kSectorBytes) {
    if (record.substr(at, piece).find_first_not_of('\0') == std::string_view::npos) return true;
  }
  return false;
}

absl::Status Damaged(size_t offset, std::string_view what) {
  return absl::DataLossError(absl::StrCat("offset ", offset, ": ", what));
}

// False: it is not what the format says.
bool ApplyRecord(const Record& record, bool first, StateLogContents& contents) {
  Reader in(record.payload);
  StateDelta delta;
  if (first) {
    contents.source = in.Text();
  } else {
    delta.remove_all = in.Byte() != 0;
  }
  ReadDelta(in, delta);
  if (!in.done() || record.type != (first ? kSnapshot : kDelta)) return false;
  ApplyDelta(delta, contents.state);
  return true;
}

}  // namespace

std::string EncodeLogStart(std::string_view source, const SourceState& state) {
  std::string payload;
  PutText(payload, source);
  PutHead(payload, state);
  PutVarint(payload, 0);  // removes nothing
  PutVarint(payload, state.groups.size());
  for (const auto& [name, group] : state.groups) PutGroup(payload, name, *group);
  PutVarint(payload, state.refused.size());
  for (const auto& [unused, issue] : state.refused) PutIssue(payload, issue);
  PutVarint(payload, state.held.size());
  for (const auto& [name, held] : state.held) PutHeld(payload, name, *held);
  PutVarint(payload, state.peaks.size());
  for (const auto& [job, peaks] : state.peaks) PutPeaks(payload, job, peaks);
  return absl::StrCat(kFileMark, Frame(kSnapshot, payload));
}

std::string EncodeDelta(const StateDelta& delta) {
  std::string payload(1, delta.remove_all ? 1 : 0);
  PutHead(payload, delta.head);
  PutVarint(payload, delta.remove.size());
  for (const GroupName& name : delta.remove) PutName(payload, name);
  PutVarint(payload, delta.upsert.size());
  for (const auto& [name, group] : delta.upsert) PutGroup(payload, name, *group);
  PutVarint(payload, delta.refused.size());
  for (const Issue& issue : delta.refused) PutIssue(payload, issue);
  PutVarint(payload, delta.held.size());
  for (const auto& [name, held] : delta.held) {
    PutHeld(payload, name, held == nullptr ? HeldGroup() : *held);
  }
  PutVarint(payload, delta.peaks.size());
  for (const auto& [job, peaks] : delta.peaks) PutPeaks(payload, job, peaks);
  return Frame(kDelta, payload);
}

absl::StatusOr<StateLogContents> DecodeLog(std::string_view bytes) {
  StateLogContents contents;
  if (!bytes.starts_with(kFileMark)) return Damaged(0, "not the log of a source");
  size_t at = kFileMark.size();
  while (at < bytes.size()) {
    const bool first = at == kFileMark.size();
    const std::optional<Record> record = ReadFrame(bytes.substr(at));
    if (!record) {
      // What was acked is never in front of what was torn.
      if (HasFrame(bytes.substr(at + 1))) return Damaged(at, "wrong checksum in front of records");
      const std::string_view rest = bytes.substr(at);
      if (!MayBeTorn(rest, at)) return Damaged(at, "wrong checksum of the last record");
      contents.torn = rest.find_first_not_of('\0') != std::string_view::npos;
      break;
    }
    if (!ApplyRecord(*record, first, contents)) return Damaged(at, "not a record of this format");
    at += kHeaderBytes + record->payload.size();
    if (first) contents.snapshot_bytes = at;
  }
  // A file gets its name when its snapshot is on disk.
  if (contents.snapshot_bytes == 0) return Damaged(kFileMark.size(), "no snapshot");
  contents.good_bytes = at;
  return contents;
}

}  // namespace trawl

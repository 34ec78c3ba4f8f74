#include "server/sink_registry.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/regular_file.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"

namespace trawl {
namespace {

constexpr std::string_view kFirstLine = "trawl-sinks 2";
constexpr std::string_view kFirstLineOfFormat1 = "trawl-sinks 1";

std::string CrcLine(std::string_view text) {
  return absl::StrCat("crc32c ", absl::Hex(Crc32c(text), absl::kZeroPad8), "\n");
}

// The numbers behind a line's first word.
bool ReadNumbers(const std::vector<std::string>& words, size_t count,
                 std::vector<uint64_t>& numbers) {
  numbers.resize(count);
  if (words.size() != count + 1) return false;
  for (size_t i = 0; i < count; ++i) {
    if (!absl::SimpleAtoi(words[i + 1], &numbers[i])) return false;
  }
  return true;
}

// Of a line `sink ID EPOCH "NAME"`; empty if it is none.
std::string QuotedName(std::string_view line) {
  const size_t begin = line.find('"');
  const bool whole = begin != std::string_view::npos && begin + 1 < line.size();
  return whole && line.back() == '"' ? std::string(line.substr(begin)) : "";
}

}  // namespace

uint64_t SinkRegistry::Entry::StartOf(const EpochLane& lane) const {
  if (lane.epoch < since_epoch) return 0;
  if (lane.epoch > since_epoch) return 1;
  const auto start = starts.find(lane.lane);
  return start == starts.end() ? 1 : start->second;
}

SinkRegistry::SinkRegistry(FileSystem& files, std::string path)
    : files_(files), path_(std::move(path)) {
  const absl::StatusOr<std::string> text = ReadRegularFile(files_, path_);
  const absl::Status status = text.ok() ? Decode(*text) : text.status();
  if (status.ok()) {
    saved_ = *text;
    return;
  }
  lost_ = true;
  entries_.clear();
  old_entries_.clear();
  if (absl::IsNotFound(status)) return;
  LogError("Which sinks there were is not known any more: all get what earlier runs left",
           {{"path", path_}, {"err", status}});
}

const SinkRegistry::Entry* SinkRegistry::Find(const std::string& id, std::string_view name) const {
  static const Entry kAlwaysThere;
  const auto found = entries_.find(id);
  if (found != entries_.end()) return &found->second;
  const auto old = old_entries_.find(GoQuote(name));
  if (old != old_entries_.end()) return &old->second;
  return lost_ ? &kAlwaysThere : nullptr;
}

void SinkRegistry::Skip(const std::string& id, const EpochLane& lane, uint64_t number) {
  entries_[id].skipped[lane].insert(number);
}

std::vector<std::string> SinkRegistry::Keep(const std::set<std::string>& ids,
                                            const std::set<uint64_t>& epochs) {
  // What was found in the old format has its new id by now.
  std::set<std::string> names;
  for (const auto& [id, entry] : entries_) {
    if (ids.contains(id)) names.insert(GoQuote(entry.name));
  }
  std::vector<std::string> gone;
  for (const auto& [name, entry] : old_entries_) {
    if (!names.contains(name)) gone.push_back(entry.name);
  }
  old_entries_.clear();
  std::erase_if(entries_, [&](const auto& entry) {
    if (ids.contains(entry.first)) return false;
    gone.push_back(entry.second.name);
    return true;
  });
  for (auto& [id, entry] : entries_) {
    std::erase_if(entry.skipped,
                  [&](const auto& skipped) { return !epochs.contains(skipped.first.epoch); });
  }
  lost_ = false;  // from now on a sink that is not here is new
  return gone;
}

absl::Status SinkRegistry::Save() {
  std::string text = Encode();
  if (text == saved_) return absl::OkStatus();
  saved_.clear();
  RETURN_IF_ERROR(WriteFileDurably(files_, path_, text));
  saved_ = std::move(text);
  return absl::OkStatus();
}

std::string SinkRegistry::Encode() const {
  std::string text = absl::StrCat(absl::string_view(kFirstLine.data(), kFirstLine.size()), "\n");
  for (const auto& [id, entry] : entries_) {
    absl::StrAppend(&text, "sink ", id, " ", entry.since_epoch, " ", GoQuote(entry.name), "\n");
    for (const auto& [lane, number] : entry.starts) {
      absl::StrAppend(&text, "start ", lane, " ", number, "\n");
    }
    for (const auto& [lane, numbers] : entry.skipped) {
      for (const uint64_t number : numbers) {
        absl::StrAppend(&text, "skip ", lane.epoch, " ", lane.lane, " ", number, "\n");
      }
    }
  }
  return text + CrcLine(text);
}

absl::Status SinkRegistry::Decode(std::string_view text) {
  const size_t end = text.rfind("crc32c ");
  if (end == std::string_view::npos || text.substr(end) != CrcLine(text.substr(0, end))) {
    return absl::DataLossError("the checksum is wrong");
  }
  Entry* entry = nullptr;
  bool format1 = false;
  std::vector<uint64_t> numbers;
  const std::string content(text.substr(0, end));
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(content, '\n', absl::SkipEmpty()))) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (line == kFirstLine) continue;
    if (line == kFirstLineOfFormat1) {
      format1 = true;
      continue;
    }
    uint64_t epoch = 0;
    const std::string name = QuotedName(line);
    if (words[0] == "sink" && !name.empty() && words.size() >= 4 &&
        absl::SimpleAtoi(words[2], &epoch)) {
      entry = format1 ? &old_entries_[name] : &entries_[words[1]];
      entry->name = name.substr(1, name.size() - 2);
      entry->since_epoch = epoch;
    } else if (entry != nullptr && words[0] == "start" && ReadNumbers(words, 2, numbers)) {
      entry->starts[static_cast<uint32_t>(numbers[0])] = numbers[1];
    } else if (entry != nullptr && words[0] == "skip" && ReadNumbers(words, 3, numbers)) {
      entry->skipped[{numbers[0], static_cast<uint32_t>(numbers[1])}].insert(numbers[2]);
    } else {
      return absl::DataLossError(absl::StrCat("not a line of it: ", GoQuote(line)));
    }
  }
  return absl::OkStatus();
}

}  // namespace trawl

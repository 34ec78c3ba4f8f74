#include "client/store/lane_state_file.h"

#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/base/concat.h"
#include "core/base/hash.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

constexpr std::string_view kMagic = "trawl-store-state";
constexpr std::string_view kCrcPrefix = "crc32c ";

std::string CrcLine(std::string_view text) {
  return absl::StrCat(absl::string_view(kCrcPrefix.data(), kCrcPrefix.size()),
                      absl::Hex(Crc32c(text), absl::kZeroPad8), "\n");
}

std::string FormatRejected(const std::map<int, uint64_t>& rejected) {
  return rejected.empty() ? "-" : absl::StrJoin(rejected, ",", absl::PairFormatter(":"));
}

bool ParseRejected(const std::string& text, std::map<int, uint64_t>& rejected) {
  if (text == "-") return true;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    const std::pair<absl::string_view, absl::string_view> pair = absl::StrSplit(part, ':');
    int code = 0;
    if (!absl::SimpleAtoi(pair.first, &code)) return false;
    if (!absl::SimpleAtoi(pair.second, &rejected[code])) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LaneStateFile>> LaneStateFile::Open(const std::string& path,
                                                                   FileSystem& fs,
                                                                   LaneLedger& ledger) {
  RETURN_IF_ERROR(fs.CreateDirectory(DirectoryOf(path)));
  ASSIGN_OR_RETURN(auto lock, fs.Lock(path + ".lock"));
  std::unique_ptr<LaneStateFile> file(new LaneStateFile(path, fs, std::move(lock)));
  const absl::StatusOr<std::string> text = fs.ReadFile(path);
  if (absl::IsNotFound(text.status())) {
    file->store_id_ = absl::StrCat(absl::Hex(HashKey::Random().seed, absl::kZeroPad16));
    RETURN_IF_ERROR(file->Save(ledger));
    return file;
  }
  RETURN_IF_ERROR(text.status());
  const absl::Status parsed = file->Parse(*text, ledger);
  if (!parsed.ok()) return Annotate(parsed, absl::StrCat("file ", path));
  return file;
}

absl::Status LaneStateFile::Parse(std::string_view text, LaneLedger& ledger) {
  const std::string first = absl::StrCat(absl::string_view(kMagic.data(), kMagic.size()), " 1");
  const std::string_view line = text.substr(0, text.find('\n'));
  if (line.substr(0, kMagic.size()) == kMagic && line != first) {
    return absl::FailedPreconditionError(
        Concat("state of another format: '", line, "', want '", first, "'"));
  }
  const size_t crc = text.rfind(kCrcPrefix);
  const std::string_view covered = text.substr(0, crc == std::string_view::npos ? 0 : crc);
  if (line != first || text.substr(covered.size()) != CrcLine(covered)) {
    return absl::DataLossError("damaged state of a store's lanes");
  }
  const std::vector<std::string> lines =
      absl::StrSplit(absl::string_view(covered.data(), covered.size()), '\n', absl::SkipEmpty());
  for (size_t i = 1; i < lines.size(); ++i) {
    RETURN_IF_ERROR(Annotate(ParseLine(lines[i], ledger), absl::StrCat("line ", i + 1)));
  }
  return absl::OkStatus();
}

absl::Status LaneStateFile::ParseLine(const std::string& line, LaneLedger& ledger) {
  const std::vector<std::string> words = absl::StrSplit(line, ' ');
  if (words.size() == 2 && words[0] == "store") {
    store_id_ = words[1];
    return absl::OkStatus();
  }
  uint64_t incarnation = 0;
  if (words.size() == 3 && words[0] == "writer" && absl::SimpleAtoi(words[1], &incarnation)) {
    ledger.LoadWriter(words[2], incarnation);
    return absl::OkStatus();
  }
  LaneKey key;
  LaneState state;
  if (words.size() == 9 && words[0] == "lane" && absl::SimpleAtoi(words[1], &key.epoch) &&
      absl::SimpleAtoi(words[2], &key.lane) && absl::SimpleAtoi(words[3], &state.durable) &&
      absl::SimpleAtoi(words[4], &state.totals.stored) &&
      absl::SimpleAtoi(words[5], &state.totals.duplicate) &&
      absl::SimpleAtoi(words[6], &state.totals.lost) &&
      ParseRejected(words[7], state.totals.rejected)) {
    key.writer = words[8];
    ledger.LoadLane(key, std::move(state));
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat("not a line of a store's state: '", line, "'"));
}

absl::Status LaneStateFile::Save(LaneLedger& ledger) {
  std::string text =
      absl::StrCat(absl::string_view(kMagic.data(), kMagic.size()), " 1\nstore ", store_id_, "\n");
  for (const auto& [writer, incarnation] : ledger.incarnations()) {
    absl::StrAppend(&text, "writer ", incarnation, " ", writer, "\n");
  }
  ledger.ForEachKept([&](const LaneKey& lane, const LaneState& state) {
    const LaneTotals& totals = state.totals;
    absl::StrAppend(&text, "lane ", lane.epoch, " ", lane.lane, " ", state.durable, " ");
    absl::StrAppend(&text, totals.stored, " ", totals.duplicate, " ", totals.lost, " ");
    absl::StrAppend(&text, FormatRejected(totals.rejected), " ", lane.writer, "\n");
  });
  text += CrcLine(text);
  return WriteFileDurably(fs_, path_, text);
}

}  // namespace trawl

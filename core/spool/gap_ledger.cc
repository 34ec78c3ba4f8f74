#include "core/spool/gap_ledger.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/hash.h"
#include "core/base/status_macros.h"
#include "core/spool/segment_format.h"

namespace trawl {
namespace {

constexpr std::string_view kMagic = "trawlgp1";
constexpr size_t kHeadBytes = 20;  // magic, generation, count
constexpr size_t kRangeBytes = 36;
// With the one that says what was delivered.
constexpr size_t kMaxPageRanges = LostRanges::kMaxRanges + 1;
static_assert(kHeadBytes + kMaxPageRanges * kRangeBytes + 4 <= kLedgerPageBytes);

void PutRange(const LostRanges::Range& range, std::string& page) {
  PutFixed64(range.first, page);
  PutFixed64(range.end, page);
  PutFixed64(range.samples_before, page);
  PutFixed64(range.samples_end, page);
  PutFixed32(static_cast<uint32_t>(range.reason), page);
}

// From the newest on: those of one reason become one, with the records between them that are there.
void JoinToFit(std::vector<LostRanges::Range>& ranges) {
  for (size_t end = ranges.size(); end > 1 && ranges.size() > LostRanges::kMaxRanges; --end) {
    LostRanges::Range& range = ranges[end - 2];
    if (range.reason != ranges[end - 1].reason) continue;
    range.end = ranges[end - 1].end;
    range.samples_end = ranges[end - 1].samples_end;
    ranges.erase(ranges.begin() + static_cast<std::ptrdiff_t>(end - 1));
  }
}

// What a start finds again, by the files around it.
void LeaveOutToFit(std::vector<LostRanges::Range>& ranges) {
  for (size_t end = ranges.size(); end > 0 && ranges.size() > LostRanges::kMaxRanges; --end) {
    const HoleReason reason = ranges[end - 1].reason;
    if (reason != HoleReason::kDamaged && reason != HoleReason::kNotSpooled) continue;
    ranges.erase(ranges.begin() + static_cast<std::ptrdiff_t>(end - 1));
  }
}

// As many as a page has room for.
std::vector<LostRanges::Range> RangesOfPage(const LostRanges& lost) {
  std::vector<LostRanges::Range> out;
  out.reserve(lost.ranges().size());
  for (const LostRanges::Range& r : lost.ranges()) {
    out.push_back({r.first, r.end, r.samples_before, r.samples_end, r.reason, {}});
  }
  JoinToFit(out);
  LeaveOutToFit(out);
  out.resize(std::min(out.size(), LostRanges::kMaxRanges));
  return out;
}

std::optional<Ledger> DecodePage(std::string_view page, uint32_t identity) {
  if (page.size() < kLedgerPageBytes || page.substr(0, kMagic.size()) != kMagic) return {};
  const uint32_t count = GetFixed32(page.data() + 16);
  if (count > kMaxPageRanges) return {};
  const size_t checked = kHeadBytes + count * kRangeBytes;
  if (GetFixed32(page.data() + checked) != Crc32c(page.substr(0, checked), identity)) return {};
  Ledger ledger;
  ledger.generation = GetFixed64(page.data() + 8);
  for (const char* at = page.data() + kHeadBytes; at < page.data() + checked; at += kRangeBytes) {
    LostRanges::Range range;
    range.first = GetFixed64(at);
    range.end = GetFixed64(at + 8);
    range.samples_before = GetFixed64(at + 16);
    range.samples_end = GetFixed64(at + 24);
    range.reason = static_cast<HoleReason>(GetFixed32(at + 32));
    if (range.reason == HoleReason::kTrimmed) {
      ledger.progress = {range.end - 1, range.samples_before};
    } else if (range.first < range.end) {
      ledger.lost.Add(std::move(range));
    } else {
      return {};
    }
  }
  return ledger;
}

}  // namespace

std::string EncodeLedgerPage(const LostRanges& lost, uint64_t generation, uint32_t identity,
                             const LaneProgress& progress) {
  const std::vector<LostRanges::Range> ranges = RangesOfPage(lost);
  const auto& [delivered, newest_file] = progress;
  std::string page(kMagic);
  PutFixed64(generation, page);
  PutFixed32(static_cast<uint32_t>(ranges.size() + (delivered ? 1 : 0)), page);
  if (delivered) PutRange({1, *delivered + 1, newest_file, 0, HoleReason::kTrimmed, {}}, page);
  for (const LostRanges::Range& range : ranges) PutRange(range, page);
  PutFixed32(Crc32c(page, identity), page);
  page.resize(kLedgerPageBytes, '\0');
  return page;
}

absl::Status CreateLedger(FileSystem& files, const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<UpdatableFile> file, files.OpenForUpdate(path));
  // Written, not just claimed: room that is only promised can be gone when it is needed.
  return file->WriteAt(0, std::string(2 * kLedgerPageBytes, '\0'));
}

absl::Status WriteLedgerPage(FileSystem& files, const std::string& path, uint64_t generation,
                             std::string_view page) {
  ASSIGN_OR_RETURN(const std::unique_ptr<UpdatableFile> file, files.OpenForUpdate(path));
  RETURN_IF_ERROR(file->WriteAt(generation % 2 * kLedgerPageBytes, page));
  return file->Sync();
}

Ledger ReadLedger(FileSystem& files, const std::string& path, uint32_t identity) {
  Ledger newest;
  const absl::StatusOr<std::unique_ptr<RandomAccessFile>> file = files.OpenForRead(path);
  if (!file.ok()) return newest;
  const absl::StatusOr<std::string> content = (*file)->ReadAt(0, 2 * kLedgerPageBytes);
  if (!content.ok()) return newest;
  for (size_t at = 0; at + kLedgerPageBytes <= content->size(); at += kLedgerPageBytes) {
    std::optional<Ledger> page =
        DecodePage(std::string_view(*content).substr(at, kLedgerPageBytes), identity);
    if (page && page->generation > newest.generation) newest = *std::move(page);
  }
  return newest;
}

}  // namespace trawl

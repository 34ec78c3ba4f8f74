#include "core/append/raw_records.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "core/append/record.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

absl::Status Damaged(std::string_view what) {
  return absl::DataLossError(absl::string_view(what.data(), what.size()));
}

// Of the layout that the patch makes of a base; nullopt if the patch is longer than the base.
std::optional<uint32_t> PatchedSize(uint32_t base, const LayoutPatch& patch) {
  int64_t left = base;
  int64_t size = 0;
  for (size_t step = 0; step < patch.size(); ++step) {
    const int64_t n = patch[step];
    if (n == 0) {
      if (++step == patch.size() || patch[step] < 0) return std::nullopt;
      size += patch[step];
    } else {
      left -= n < 0 ? -n : n;
      if (n > 0) size += n;
    }
    if (left < 0 || size > UINT32_MAX) return std::nullopt;
  }
  return static_cast<uint32_t>(size);
}

}  // namespace

absl::Status RawRecords::Follow(const LogRecord& record) {
  ASSIGN_OR_RETURN(const RecordView view, ParseRecord(record.bytes));
  absl::Status status = view.kind == RecordKind::kDictionary ? FollowDictionary(view.payload)
                                                             : DecodeScrape(view.payload);
  return Annotate(status, absl::StrCat("record ", record.number));
}

absl::StatusOr<std::string_view> RawRecords::Rewrite(const LogRecord& record) {
  RETURN_IF_ERROR(Follow(record));
  if (record.kind == RecordKind::kDictionary) return record.bytes;
  EncodeScrape();
  return std::string_view(bytes_);
}

absl::Status RawRecords::FollowDictionary(std::string_view payload) {
  storage::v1::Dictionary dictionary;
  if (!dictionary.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return Damaged("dictionary: not a message");
  }
  if (dictionary.has_header()) {
    next_layout_ = 1;
    positions_.clear();
    decoder_.Reset();
  }
  if (dictionary.first_layout() != next_layout_) return Damaged("dictionary: layouts are missing");
  for (const storage::v1::LayoutDef& def : dictionary.layouts()) RETURN_IF_ERROR(AddLayout(def));
  return absl::OkStatus();
}

absl::Status RawRecords::AddLayout(const storage::v1::LayoutDef& def) {
  const uint64_t id = next_layout_++;
  if (def.base() == 0) {
    positions_[id] = static_cast<uint32_t>(def.keys_size());
    return absl::OkStatus();
  }
  const auto base = positions_.find(def.base());
  if (base == positions_.end()) return Damaged("dictionary: an unknown base");
  const LayoutPatch patch(def.patch().begin(), def.patch().end());
  const std::optional<uint32_t> size = PatchedSize(base->second, patch);
  if (!size) return Damaged("dictionary: a patch that does not fit its base");
  positions_.erase(base);
  positions_.emplace(id, *size);
  decoder_.MoveState(def.base(), id, patch);
  return absl::OkStatus();
}

absl::Status RawRecords::DecodeScrape(std::string_view payload) {
  if (!scrape_.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return Damaged("scrape: not a message");
  }
  const auto layout = positions_.find(scrape_.layout());
  if (layout == positions_.end()) return Damaged("scrape: an unknown layout");
  if ((scrape_.flags() & storage::v1::Scrape::KEYFRAME) != 0) decoder_.Reset();
  return decoder_.Decode(scrape_.layout(), layout->second, scrape_, columns_);
}

void RawRecords::EncodeScrape() {
  scrape_.clear_control();
  scrape_.clear_integers();
  scrape_.clear_escapes();
  encoder_.Encode(scrape_.layout(), columns_.values, columns_.absent, scrape_);
  bytes_.clear();
  const size_t start = BeginRecord(bytes_);
  scrape_.AppendToString(&bytes_);
  FinishRecord(RecordKind::kScrape, start, bytes_);
}

}  // namespace trawl

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "core/append/column_codec.h"
#include "core/append/record_decoder.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// What the D records of the current segment have defined: the reverse of DictionaryWriter.
// Every id, order and size is verified; after an error it must not be used again.
// Not thread-safe.
class DecodedDictionary {
 public:
  explicit DecodedDictionary(size_t max_bytes) : max_bytes_(max_bytes) {}

  // Takes over the payload of a D record. State of `columns` moves along patches, and is forgotten
  // with the segment.
  absl::Status Apply(std::string_view payload, ColumnDecoder& columns,
                     RecordDecoder::Visitor& visitor);
  // Null if the id is not defined, or was replaced.
  const DecodedLayout* FindLayout(uint64_t id) const;
  // False before the first segment.
  bool has_segment() const { return segment_ != nullptr; }
  size_t bytes() const { return bytes_; }

 private:
  absl::Status CheckPayloadSize(std::string_view payload) const;
  absl::Status CheckFirstIds() const;
  absl::Status BeginSegment(RecordDecoder::Visitor& visitor);
  absl::Status AddStrings();
  absl::Status AddFamilies();
  absl::Status AddKeys();
  absl::Status AddKey(std::span<const int64_t> labels, size_t family, bool complete);
  absl::Status AddLayout(const storage::v1::LayoutDef& def, ColumnDecoder& columns,
                         RecordDecoder::Visitor& visitor);
  absl::Status FillFull(const storage::v1::LayoutDef& def, DecodedLayout& layout) const;
  absl::Status FillPatched(const storage::v1::LayoutDef& def, const DecodedLayout& base,
                           DecodedLayout& layout) const;
  absl::Status ReadLabels(std::span<const int64_t> ids, std::vector<DecodedLabel>& labels) const;
  bool ReadString(int64_t id, std::string_view& text) const;
  absl::Status Charge(size_t bytes);

  const size_t max_bytes_;

  uint64_t next_segment_uid_ = 1;
  uint64_t next_key_uid_ = 1;
  uint64_t next_layout_uid_ = 1;
  std::shared_ptr<const DecodedSegment> segment_;
  // Addresses are stable; ids are positions + 1.
  std::deque<std::string> strings_;
  std::deque<DecodedFamily> families_;
  std::deque<DecodedKey> keys_;
  uint64_t next_layout_ = 1;
  absl::flat_hash_map<uint64_t, std::unique_ptr<DecodedLayout>> layouts_;
  size_t bytes_ = 0;
  size_t record_layout_bytes_ = 0;  // of the record that is applied: patched layouts
  storage::v1::Dictionary record_;  // scratch
};

}  // namespace trawl

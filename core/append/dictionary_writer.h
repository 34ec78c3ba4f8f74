#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "core/append/column_codec.h"
#include "core/model/labels.h"
#include "core/model/layout.h"
#include "core/model/series_key.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// Gives the ids of a segment's dictionary, and writes the D records that define them.
//
// A layout whose base was defined in this segment is written as a patch, and the base is never
// named again; else in full. Strings, families and keys are shared by all targets of the lane.
// All layouts come from one KeyTable. Not thread-safe.
class DictionaryWriter {
 public:
  // An empty dictionary; the next record carries the header.
  void BeginSegment(const Labels& external_labels, std::string_view tenant);

  // The id of `layout` in this segment. Definitions that it needs are appended to `records` as
  // whole D records; the state of `columns` moves along a patch. kInvalidArgument: a definition is
  // too large for a record; the segment must then be given up.
  absl::StatusOr<uint64_t> Define(const Layout& layout, ColumnEncoder& columns,
                                  std::vector<std::string>& records);

  // The layout will not be named again.
  void Forget(uint64_t layout_id) { layouts_.erase(layout_id); }

 private:
  // The definition of a thing of the model in the segment of this generation.
  struct Defined {
    uint64_t serial = 0;
    uint32_t generation = 0;
    uint32_t id = 0;
  };

  uint32_t StringId(std::string_view text);
  uint32_t FamilyId(const KeyTable& table, uint32_t family);
  uint32_t KeyIdInSegment(const KeyTable& table, KeyId key);
  // These add to the record, as differences to what was added before, and return the id.
  uint32_t AddFamily(const MetricFamily& metadata);
  uint32_t AddKey(const SeriesKey& series, const std::vector<uint32_t>& labels, uint32_t family);
  void WriteLabels(const Labels& labels, google::protobuf::RepeatedField<uint32_t>& ids);
  void WriteFull(const Layout& layout, storage::v1::LayoutDef& def);
  void WritePatched(const Layout& layout, uint64_t base, storage::v1::LayoutDef& def);
  // `bytes` were added to the record; ends it when it is large enough.
  void NoteAdded(size_t bytes);
  void BeginRecord();
  void FinishRecord();

  uint32_t generation_ = 0;
  // The next ids.
  uint32_t next_string_ = 1;
  uint32_t next_family_ = 1;
  uint32_t next_key_ = 1;
  uint64_t next_layout_ = 1;
  absl::flat_hash_map<std::string, uint32_t> strings_;
  std::vector<Defined> families_;                    // by the table's family id
  std::vector<Defined> keys_;                        // by KeyId
  absl::flat_hash_map<uint64_t, uint64_t> layouts_;  // Layout::id to the dictionary's

  // The record that is being made, and what its newest definitions refer to.
  storage::v1::Dictionary record_;
  uint32_t last_family_name_ = 0;
  std::vector<uint32_t> last_labels_;
  uint32_t last_family_ = 0;
  size_t record_bytes_ = 0;  // about
  std::vector<std::string>* records_ = nullptr;
  bool too_large_ = false;
};

}  // namespace trawl

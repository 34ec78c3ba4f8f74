#include "core/append/dictionary_writer.h"

#include <utility>

#include "absl/strings/string_view.h"
#include "core/append/record.h"

namespace trawl {
namespace {

// A D record ends behind the definition with which it is so large: a large page is defined in
// several records.
constexpr size_t kRecordTargetBytes = size_t{1} << 20;

bool IsEmpty(const storage::v1::Dictionary& record) {
  return !record.has_header() && record.strings().empty() && record.families().empty() &&
         record.keys().empty() && record.layouts().empty();
}

}  // namespace

void DictionaryWriter::BeginSegment(const Labels& external_labels, std::string_view tenant) {
  ++generation_;
  next_string_ = next_family_ = next_key_ = 1;
  next_layout_ = 1;
  strings_.clear();
  layouts_.clear();
  BeginRecord();
  storage::v1::SegmentHeader& header = *record_.mutable_header();
  header.set_format(1);
  header.set_tenant(std::string(tenant));
  for (const Label& label : external_labels) {
    (*header.mutable_external_labels())[label.name] = label.value;
  }
}

absl::StatusOr<uint64_t> DictionaryWriter::Define(const Layout& layout, ColumnEncoder& columns,
                                                  std::vector<std::string>& records) {
  if (const auto known = layouts_.find(layout.id()); known != layouts_.end()) return known->second;
  records_ = &records;
  too_large_ = false;
  storage::v1::LayoutDef def;
  const uint64_t id = next_layout_;
  const auto base = layout.base_id() == 0 ? layouts_.end() : layouts_.find(layout.base_id());
  if (base != layouts_.end()) {
    WritePatched(layout, base->second, def);
    columns.MoveState(base->second, id, layout.patch());
    layouts_.erase(base);
  } else {
    WriteFull(layout, def);
  }
  const size_t bytes = def.ByteSizeLong();
  *record_.add_layouts() = std::move(def);
  ++next_layout_;
  NoteAdded(bytes);
  FinishRecord();
  records_ = nullptr;
  if (too_large_) return absl::InvalidArgumentError("a definition is too large for a record");
  layouts_.emplace(layout.id(), id);
  return id;
}

void DictionaryWriter::WriteFull(const Layout& layout, storage::v1::LayoutDef& def) {
  WriteLabels(layout.target_labels(), *def.mutable_target_labels());
  def.mutable_keys()->Reserve(static_cast<int>(layout.size()));
  for (const KeyId key : layout.keys()) def.add_keys(KeyIdInSegment(layout.table(), key));
}

void DictionaryWriter::WritePatched(const Layout& layout, uint64_t base,
                                    storage::v1::LayoutDef& def) {
  def.set_base(base);
  size_t position = 0;  // in the new layout
  const LayoutPatch& patch = layout.patch();
  for (size_t step = 0; step < patch.size(); ++step) {
    def.add_patch(patch[step]);
    if (patch[step] > 0) position += static_cast<size_t>(patch[step]);
    if (patch[step] != 0 || step + 1 == patch.size()) continue;
    const int32_t inserted = patch[++step];
    def.add_patch(inserted);
    for (int32_t i = 0; i < inserted; ++i) {
      def.add_keys(KeyIdInSegment(layout.table(), layout.keys()[position++]));
    }
  }
}

void DictionaryWriter::WriteLabels(const Labels& labels,
                                   google::protobuf::RepeatedField<uint32_t>& ids) {
  ids.Reserve(static_cast<int>(2 * labels.size()));
  for (const Label& label : labels) {
    ids.Add(StringId(label.name));
    ids.Add(StringId(label.value));
  }
}

uint32_t DictionaryWriter::StringId(std::string_view text) {
  if (text.empty()) return 0;
  const auto known = strings_.find(absl::string_view(text.data(), text.size()));
  if (known != strings_.end()) return known->second;
  const uint32_t id = next_string_++;
  strings_.emplace(text, id);
  record_.add_strings(text.data(), text.size());
  NoteAdded(text.size() + 4);
  return id;
}

uint32_t DictionaryWriter::FamilyId(const KeyTable& table, uint32_t family) {
  if (family == 0) return 0;
  if (family >= families_.size()) families_.resize(family + 1);
  if (families_[family].generation == generation_) return families_[family].id;
  const MetricFamily& metadata = table.Family(family);
  const uint32_t name = StringId(metadata.name);
  const uint32_t unit = StringId(metadata.unit);
  const uint32_t help = StringId(metadata.help);
  storage::v1::FamilyDef& def = *record_.add_families();
  def.set_name(name);
  def.set_type(static_cast<storage::v1::MetricType>(metadata.type));
  def.set_unit(unit);
  def.set_help(help);
  families_[family] = Defined{0, generation_, next_family_};
  NoteAdded(16);
  return next_family_++;
}

uint32_t DictionaryWriter::KeyIdInSegment(const KeyTable& table, KeyId key) {
  if (key >= keys_.size()) keys_.resize(key + 1);
  const uint64_t serial = table.Serial(key);
  if (keys_[key].generation == generation_ && keys_[key].serial == serial) return keys_[key].id;
  const SeriesKey& series = table.Get(key);
  storage::v1::KeyDef def;
  WriteLabels(series.labels, *def.mutable_labels());
  def.set_family(FamilyId(table, series.family));
  def.set_complete(series.complete);
  const size_t bytes = def.ByteSizeLong() + 2;
  *record_.add_keys() = std::move(def);
  const uint32_t id = next_key_++;
  keys_[key] = Defined{serial, generation_, id};
  NoteAdded(bytes);
  return id;
}

void DictionaryWriter::NoteAdded(size_t bytes) {
  record_bytes_ += bytes;
  if (record_bytes_ >= kRecordTargetBytes) FinishRecord();
}

void DictionaryWriter::BeginRecord() {
  record_.Clear();
  record_bytes_ = 0;
  record_.set_first_string(next_string_);
  record_.set_first_family(next_family_);
  record_.set_first_key(next_key_);
  record_.set_first_layout(next_layout_);
}

void DictionaryWriter::FinishRecord() {
  if (IsEmpty(record_)) return;
  if (record_.ByteSizeLong() > kMaxRecordPayloadBytes) {
    too_large_ = true;
  } else {
    std::string& out = records_->emplace_back();
    const size_t start = trawl::BeginRecord(out);
    record_.AppendToString(&out);
    trawl::FinishRecord(RecordKind::kDictionary, start, out);
  }
  BeginRecord();
}

}  // namespace trawl

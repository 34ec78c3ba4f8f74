#include "core/append/dictionary_writer.h"

#include <utility>

#include "absl/strings/string_view.h"
#include "core/append/record.h"
#include "core/base/text.h"

namespace trawl {
namespace {

// A D record ends behind the definition with which it is so large: a large page is defined in
// several records.
constexpr size_t kRecordTargetBytes = size_t{1} << 20;

// Ends each string; UTF-8 never has it.
constexpr char kStringEnd = '\xff';

// A string that is not UTF-8 would end every stream that it comes on.
void AppendString(std::string_view text, std::string& out) {
  if (IsValidUtf8(text)) {
    out.append(text);
  } else {
    out.append(PresentableText(text, text.size() + 64));
  }
  out.push_back(kStringEnd);
}

int32_t Less(uint32_t id, uint32_t before) { return static_cast<int32_t>(id - before); }

// Key ids of a layout, each as the difference to the one before.
class KeyList {
 public:
  explicit KeyList(storage::v1::LayoutDef& def) : def_(def) {}
  void Add(uint32_t id) { def_.add_keys(Less(id, std::exchange(last_, id))); }

 private:
  storage::v1::LayoutDef& def_;
  uint32_t last_ = 0;
};

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
  KeyList keys(def);
  for (const KeyId key : layout.keys()) keys.Add(KeyIdInSegment(layout.table(), key));
}

void DictionaryWriter::WritePatched(const Layout& layout, uint64_t base,
                                    storage::v1::LayoutDef& def) {
  def.set_base(base);
  KeyList keys(def);
  size_t position = 0;  // in the new layout
  const LayoutPatch& patch = layout.patch();
  for (size_t step = 0; step < patch.size(); ++step) {
    def.add_patch(patch[step]);
    if (patch[step] > 0) position += static_cast<size_t>(patch[step]);
    if (patch[step] != 0 || step + 1 == patch.size()) continue;
    const int32_t inserted = patch[++step];
    def.add_patch(inserted);
    for (int32_t i = 0; i < inserted; ++i) {
      keys.Add(KeyIdInSegment(layout.table(), layout.keys()[position++]));
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
  AppendString(text, *record_.mutable_strings());
  NoteAdded(text.size() + 1);
  return id;
}

uint32_t DictionaryWriter::FamilyId(const KeyTable& table, uint32_t family) {
  if (family == 0) return 0;
  if (family >= families_.size()) families_.resize(family + 1);
  if (families_[family].generation == generation_) return families_[family].id;
  const uint32_t id = AddFamily(table.Family(family));
  families_[family] = Defined{0, generation_, id};
  return id;
}

uint32_t DictionaryWriter::AddFamily(const MetricFamily& metadata) {
  const uint32_t name = StringId(metadata.name);
  const uint32_t unit = StringId(metadata.unit);
  const uint32_t help = StringId(metadata.help);
  storage::v1::FamilyDef& def = *record_.add_families();
  def.set_name(Less(name, std::exchange(last_family_name_, name)));
  def.set_type(static_cast<storage::v1::MetricType>(metadata.type));
  def.set_unit(unit);
  def.set_help(Less(help, name));
  const uint32_t id = next_family_++;
  NoteAdded(16);
  return id;
}

uint32_t DictionaryWriter::KeyIdInSegment(const KeyTable& table, KeyId key) {
  if (key >= keys_.size()) keys_.resize(key + 1);
  const uint64_t serial = table.Serial(key);
  if (keys_[key].generation == generation_ && keys_[key].serial == serial) return keys_[key].id;
  const SeriesKey& series = table.Get(key);
  std::vector<uint32_t> labels;
  labels.reserve(2 * series.labels.size());
  for (const Label& label : series.labels) {
    labels.push_back(StringId(label.name));
    labels.push_back(StringId(label.value));
  }
  const uint32_t family = FamilyId(table, series.family);
  const uint32_t id = AddKey(series, labels, family);
  keys_[key] = Defined{serial, generation_, id};
  return id;
}

uint32_t DictionaryWriter::AddKey(const SeriesKey& series, const std::vector<uint32_t>& labels,
                                  uint32_t family) {
  storage::v1::KeyDef& def = *record_.add_keys();
  for (size_t i = 0; i < labels.size(); ++i) {
    def.add_labels(Less(labels[i], i < last_labels_.size() ? last_labels_[i] : 0));
  }
  def.set_family(Less(family, std::exchange(last_family_, family)));
  def.set_complete(series.complete);
  last_labels_ = labels;
  const uint32_t id = next_key_++;
  NoteAdded(def.ByteSizeLong() + 2);
  return id;
}

void DictionaryWriter::NoteAdded(size_t bytes) {
  record_bytes_ += bytes;
  if (record_bytes_ >= kRecordTargetBytes) FinishRecord();
}

void DictionaryWriter::BeginRecord() {
  record_.Clear();
  record_bytes_ = 0;
  last_family_name_ = last_family_ = 0;
  last_labels_.clear();
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

#include "core/append/decoded_dictionary.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"

namespace trawl {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// What a definition takes beside its text and its lists, in a message and here. An empty one
// takes two bytes on the wire: the reason for counting before parsing.
constexpr size_t kDefinitionBytes = 128;

// Behind each string.
constexpr char kStringEnd = '\xff';

size_t LayoutBytes(const DecodedLayout& layout) {
  return kDefinitionBytes + layout.keys.size() * sizeof(void*) +
         layout.target_labels.size() * sizeof(DecodedLabel);
}

absl::Status Invalid(std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("dictionary: ", absl::string_view(what.data(), what.size())));
}

MetricType TypeFromWire(int type) {
  const bool known = type >= 0 && type <= static_cast<int>(MetricType::kStateSet);
  return known ? static_cast<MetricType>(type) : MetricType::kUnknown;
}

// Number of fields at the top of a message; nothing that follows from them is allocated. -1: not a
// message.
int64_t CountFields(std::string_view message) {
  CodedInputStream in(reinterpret_cast<const uint8_t*>(message.data()),
                      static_cast<int>(message.size()));
  int64_t count = 0;
  for (uint32_t tag = in.ReadTag(); tag != 0; tag = in.ReadTag()) {
    if (!WireFormatLite::SkipField(&in, tag)) return -1;
    ++count;
  }
  return in.ConsumedEntireMessage() ? count : -1;
}

// The keys of a layout: their ids stand as differences.
class KeyReader {
 public:
  KeyReader(const google::protobuf::RepeatedField<int32_t>& ids,
            const std::deque<DecodedKey>& known)
      : ids_(ids), known_(known) {}

  // The next `count`.
  absl::Status Read(int count, std::vector<const DecodedKey*>& keys) {
    if (count > ids_.size() - next_) return Invalid("a patch inserts more keys than there are");
    keys.reserve(keys.size() + static_cast<size_t>(count));
    for (; count > 0; --count) {
      id_ += ids_.Get(next_++);
      if (id_ <= 0 || id_ > static_cast<int64_t>(known_.size())) {
        return Invalid("a layout names an unknown key");
      }
      keys.push_back(&known_[static_cast<size_t>(id_) - 1]);
    }
    return absl::OkStatus();
  }
  bool done() const { return next_ == ids_.size(); }

 private:
  const google::protobuf::RepeatedField<int32_t>& ids_;
  const std::deque<DecodedKey>& known_;
  int next_ = 0;
  int64_t id_ = 0;
};

}  // namespace

absl::Status DecodedDictionary::Apply(std::string_view payload, ColumnDecoder& columns,
                                      RecordDecoder::Visitor& visitor) {
  RETURN_IF_ERROR(CheckPayloadSize(payload));
  if (!record_.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return Invalid("not a message");
  }
  if (record_.has_header()) {
    RETURN_IF_ERROR(BeginSegment(visitor));
    columns.Reset();
  } else if (segment_ == nullptr) {
    return Invalid("no segment's header before it");
  }
  RETURN_IF_ERROR(CheckFirstIds());
  RETURN_IF_ERROR(AddStrings());
  RETURN_IF_ERROR(AddFamilies());
  RETURN_IF_ERROR(AddKeys());
  record_layout_bytes_ = 0;
  for (const storage::v1::LayoutDef& def : record_.layouts()) {
    RETURN_IF_ERROR(AddLayout(def, columns, visitor));
  }
  record_ = storage::v1::Dictionary();  // its memory is not kept: definitions are rare
  return absl::OkStatus();
}

const DecodedLayout* DecodedDictionary::FindLayout(uint64_t id) const {
  const auto found = layouts_.find(id);
  return found == layouts_.end() ? nullptr : found->second.get();
}

absl::Status DecodedDictionary::CheckPayloadSize(std::string_view payload) const {
  const int64_t fields = CountFields(payload);
  if (fields < 0) return Invalid("not a message");
  if (static_cast<size_t>(fields) > max_bytes_ / kDefinitionBytes) {
    return Invalid("more definitions than a segment may have");
  }
  return absl::OkStatus();
}

absl::Status DecodedDictionary::CheckFirstIds() const {
  const bool as_expected = record_.first_string() == strings_.size() + 1 &&
                           record_.first_family() == families_.size() + 1 &&
                           record_.first_key() == keys_.size() + 1 &&
                           record_.first_layout() == next_layout_;
  if (as_expected) return absl::OkStatus();
  return Invalid("first ids do not follow those before");
}

absl::Status DecodedDictionary::BeginSegment(RecordDecoder::Visitor& visitor) {
  const storage::v1::SegmentHeader& header = record_.header();
  if (header.format() != 1) return Invalid(absl::StrCat("unknown format ", header.format()));
  auto segment = std::make_shared<DecodedSegment>();
  segment->uid = next_segment_uid_++;
  segment->tenant = header.tenant();
  LabelsBuilder external;
  for (const auto& [name, value] : header.external_labels()) external.Set(name, value);
  segment->external_labels = std::move(external).Build();
  visitor.OnSegment(*segment);
  layouts_.clear();
  keys_.clear();
  families_.clear();
  strings_.clear();
  next_layout_ = 1;
  bytes_ = 0;
  segment_ = std::move(segment);
  return absl::OkStatus();
}

absl::Status DecodedDictionary::AddStrings() {
  std::string_view rest = record_.strings();
  while (!rest.empty()) {
    const size_t end = rest.find(kStringEnd);
    if (end == std::string_view::npos) return Invalid("a string that is cut off");
    const std::string_view text = rest.substr(0, end);
    if (!IsValidUtf8(text)) return Invalid("a string that is not UTF-8");
    RETURN_IF_ERROR(Charge(kDefinitionBytes + text.size()));
    strings_.emplace_back(text);
    rest.remove_prefix(end + 1);
  }
  return absl::OkStatus();
}

absl::Status DecodedDictionary::AddFamilies() {
  int64_t name = 0;
  for (const storage::v1::FamilyDef& def : record_.families()) {
    RETURN_IF_ERROR(Charge(kDefinitionBytes));
    DecodedFamily family;
    family.type = TypeFromWire(def.type());
    name += def.name();
    if (name == 0 || !ReadString(name, family.name) || !ReadString(def.unit(), family.unit) ||
        !ReadString(name + def.help(), family.help)) {
      return Invalid("a family names an unknown string");
    }
    families_.push_back(family);
  }
  return absl::OkStatus();
}

absl::Status DecodedDictionary::AddKeys() {
  std::vector<int64_t> labels;  // ids, of the key before
  int64_t family = 0;
  for (const storage::v1::KeyDef& def : record_.keys()) {
    labels.resize(static_cast<size_t>(def.labels_size()));
    for (size_t i = 0; i < labels.size(); ++i) labels[i] += def.labels(static_cast<int>(i));
    family += def.family();
    if (family < 0 || family > static_cast<int64_t>(families_.size())) {
      return Invalid("a key names an unknown family");
    }
    RETURN_IF_ERROR(AddKey(labels, static_cast<size_t>(family), def.complete()));
  }
  return absl::OkStatus();
}

absl::Status DecodedDictionary::AddKey(std::span<const int64_t> labels, size_t family,
                                       bool complete) {
  RETURN_IF_ERROR(Charge(kDefinitionBytes + labels.size() / 2 * sizeof(DecodedLabel)));
  DecodedKey key;
  key.uid = next_key_uid_++;
  key.complete = complete;
  if (family != 0) key.family = &families_[family - 1];
  RETURN_IF_ERROR(ReadLabels(labels, key.labels));
  bool named = false;
  for (const DecodedLabel& label : key.labels) named = named || label.name == kMetricName;
  if (!named) return Invalid("a key without __name__");
  keys_.push_back(std::move(key));
  return absl::OkStatus();
}

absl::Status DecodedDictionary::AddLayout(const storage::v1::LayoutDef& def, ColumnDecoder& columns,
                                          RecordDecoder::Visitor& visitor) {
  auto layout = std::make_unique<DecodedLayout>();
  layout->uid = next_layout_uid_++;
  layout->segment = segment_;
  const uint64_t id = next_layout_++;
  if (def.base() == 0) {
    RETURN_IF_ERROR(FillFull(def, *layout));
    RETURN_IF_ERROR(Charge(LayoutBytes(*layout)));
    layouts_.emplace(id, std::move(layout));
    return absl::OkStatus();
  }
  const auto base = layouts_.find(def.base());
  if (base == layouts_.end()) return Invalid("a layout names an unknown base");
  RETURN_IF_ERROR(FillPatched(def, *base->second, *layout));
  RETURN_IF_ERROR(Charge(LayoutBytes(*layout)));
  bytes_ -= LayoutBytes(*base->second);
  // A patch of some bytes may make a layout of megabytes anew, again and again.
  record_layout_bytes_ += LayoutBytes(*layout);
  if (record_layout_bytes_ > max_bytes_) return Invalid("larger layouts than a record may define");
  columns.MoveState(def.base(), id, LayoutPatch(def.patch().begin(), def.patch().end()));
  const std::unique_ptr<DecodedLayout> gone = std::move(base->second);
  layouts_.erase(base);
  const DecodedLayout& added = *layouts_.emplace(id, std::move(layout)).first->second;
  visitor.OnLayoutReplaced(*gone, added);
  return absl::OkStatus();
}

absl::Status DecodedDictionary::FillFull(const storage::v1::LayoutDef& def,
                                         DecodedLayout& layout) const {
  if (def.patch_size() != 0) return Invalid("a patch without a base");
  const std::vector<int64_t> labels(def.target_labels().begin(), def.target_labels().end());
  RETURN_IF_ERROR(ReadLabels(labels, layout.target_labels));
  return KeyReader(def.keys(), keys_).Read(def.keys_size(), layout.keys);
}

absl::Status DecodedDictionary::FillPatched(const storage::v1::LayoutDef& def,
                                            const DecodedLayout& base,
                                            DecodedLayout& layout) const {
  if (def.target_labels_size() != 0) return Invalid("target labels beside a base");
  layout.target_labels = base.target_labels;
  layout.keys.reserve(base.size() + static_cast<size_t>(def.keys_size()));
  KeyReader inserted(def.keys(), keys_);
  size_t from = 0;  // in the base
  for (int step = 0; step < def.patch_size(); ++step) {
    const int64_t n = def.patch(step);
    const auto count = static_cast<size_t>(n < 0 ? -n : n);
    if (n != 0) {
      if (count > base.size() - from) return Invalid("a patch is longer than its base");
      const auto begin = base.keys.begin() + static_cast<std::ptrdiff_t>(from);
      if (n > 0) layout.keys.insert(layout.keys.end(), begin, begin + n);
      from += count;
      continue;
    }
    if (++step == def.patch_size() || def.patch(step) < 0) return Invalid("a patch is cut off");
    RETURN_IF_ERROR(inserted.Read(def.patch(step), layout.keys));
  }
  if (!inserted.done()) return Invalid("a patch does not insert all keys");
  return absl::OkStatus();
}

absl::Status DecodedDictionary::ReadLabels(std::span<const int64_t> ids,
                                           std::vector<DecodedLabel>& labels) const {
  if (ids.size() % 2 != 0) return Invalid("a label without a value");
  labels.resize(ids.size() / 2);
  std::string_view last;
  for (size_t i = 0; i < labels.size(); ++i) {
    DecodedLabel& label = labels[i];
    if (!ReadString(ids[2 * i], label.name) || !ReadString(ids[2 * i + 1], label.value)) {
      return Invalid("a label names an unknown string");
    }
    // An empty first name is not after "" either.
    if (label.name <= last) return Invalid("labels are not sorted, or a name is empty");
    if (label.value.empty()) return Invalid("a label with an empty value");
    last = label.name;
  }
  return absl::OkStatus();
}

bool DecodedDictionary::ReadString(int64_t id, std::string_view& text) const {
  text = {};
  if (id == 0) return true;
  if (id < 0 || id > static_cast<int64_t>(strings_.size())) return false;
  text = strings_[static_cast<size_t>(id) - 1];
  return true;
}

absl::Status DecodedDictionary::Charge(size_t bytes) {
  bytes_ += bytes;
  if (bytes_ <= max_bytes_) return absl::OkStatus();
  return Invalid(absl::StrCat("more than ", max_bytes_, " bytes of definitions in a segment"));
}

}  // namespace trawl

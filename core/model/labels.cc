#include "core/model/labels.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/hash.h"
#include "core/base/text.h"

namespace trawl {
namespace {

bool NameIsBefore(const Label& label, std::string_view name) { return label.name < name; }

template <typename Vector>
auto LowerBound(Vector& labels, std::string_view name) {
  return std::lower_bound(labels.begin(), labels.end(), name, NameIsBefore);
}

std::string_view Find(const std::vector<Label>& labels, std::string_view name) {
  const auto found = LowerBound(labels, name);
  if (found == labels.end() || found->name != name) return {};
  return found->value;
}

bool IsLegacyName(std::string_view name, bool colons) {
  if (name.empty() || absl::ascii_isdigit(name[0])) return false;
  return std::all_of(name.begin(), name.end(), [colons](char c) {
    return absl::ascii_isalnum(c) || c == '_' || (colons && c == ':');
  });
}

// The length in one byte, or 0xff and three bytes (little-endian), and the text.
void AppendSized(std::string_view text, std::string& out) {
  const size_t size = text.size();
  if (size < 0xff) {
    out += static_cast<char>(size);
  } else {
    out += '\xff';
    for (int shift = 0; shift < 24; shift += 8) out += static_cast<char>(size >> shift & 0xff);
  }
  out += text;
}

}  // namespace

Labels::Labels(std::initializer_list<std::pair<std::string_view, std::string_view>> pairs) {
  LabelsBuilder builder;
  for (const auto& [name, value] : pairs) builder.Set(name, value);
  *this = std::move(builder).Build();
}

Labels Labels::FromSorted(std::vector<Label> sorted) {
  Labels labels;
  labels.labels_ = std::move(sorted);
  return labels;
}

std::string_view Labels::Get(std::string_view name) const { return Find(labels_, name); }

bool Labels::Has(std::string_view name) const { return !Find(labels_, name).empty(); }

std::string Labels::ToString() const {
  std::string text = "{";
  for (const Label& label : labels_) {
    if (text.size() > 1) text += ", ";
    text += IsLegacyName(label.name, false) ? label.name : GoQuote(label.name);
    absl::StrAppend(&text, "=", GoQuote(label.value));
  }
  text += '}';
  return text;
}

uint64_t Labels::Hash() const {
  size_t size = 0;
  for (const Label& label : labels_) size += 8 + label.name.size() + label.value.size();
  std::string bytes;
  bytes.reserve(size);
  for (const Label& label : labels_) {
    AppendSized(label.name, bytes);
    AppendSized(label.value, bytes);
  }
  return XxHash64(bytes);
}

LabelsBuilder& LabelsBuilder::Set(std::string_view name, std::string_view value) {
  if (value.empty()) return Delete(name);
  const auto found = LowerBound(labels_, name);
  if (found != labels_.end() && found->name == name) {
    found->value.assign(value);
  } else {
    labels_.insert(found, Label{std::string(name), std::string(value)});
  }
  return *this;
}

LabelsBuilder& LabelsBuilder::Delete(std::string_view name) {
  const auto found = LowerBound(labels_, name);
  if (found != labels_.end() && found->name == name) labels_.erase(found);
  return *this;
}

void LabelsBuilder::Reset(std::vector<Label> labels) {
  labels_ = std::move(labels);
  DeleteIf([](const Label& label) { return label.value.empty(); });
  const auto by_name = [](const Label& a, const Label& b) { return a.name < b.name; };
  const auto not_above = [](const Label& a, const Label& b) { return a.name >= b.name; };
  if (std::adjacent_find(labels_.begin(), labels_.end(), not_above) == labels_.end()) return;
  std::stable_sort(labels_.begin(), labels_.end(), by_name);
  // From behind, the last of equal names is the first.
  const auto first = std::unique(labels_.rbegin(), labels_.rend(),
                                 [](const Label& a, const Label& b) { return a.name == b.name; });
  labels_.erase(labels_.begin(), first.base());
}

std::string_view LabelsBuilder::Get(std::string_view name) const { return Find(labels_, name); }

Labels LabelsBuilder::Build() const& { return Labels::FromSorted(labels_); }

Labels LabelsBuilder::Build() && { return Labels::FromSorted(std::move(labels_)); }

bool IsValidLabelName(std::string_view name, NameValidation scheme) {
  if (scheme == NameValidation::kLegacy) return IsLegacyName(name, false);
  return !name.empty() && IsValidUtf8(name);
}

bool IsValidMetricName(std::string_view name, NameValidation scheme) {
  if (scheme == NameValidation::kLegacy) return IsLegacyName(name, true);
  return !name.empty() && IsValidUtf8(name);
}

Labels PublicLabels(const Labels& labels) {
  const auto is_public = [](const Label& label) { return !absl::StartsWith(label.name, "__"); };
  std::vector<Label> kept;
  kept.reserve(static_cast<size_t>(std::count_if(labels.begin(), labels.end(), is_public)));
  std::copy_if(labels.begin(), labels.end(), std::back_inserter(kept), is_public);
  return Labels::FromSorted(std::move(kept));
}

}  // namespace trawl

#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trawl {

// A label's name and value.
struct Label {
  std::string name;
  std::string value;
  friend bool operator==(const Label&, const Label&) = default;
  friend auto operator<=>(const Label&, const Label&) = default;
};

inline constexpr std::string_view kMetricName = "__name__";

// A label set: sorted by name, each name once, no empty value (Prometheus treats an empty value
// as no label). A value type; changed through LabelsBuilder. Thread-safe when const.
class Labels {
 public:
  Labels() = default;
  // Any order; empty values are left out; of equal names the last one counts.
  Labels(std::initializer_list<std::pair<std::string_view, std::string_view>> pairs);
  // As it is: `sorted` must already be sorted, unique and without empty values.
  static Labels FromSorted(std::vector<Label> sorted);

  // "" when there is none.
  std::string_view Get(std::string_view name) const;
  bool Has(std::string_view name) const;
  bool empty() const { return labels_.empty(); }
  size_t size() const { return labels_.size(); }
  auto begin() const { return labels_.begin(); }
  auto end() const { return labels_.end(); }
  const std::vector<Label>& vector() const { return labels_; }

  // `{a="b", c="d"}` as Prometheus prints label sets; values Go-quoted.
  std::string ToString() const;
  // That of Labels.Hash in Prometheus as it is released (its stringlabels): xxHash64 over each name
  // and value behind its length, which is a byte, or 0xff and three bytes from 255 on.
  uint64_t Hash() const;

  friend bool operator==(const Labels&, const Labels&) = default;
  friend auto operator<=>(const Labels&, const Labels&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const Labels& l) {
    for (const Label& label : l.labels_) h = H::combine(std::move(h), label.name, label.value);
    return H::combine(std::move(h), l.labels_.size());
  }

 private:
  friend class LabelsBuilder;

  std::vector<Label> labels_;
};

// Makes a label set step by step. Kept sorted. Not thread-safe.
class LabelsBuilder {
 public:
  LabelsBuilder() = default;
  explicit LabelsBuilder(const Labels& base) : labels_(base.vector()) {}
  explicit LabelsBuilder(Labels&& base) : labels_(std::move(base.labels_)) {}

  void Reset(const Labels& base) { labels_ = base.vector(); }
  // To labels in any order; empty values are left out; of equal names the last one counts. Many
  // labels are better set so than one by one, which takes time by the square of their number.
  void Reset(std::vector<Label> labels);
  // An empty value deletes the label.
  LabelsBuilder& Set(std::string_view name, std::string_view value);
  LabelsBuilder& Delete(std::string_view name);
  // Deletes all labels for which `predicate` is true.
  template <typename Predicate>
  void DeleteIf(Predicate predicate) {
    std::erase_if(labels_, predicate);
  }
  // "" when there is none.
  std::string_view Get(std::string_view name) const;
  const std::vector<Label>& labels() const { return labels_; }
  bool empty() const { return labels_.empty(); }

  Labels Build() const&;
  Labels Build() &&;

 private:
  std::vector<Label> labels_;
};

// Which names are valid: letters, digits and _ (and : in metric names), or any UTF-8.
// Source: spec 4.17, metric_name_validation_scheme.
enum class NameValidation { kUtf8, kLegacy };
bool IsValidLabelName(std::string_view name, NameValidation scheme);
bool IsValidMetricName(std::string_view name, NameValidation scheme);

// The labels without those whose names start with "__": what samples carry (spec 3.9).
Labels PublicLabels(const Labels& labels);

}  // namespace trawl

#include "client/store/sqlite/sample_reader.h"

#include <unistd.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "client/store/sqlite/database.h"
#include "client/store/sqlite/json_text.h"
#include "client/store/sqlite/sqlite_file.h"
#include "core/base/status_macros.h"
#include "core/model/value.h"
#include "core/relabel/regex.h"

namespace trawl {
namespace {

class CompiledMatcher {
 public:
  static absl::StatusOr<CompiledMatcher> Compile(const LabelMatcher& matcher) {
    CompiledMatcher compiled(matcher);
    if (matcher.op == LabelMatcher::Op::kMatches || matcher.op == LabelMatcher::Op::kNotMatches) {
      absl::StatusOr<AnchoredRegex> regex = AnchoredRegex::Compile(matcher.value);
      if (!regex.ok()) return Annotate(regex.status(), absl::StrCat("label ", matcher.name));
      compiled.regex_ = *std::move(regex);
    }
    return compiled;
  }

  bool Holds(const Labels& labels) const {
    const std::string_view value = labels.Get(matcher_.name);
    switch (matcher_.op) {
      case LabelMatcher::Op::kEqual:
        return value == matcher_.value;
      case LabelMatcher::Op::kNotEqual:
        return value != matcher_.value;
      case LabelMatcher::Op::kMatches:
        return regex_->Matches(value);
      case LabelMatcher::Op::kNotMatches:
        return !regex_->Matches(value);
    }
    return false;
  }

 private:
  explicit CompiledMatcher(LabelMatcher matcher) : matcher_(std::move(matcher)) {}
  LabelMatcher matcher_;
  std::optional<AnchoredRegex> regex_;
};

// Where a series' samples stand. key 0: in scrapes; else in timed_samples.
struct Place {
  int64_t layout = 0;
  int64_t position = 0;
  int64_t key = 0;
  int64_t target = 0;
};

double ValueOf(const SqlStatement& row, int column, bool& stale) {
  const std::string_view text = row.Text(column);
  stale = text == "stale";
  if (stale) return StaleMarker();
  if (text == "NaN") return NormalNaN();
  if (text == "+Inf") return std::numeric_limits<double>::infinity();
  if (text == "-Inf") return -std::numeric_limits<double>::infinity();
  return row.Real(column);
}

class SampleReader {
 public:
  SampleReader(SqlDatabase& database, const SampleQuery& query)
      : database_(database), query_(query) {}

  absl::StatusOr<std::vector<StoredSample>> Read();

 private:
  using Series = std::vector<std::pair<Labels, std::vector<Place>>>;

  absl::Status Compile();
  absl::StatusOr<Series> FindSeries();
  absl::Status AddPlaces(const std::string& sql, absl::flat_hash_map<Labels, size_t>& index,
                         Series& series);
  absl::Status ReadSeries(const Labels& labels, const std::vector<Place>& places);
  absl::Status ReadPlace(const Labels& labels, const Place& place,
                         std::vector<StoredSample>& samples);
  std::string WhereMetric() const;

  SqlDatabase& database_;
  const SampleQuery& query_;
  std::vector<CompiledMatcher> matchers_;
  std::string metric_;  // if one is asked for by equality: SQLite's index finds it
  SqlStatement scrapes_, timed_;
  std::vector<StoredSample> samples_;
};

absl::Status SampleReader::Compile() {
  for (const LabelMatcher& matcher : query_.matchers) {
    ASSIGN_OR_RETURN(CompiledMatcher compiled, CompiledMatcher::Compile(matcher));
    matchers_.push_back(std::move(compiled));
    if (matcher.name == kMetricName && matcher.op == LabelMatcher::Op::kEqual) {
      metric_ = matcher.value;
    }
  }
  ASSIGN_OR_RETURN(scrapes_,
                   database_.Prepare("SELECT time_ms, json_extract(vals, '$[' || ?3 || ']') AS v "
                                     "FROM scrapes WHERE layout = ?1 AND target = ?2 AND "
                                     "v IS NOT NULL ORDER BY time_ms DESC LIMIT ?4"));
  ASSIGN_OR_RETURN(timed_, database_.Prepare("SELECT time_ms, value FROM timed_samples WHERE "
                                             "key = ?1 AND target = ?2 ORDER BY time_ms DESC "
                                             "LIMIT ?3"));
  return absl::OkStatus();
}

std::string SampleReader::WhereMetric() const {
  return metric_.empty() ? "" : " WHERE k.metric = ?1";
}

absl::StatusOr<SampleReader::Series> SampleReader::FindSeries() {
  Series series;
  absl::flat_hash_map<Labels, size_t> index;
  const std::string columns = "k.metric, iif(k.complete, t.external, t.labels), k.labels";
  RETURN_IF_ERROR(AddPlaces(absl::StrCat("SELECT ", columns,
                                         ", lk.layout, lk.position, 0, t.id FROM keys k "
                                         "JOIN layout_keys lk ON lk.key = k.id "
                                         "JOIN target_layouts tl ON tl.layout = lk.layout "
                                         "JOIN targets t ON t.id = tl.target",
                                         WhereMetric()),
                            index, series));
  RETURN_IF_ERROR(AddPlaces(
      absl::StrCat("SELECT DISTINCT ", columns,
                   ", 0, 0, k.id, t.id FROM keys k "
                   "JOIN timed_samples ts ON ts.key = k.id JOIN targets t ON t.id = ts.target",
                   WhereMetric()),
      index, series));
  std::sort(series.begin(), series.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return series;
}

absl::Status SampleReader::AddPlaces(const std::string& sql,
                                     absl::flat_hash_map<Labels, size_t>& index, Series& series) {
  ASSIGN_OR_RETURN(SqlStatement rows, database_.Prepare(sql));
  if (!metric_.empty()) rows.Bind(1, metric_);
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    LabelsBuilder builder;
    ParseJsonLabels(rows.Text(1), builder);
    ParseJsonLabels(rows.Text(2), builder);
    builder.Set(kMetricName, rows.Text(0));
    Labels labels = std::move(builder).Build();
    const bool wanted = std::all_of(matchers_.begin(), matchers_.end(),
                                    [&](const CompiledMatcher& m) { return m.Holds(labels); });
    if (!wanted) continue;
    const auto [found, added] = index.try_emplace(labels, series.size());
    if (added) series.emplace_back(std::move(labels), std::vector<Place>());
    series[found->second].second.push_back({rows.Int(3), rows.Int(4), rows.Int(5), rows.Int(6)});
  }
}

absl::Status SampleReader::ReadSeries(const Labels& labels, const std::vector<Place>& places) {
  std::vector<StoredSample> samples;
  for (const Place& place : places) RETURN_IF_ERROR(ReadPlace(labels, place, samples));
  std::stable_sort(samples.begin(), samples.end(),
                   [](const auto& a, const auto& b) { return a.timestamp_ms < b.timestamp_ms; });
  const size_t keep = query_.last_per_series;
  if (keep > 0 && samples.size() > keep) {
    samples.erase(samples.begin(), samples.end() - static_cast<ptrdiff_t>(keep));
  }
  std::move(samples.begin(), samples.end(), std::back_inserter(samples_));
  return absl::OkStatus();
}

absl::Status SampleReader::ReadPlace(const Labels& labels, const Place& place,
                                     std::vector<StoredSample>& samples) {
  size_t limit = query_.last_per_series;
  if (query_.last > 0 && (limit == 0 || query_.last < limit)) limit = query_.last;
  const int64_t rows = limit == 0 ? -1 : static_cast<int64_t>(limit);
  SqlStatement& statement = place.key == 0 ? scrapes_ : timed_;
  if (place.key == 0) {
    statement.Bind(1, place.layout).Bind(2, place.target).Bind(3, place.position).Bind(4, rows);
  } else {
    statement.Bind(1, place.key).Bind(2, place.target).Bind(3, rows);
  }
  while (true) {
    ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (!row) return absl::OkStatus();
    StoredSample& sample = samples.emplace_back();
    sample.labels = labels;
    sample.timestamp_ms = statement.Int(0);
    sample.value = statement.IsText(1) ? ValueOf(statement, 1, sample.stale) : statement.Real(1);
  }
}

absl::StatusOr<std::vector<StoredSample>> SampleReader::Read() {
  RETURN_IF_ERROR(Compile());
  // One snapshot of the file for all that is read.
  RETURN_IF_ERROR(database_.Execute("BEGIN"));
  ASSIGN_OR_RETURN(const Series series, FindSeries());
  for (const auto& [labels, places] : series) RETURN_IF_ERROR(ReadSeries(labels, places));
  if (query_.last > 0 && samples_.size() > query_.last) {
    std::vector<int64_t> times;
    for (const StoredSample& sample : samples_) times.push_back(sample.timestamp_ms);
    const auto nth = times.end() - static_cast<ptrdiff_t>(query_.last);
    std::nth_element(times.begin(), nth, times.end());
    const int64_t oldest = *nth;
    std::erase_if(samples_, [&](const StoredSample& s) { return s.timestamp_ms < oldest; });
    size_t excess = samples_.size() - query_.last;  // of equal time
    std::erase_if(samples_, [&](const StoredSample& s) {
      return s.timestamp_ms == oldest && excess > 0 && excess-- > 0;
    });
  }
  return std::move(samples_);
}

}  // namespace

absl::StatusOr<std::vector<StoredSample>> ReadSamples(const std::string& path,
                                                      const SampleQuery& query) {
  if (access(path.c_str(), F_OK) != 0) {
    return absl::NotFoundError(absl::StrCat("there is no file ", path));
  }
  ASSIGN_OR_RETURN(auto database, OpenSqliteForReading(path));
  return SampleReader(*database, query).Read();
}

}  // namespace trawl

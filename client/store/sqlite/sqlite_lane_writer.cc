#include "client/store/sqlite/sqlite_lane_writer.h"

#include <cmath>
#include <utility>

#include "client/store/sqlite/json_text.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

bool HasMarker(const DecodedScrape& scrape) {
  if (CountBits(scrape.stale) > 0) return true;
  for (const double value : scrape.values) {
    if (IsStaleMarker(value)) return true;
  }
  return false;
}

// The external labels, and over them the target's.
Labels TargetAndExternal(const DecodedLayout& layout) {
  LabelsBuilder labels(layout.segment->external_labels);
  for (const DecodedLabel& label : layout.target_labels) labels.Set(label.name, label.value);
  return std::move(labels).Build();
}

}  // namespace

absl::Status SqliteWriting::Begin() {
  if (in_transaction) return failure;
  RETURN_IF_ERROR(database.Execute("BEGIN IMMEDIATE"));
  in_transaction = true;
  return absl::OkStatus();
}

absl::StatusOr<bool> SqliteWriting::AddTimed(int64_t key, int64_t target, int64_t time_ms,
                                             double value) {
  add_timed.Bind(1, key).Bind(2, target).Bind(3, time_ms);
  std::string special;
  if (std::isfinite(value)) {
    add_timed.Bind(4, value);
  } else {
    AppendJsonValue(value, special);
    add_timed.Bind(4, std::string_view(special).substr(1, special.size() - 2));
  }
  RETURN_IF_ERROR(add_timed.Run());
  const bool added = database.changes() > 0;
  samples += added;
  return added;
}

SqliteLaneWriter::SqliteLaneWriter(SqliteWriting& writing, LaneLedger::Entry& entry)
    : writing_(writing), entry_(entry) {}

SqliteLaneWriter::~SqliteLaneWriter() { ForgetAll(); }

absl::Status SqliteLaneWriter::Write(const DecodedScrape& scrape) {
  RETURN_IF_ERROR(writing_.failure);
  return Fail(WriteNow(scrape));
}

// A scrape is stored whole or not at all: what failed half way takes the transaction with it.
absl::Status SqliteLaneWriter::Fail(const absl::Status& status) {
  if (!status.ok() && writing_.failure.ok()) {
    writing_.failure = status;
    writing_.ledger.MarkDirty(entry_);
  }
  return status;
}

absl::Status SqliteLaneWriter::WriteNow(const DecodedScrape& scrape) {
  RETURN_IF_ERROR(writing_.Begin());
  ASSIGN_OR_RETURN(const Rows rows, FindRows(*scrape.layout));
  ASSIGN_OR_RETURN(const bool markers, TakesMarkers(scrape, rows.target));
  RETURN_IF_ERROR(WriteRow(scrape, rows, markers));
  RETURN_IF_ERROR(WriteTimed(scrape, rows));
  if (auto reject = RejectHistograms(scrape)) {
    writing_.ledger.Reject(entry_, *std::move(reject));
  }
  return absl::OkStatus();
}

absl::Status SqliteLaneWriter::WriteRow(const DecodedScrape& scrape, const Rows& rows,
                                        bool markers) {
  values_.clear();
  const uint64_t samples = AppendJsonValues(scrape, markers, values_);
  if (samples == 0) return absl::OkStatus();
  writing_.add_scrape.Bind(1, rows.layout).Bind(2, rows.target).Bind(3, scrape.time_ms);
  RETURN_IF_ERROR(writing_.add_scrape.Bind(4, values_).Run());
  writing_.catalog.Saw(rows.target, scrape.time_ms);
  writing_.samples += samples;
  entry_.taken.totals.stored += samples;
  return absl::OkStatus();
}

// A marker that is not newer than its series' last sample comes from a run that ended: dropped
// (S14). A target's last scrape stands for its series.
absl::StatusOr<bool> SqliteLaneWriter::TakesMarkers(const DecodedScrape& scrape, int64_t target) {
  if (!HasMarker(scrape)) return true;
  ASSIGN_OR_RETURN(const std::optional<int64_t> last, writing_.catalog.LastTime(target));
  return !last.has_value() || *last < scrape.time_ms;
}

absl::Status SqliteLaneWriter::WriteTimed(const DecodedScrape& scrape, const Rows& rows) {
  for (const ScrapeBatch::ExplicitTime& time : scrape.times) {
    if (BitIsSet(scrape.absent, time.position)) continue;
    ASSIGN_OR_RETURN(const int64_t key, KeyRow(*scrape.layout->keys[time.position]));
    ASSIGN_OR_RETURN(const bool added, writing_.AddTimed(key, rows.target, time.timestamp_ms,
                                                         scrape.values[time.position]));
    ++(added ? entry_.taken.totals.stored : entry_.taken.totals.duplicate);
  }
  return absl::OkStatus();
}

absl::StatusOr<SqliteLaneWriter::Rows> SqliteLaneWriter::FindRows(const DecodedLayout& layout) {
  const auto found = layouts_.find(layout.uid);
  if (found != layouts_.end()) return found->second;
  ASSIGN_OR_RETURN(Rows rows, MakeRows(layout));
  writing_.catalog.RefLayout(rows.layout);
  layouts_[layout.uid] = rows;
  return rows;
}

absl::StatusOr<SqliteLaneWriter::Rows> SqliteLaneWriter::MakeRows(const DecodedLayout& layout) {
  Rows rows;
  ASSIGN_OR_RETURN(rows.target, writing_.catalog.TargetRow(
                                    layout.segment->tenant, JsonLabels(TargetAndExternal(layout)),
                                    JsonLabels(layout.segment->external_labels)));
  std::vector<int64_t> keys;
  keys.reserve(layout.size());
  for (const DecodedKey* key : layout.keys) {
    ASSIGN_OR_RETURN(keys.emplace_back(), KeyRow(*key));
  }
  ASSIGN_OR_RETURN(rows.layout, writing_.catalog.LayoutRow(keys));
  RETURN_IF_ERROR(writing_.catalog.AddTargetLayout(rows.target, rows.layout));
  return rows;
}

absl::StatusOr<int64_t> SqliteLaneWriter::KeyRow(const DecodedKey& key) {
  const auto found = keys_.find(key.uid);
  if (found != keys_.end()) return found->second;
  std::vector<Label> labels;
  labels.reserve(key.labels.size());
  for (const DecodedLabel& label : key.labels) {
    labels.push_back({std::string(label.name), std::string(label.value)});
  }
  const Labels sorted = Labels::FromSorted(std::move(labels));
  ASSIGN_OR_RETURN(const int64_t row, writing_.catalog.KeyRow(sorted.Get(kMetricName),
                                                              JsonLabels(sorted), key.complete));
  writing_.catalog.RefKey(row);
  keys_[key.uid] = row;
  return row;
}

absl::Status SqliteLaneWriter::CountDuplicate(const DecodedScrape& scrape) {
  entry_.taken.totals.duplicate += scrape.samples;
  writing_.ledger.MarkDirty(entry_);
  return absl::OkStatus();
}

absl::Status SqliteLaneWriter::Advance(uint64_t number, uint64_t lost) {
  RETURN_IF_ERROR(writing_.failure);
  entry_.taken.durable = number;
  entry_.taken.totals.lost += lost;
  writing_.ledger.MarkDirty(entry_);
  return absl::OkStatus();
}

void SqliteLaneWriter::ForgetLayout(uint64_t uid) {
  const auto found = layouts_.find(uid);
  if (found == layouts_.end()) return;
  writing_.catalog.UnrefLayout(found->second.layout);
  layouts_.erase(found);
}

void SqliteLaneWriter::ForgetAll() {
  for (const auto& [uid, rows] : layouts_) writing_.catalog.UnrefLayout(rows.layout);
  for (const auto& [uid, row] : keys_) writing_.catalog.UnrefKey(row);
  layouts_.clear();
  keys_.clear();
}

}  // namespace trawl

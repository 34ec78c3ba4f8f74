#include "client/store/sqlite/sqlite_backend.h"

#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/store/lane_ledger.h"
#include "client/store/sqlite/json_text.h"
#include "client/store/sqlite/sqlite_file.h"
#include "client/store/sqlite/sqlite_lane_writer.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "core/model/value.h"

namespace trawl {
namespace {

constexpr absl::Duration kMaintainStep = absl::Milliseconds(20);
constexpr int64_t kLayoutsAStep = 200;

// {"1":17,"8":2}: what the lanes table keeps of counts by code.
std::string RejectedToJson(const std::map<int, uint64_t>& rejected) {
  return absl::StrCat("{",
                      absl::StrJoin(rejected, ",",
                                    [](std::string* out, const auto& entry) {
                                      absl::StrAppend(out, "\"", entry.first, "\":", entry.second);
                                    }),
                      "}");
}

std::map<int, uint64_t> RejectedFromJson(std::string_view json) {
  std::map<int, uint64_t> rejected;
  for (absl::string_view part : absl::StrSplit(absl::string_view(json.data(), json.size()),
                                               absl::ByAnyChar("{},"), absl::SkipEmpty())) {
    const std::vector<std::string> pair =
        absl::StrSplit(part, absl::ByAnyChar("\":"), absl::SkipEmpty());
    int code = 0;
    uint64_t samples = 0;
    if (pair.size() == 2 && absl::SimpleAtoi(pair[0], &code) &&
        absl::SimpleAtoi(pair[1], &samples)) {
      rejected[code] = samples;
    }
  }
  return rejected;
}

class SqliteBackend final : public StoreBackend {
 public:
  static absl::StatusOr<std::unique_ptr<StoreBackend>> Open(SqliteOptions options, FileSystem& fs,
                                                            EventLoop& loop);
  ~SqliteBackend() override;

  void SetObserver(Observer& observer) override { observer_ = &observer; }
  const std::string& store_id() const override { return store_id_; }
  uint64_t window_bytes() const override { return options_.window_bytes; }
  uint64_t Incarnation(const std::string& writer) const override {
    return ledger_.Incarnation(writer);
  }
  absl::Status Fence(const std::string& writer, uint64_t incarnation) override;
  std::optional<LaneState> FindLane(const LaneKey& lane) const override {
    return ledger_.Find(lane);
  }
  std::vector<std::pair<LaneKey, LaneState>> Lanes() const override { return ledger_.Lanes(); }
  void OpenLane(const LaneKey& lane, uint64_t incarnation, OpenedLane opened) override;
  void Commit() override;
  void Write(const storage::v1::WriteRequest& request, Written done) override;
  bool Maintain() override;
  void Shutdown() override { Commit(); }
  StoreStats Stats() override;

 private:
  SqliteBackend(SqliteOptions options, std::unique_ptr<FileLock> lock,
                std::unique_ptr<SqlDatabase> database, std::unique_ptr<SqliteCatalog> catalog,
                EventLoop& loop);
  absl::Status Prepare();
  absl::Status Load();
  absl::Status CommitLanes();
  absl::Status CommitLane(const LaneKey& lane, LaneLedger::Entry& entry);
  void Fail(const absl::Status& status);
  absl::Status WriteSample(const storage::v1::Sample& sample, uint32_t index,
                           const std::string& tenant, storage::v1::WriteResponse& response);
  absl::StatusOr<bool> Retain();
  absl::StatusOr<bool> DeleteOldest(int64_t before_ms);

  const SqliteOptions options_;
  EventLoop& loop_;
  const std::unique_ptr<FileLock> lock_;
  const std::unique_ptr<SqlDatabase> database_;
  const std::unique_ptr<SqliteCatalog> catalog_;
  std::string store_id_;
  Observer* observer_ = nullptr;
  LaneLedger ledger_;
  SqliteWriting writing_;
  uint64_t committed_samples_ = 0;
  SqlStatement save_lane_, add_lane_;
  SqlStatement drop_scrapes_, drop_timed_;
  std::vector<std::pair<Written, storage::v1::WriteResponse>> written_;
};

SqliteBackend::SqliteBackend(SqliteOptions options, std::unique_ptr<FileLock> lock,
                             std::unique_ptr<SqlDatabase> database,
                             std::unique_ptr<SqliteCatalog> catalog, EventLoop& loop)
    : options_(std::move(options)),
      loop_(loop),
      lock_(std::move(lock)),
      database_(std::move(database)),
      catalog_(std::move(catalog)),
      writing_{*database_, *catalog_, ledger_} {}

SqliteBackend::~SqliteBackend() {
  if (writing_.in_transaction) (void)database_->Execute("ROLLBACK");
}

absl::StatusOr<std::unique_ptr<StoreBackend>> SqliteBackend::Open(SqliteOptions options,
                                                                  FileSystem& fs, EventLoop& loop) {
  RETURN_IF_ERROR(
      Annotate(CreateLastDirectory(fs, DirectoryOf(options.path)), "directory of the database"));
  ASSIGN_OR_RETURN(auto lock, fs.Lock(options.path + ".lock"));
  ASSIGN_OR_RETURN(auto database, OpenSqliteForWriting(options.path));
  ASSIGN_OR_RETURN(auto catalog, SqliteCatalog::Open(*database));
  std::unique_ptr<SqliteBackend> backend(new SqliteBackend(
      std::move(options), std::move(lock), std::move(database), std::move(catalog), loop));
  RETURN_IF_ERROR(backend->Prepare());
  RETURN_IF_ERROR(backend->Load());
  RETURN_IF_ERROR(backend->catalog_->CollectKeysAndTargets());
  return backend;
}

absl::Status SqliteBackend::Prepare() {
  const std::pair<SqlStatement*, const char*> statements[] = {
      {&writing_.add_scrape,
       "INSERT INTO scrapes(layout, target, time_ms, vals) VALUES(?, ?, ?, ?)"},
      {&writing_.add_timed,
       "INSERT OR IGNORE INTO timed_samples(key, target, time_ms, value) VALUES(?, ?, ?, ?)"},
      {&add_lane_, "INSERT OR IGNORE INTO lanes VALUES(?, ?, ?, 0, 0, 0, 0, '{}')"},
      // Exactly once: only from the number that was committed before, and by nobody who is fenced.
      {&save_lane_,
       "UPDATE lanes SET durable = ?4, stored = ?5, duplicate = ?6, lost = ?7, rejected = ?8 "
       "WHERE writer = ?1 AND epoch = ?2 AND lane = ?3 AND durable = ?9 "
       "AND ?10 >= (SELECT incarnation FROM writers WHERE writer = ?1)"},
      {&drop_scrapes_,
       "DELETE FROM scrapes WHERE id IN (SELECT id FROM scrapes WHERE time_ms < ? "
       "ORDER BY time_ms LIMIT 64)"},
      {&drop_timed_,
       "DELETE FROM timed_samples WHERE (key, target, time_ms) IN (SELECT key, target, time_ms "
       "FROM timed_samples WHERE time_ms < ? ORDER BY time_ms LIMIT 512)"},
  };
  for (const auto& [statement, sql] : statements) {
    ASSIGN_OR_RETURN(*statement, database_->Prepare(sql));
  }
  return absl::OkStatus();
}

absl::Status SqliteBackend::Load() {
  ASSIGN_OR_RETURN(SqlStatement id,
                   database_->Prepare("SELECT value FROM store WHERE name = 'store_id'"));
  ASSIGN_OR_RETURN(const bool has_id, id.Step());
  if (!has_id) return absl::DataLossError(absl::StrCat(options_.path, " has no store_id"));
  store_id_ = std::string(id.Text(0));
  ASSIGN_OR_RETURN(SqlStatement writers, database_->Prepare("SELECT * FROM writers"));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, writers.Step());
    if (!row) break;
    ledger_.LoadWriter(std::string(writers.Text(0)), static_cast<uint64_t>(writers.Int(1)));
  }
  ASSIGN_OR_RETURN(SqlStatement lanes, database_->Prepare("SELECT * FROM lanes"));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, lanes.Step());
    if (!row) break;
    LaneState state;
    state.durable = static_cast<uint64_t>(lanes.Int(3));
    state.totals.stored = static_cast<uint64_t>(lanes.Int(4));
    state.totals.duplicate = static_cast<uint64_t>(lanes.Int(5));
    state.totals.lost = static_cast<uint64_t>(lanes.Int(6));
    state.totals.rejected = RejectedFromJson(lanes.Text(7));
    ledger_.LoadLane({std::string(lanes.Text(0)), static_cast<uint64_t>(lanes.Int(1)),
                      static_cast<uint32_t>(lanes.Int(2))},
                     std::move(state));
  }
  return absl::OkStatus();
}

absl::Status SqliteBackend::Fence(const std::string& writer, uint64_t incarnation) {
  Commit();
  ASSIGN_OR_RETURN(SqlStatement raise,
                   database_->Prepare("INSERT INTO writers VALUES(?1, ?2) "
                                      "ON CONFLICT(writer) DO UPDATE SET incarnation = ?2"));
  // Outside of a transaction: committed, and synced, when it returns.
  RETURN_IF_ERROR(raise.Bind(1, writer).Bind(2, static_cast<int64_t>(incarnation)).Run());
  ledger_.LoadWriter(writer, incarnation);
  return absl::OkStatus();
}

void SqliteBackend::OpenLane(const LaneKey& lane, uint64_t incarnation, OpenedLane opened) {
  Commit();
  ledger_.Lane(lane).incarnation = incarnation;
  opened(std::make_unique<SqliteLaneWriter>(writing_, ledger_.Lane(lane)));
}

void SqliteBackend::Commit() {
  if (!writing_.in_transaction && !ledger_.dirty() && written_.empty()) return;
  const absl::Status status = CommitLanes();
  if (!status.ok()) return Fail(status);
  auto written = std::exchange(written_, {});
  for (auto& [done, response] : written) done(std::move(response));
  ledger_.Committed(*observer_);
}

absl::Status SqliteBackend::CommitLanes() {
  RETURN_IF_ERROR(writing_.Begin());
  absl::Status status = writing_.failure;
  ledger_.ForEachDirty([&](const LaneKey& lane, LaneLedger::Entry& entry) {
    if (status.ok()) status = CommitLane(lane, entry);
  });
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(database_->Execute("COMMIT"));
  writing_.in_transaction = false;
  committed_samples_ = writing_.samples;
  return absl::OkStatus();
}

absl::Status SqliteBackend::CommitLane(const LaneKey& lane, LaneLedger::Entry& entry) {
  const auto i64 = [](uint64_t n) { return static_cast<int64_t>(n); };
  for (SqlStatement* statement : {&add_lane_, &save_lane_}) {
    statement->Bind(1, lane.writer).Bind(2, i64(lane.epoch)).Bind(3, int64_t{lane.lane});
  }
  if (!entry.known) RETURN_IF_ERROR(add_lane_.Run());
  const LaneTotals& totals = entry.taken.totals;
  const std::string rejected = RejectedToJson(totals.rejected);
  save_lane_.Bind(4, i64(entry.taken.durable)).Bind(5, i64(totals.stored));
  save_lane_.Bind(6, i64(totals.duplicate)).Bind(7, i64(totals.lost)).Bind(8, rejected);
  save_lane_.Bind(9, i64(entry.durable.durable)).Bind(10, i64(entry.incarnation));
  RETURN_IF_ERROR(save_lane_.Run());
  if (database_->changes() == 1) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("lane ", lane.lane, " of ", lane.writer, " was changed by somebody else"));
}

void SqliteBackend::Fail(const absl::Status& status) {
  // SQLite may have rolled back by itself.
  (void)database_->Execute("ROLLBACK");
  writing_.in_transaction = false;
  writing_.failure = absl::OkStatus();
  writing_.samples = committed_samples_;
  catalog_->OnRollback();
  ledger_.RolledBack();
  auto written = std::exchange(written_, {});
  for (auto& [done, response] : written) done(absl::UnavailableError(status.message()));
  observer_->OnFailed(status);
}

void SqliteBackend::Write(const storage::v1::WriteRequest& request, Written done) {
  storage::v1::WriteResponse response;
  absl::Status status = writing_.Begin();
  for (int i = 0; status.ok() && i < request.samples_size(); ++i) {
    status = WriteSample(request.samples(i), static_cast<uint32_t>(i), request.tenant(), response);
  }
  if (!status.ok() && writing_.failure.ok()) writing_.failure = status;
  written_.emplace_back(std::move(done), std::move(response));
}

absl::Status SqliteBackend::WriteSample(const storage::v1::Sample& sample, uint32_t index,
                                        const std::string& tenant,
                                        storage::v1::WriteResponse& response) {
  const auto reject = [&](storage::v1::Reject::Code code, const char* detail) {
    storage::v1::PlainReject& added = *response.add_rejects();
    added.set_index(index);
    added.set_code(code);
    added.set_detail(detail);
    return absl::OkStatus();
  };
  std::vector<Label> given;
  for (const auto& [name, value] : sample.labels()) given.push_back({name, value});
  LabelsBuilder builder;
  builder.Reset(std::move(given));
  const Labels labels = std::move(builder).Build();
  if (labels.Get(kMetricName).empty()) {
    return reject(storage::v1::Reject::INVALID_LABELS, "no __name__");
  }
  if (sample.has_histogram()) {
    return reject(storage::v1::Reject::UNSUPPORTED_TYPE, "this store keeps no native histograms");
  }
  ASSIGN_OR_RETURN(const int64_t target, catalog_->TargetRow(tenant, "{}", "{}"));
  ASSIGN_OR_RETURN(const int64_t key,
                   catalog_->KeyRow(labels.Get(kMetricName), JsonLabels(labels), true));
  const int64_t time_ms =
      sample.timestamp_ms() != 0 ? sample.timestamp_ms() : absl::ToUnixMillis(loop_.clock().Now());
  const double value = sample.stale() ? StaleMarker() : sample.value();
  ASSIGN_OR_RETURN(const bool added, writing_.AddTimed(key, target, time_ms, value));
  added ? response.set_stored(response.stored() + 1)
        : response.set_duplicate(response.duplicate() + 1);
  return absl::OkStatus();
}

bool SqliteBackend::Maintain() {
  absl::StatusOr<bool> more = Retain();
  if (!more.ok()) {
    LogWarn("retention failed", {{"path", options_.path}, {"err", more.status()}});
    return false;
  }
  return *more;
}

// Deletes what is too old, or too much, until the step's time is over.
absl::StatusOr<bool> SqliteBackend::Retain() {
  const absl::Duration end = loop_.clock().Steady() + kMaintainStep;
  const int64_t oldest_ms = options_.retention_time > absl::ZeroDuration()
                                ? absl::ToUnixMillis(loop_.clock().Now() - options_.retention_time)
                                : INT64_MIN;
  RETURN_IF_ERROR(writing_.Begin());
  bool deleted = false;
  do {
    ASSIGN_OR_RETURN(const int64_t pages, database_->QueryInt("PRAGMA page_count"));
    ASSIGN_OR_RETURN(const int64_t unused, database_->QueryInt("PRAGMA freelist_count"));
    ASSIGN_OR_RETURN(const int64_t page_size, database_->QueryInt("PRAGMA page_size"));
    const uint64_t used = static_cast<uint64_t>((pages - unused) * page_size);
    const bool too_large = options_.retention_bytes > 0 && used > options_.retention_bytes;
    ASSIGN_OR_RETURN(deleted, DeleteOldest(too_large ? INT64_MAX : oldest_ms));
  } while (deleted && loop_.clock().Steady() < end);
  bool more = deleted;
  if (!deleted) {
    const auto over = [&] { return loop_.clock().Steady() >= end; };
    ASSIGN_OR_RETURN(more, catalog_->CollectLayouts(kLayoutsAStep, over));
  }
  Commit();
  return more;
}

absl::StatusOr<bool> SqliteBackend::DeleteOldest(int64_t before_ms) {
  if (before_ms == INT64_MIN) return false;
  RETURN_IF_ERROR(drop_scrapes_.Bind(1, before_ms).Run());
  bool deleted = database_->changes() > 0;
  RETURN_IF_ERROR(drop_timed_.Bind(1, before_ms).Run());
  deleted |= database_->changes() > 0;
  return deleted;
}

StoreStats SqliteBackend::Stats() {
  StoreStats stats;
  stats.samples = committed_samples_;
  stats.location = options_.path;
  for (const auto& [lane, state] : ledger_.Lanes()) stats.samples_total += state.totals.stored;
  const auto count = [&](std::string_view sql) {
    return static_cast<uint64_t>(database_->QueryInt(sql).value_or(0));
  };
  stats.targets = count("SELECT count(DISTINCT target) FROM target_layouts");
  stats.series = count(
      "SELECT count(*) FROM (SELECT DISTINCT tl.target, lk.key FROM target_layouts tl "
      "JOIN layout_keys lk ON lk.layout = tl.layout "
      "UNION SELECT target, key FROM timed_samples)");
  return stats;
}

}  // namespace

StoreBackendFactory SqliteBackendFactory(SqliteOptions options, FileSystem& fs) {
  return [options = std::move(options), &fs](EventLoop& loop) {
    return SqliteBackend::Open(options, fs, loop);
  };
}

}  // namespace trawl

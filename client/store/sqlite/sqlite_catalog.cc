#include "client/store/sqlite/sqlite_catalog.h"

#include <algorithm>
#include <utility>

#include "core/base/hash.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

std::string PackKeys(const std::vector<int64_t>& keys) {
  std::string packed;
  packed.reserve(keys.size() * 4);
  for (const int64_t key : keys) {
    for (int shift = 0; shift < 32; shift += 8) {
      packed += static_cast<char>(static_cast<uint64_t>(key) >> shift);
    }
  }
  return packed;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteCatalog>> SqliteCatalog::Open(SqlDatabase& database) {
  std::unique_ptr<SqliteCatalog> catalog(new SqliteCatalog(database));
  RETURN_IF_ERROR(catalog->PrepareAll());
  return catalog;
}

absl::Status SqliteCatalog::PrepareAll() {
  const std::pair<SqlStatement*, const char*> statements[] = {
      {&find_target_, "SELECT id FROM targets WHERE labels = ? AND external = ? AND tenant = ?"},
      {&add_target_, "INSERT INTO targets(labels, external, tenant) VALUES(?, ?, ?)"},
      {&find_key_, "SELECT id FROM keys WHERE metric = ? AND labels = ? AND complete = ?"},
      {&add_key_, "INSERT INTO keys(metric, labels, complete) VALUES(?, ?, ?)"},
      {&find_layout_, "SELECT id FROM layouts WHERE hash = ? AND keys = ?"},
      {&add_layout_, "INSERT INTO layouts(hash, keys) VALUES(?, ?)"},
      {&add_layout_key_, "INSERT INTO layout_keys(key, layout, position) VALUES(?, ?, ?)"},
      {&add_target_layout_, "INSERT OR IGNORE INTO target_layouts(target, layout) VALUES(?, ?)"},
      {&last_time_,
       "SELECT max((SELECT max(time_ms) FROM scrapes s WHERE s.layout = tl.layout AND "
       "s.target = tl.target)) FROM target_layouts tl WHERE tl.target = ?"},
      {&next_layouts_, "SELECT id FROM layouts WHERE id > ? ORDER BY id LIMIT ?"},
      {&layout_used_, "SELECT 1 FROM scrapes WHERE layout = ? LIMIT 1"},
      {&drop_layout_, "DELETE FROM layouts WHERE id = ?"},
  };
  for (const auto& [statement, sql] : statements) {
    ASSIGN_OR_RETURN(*statement, database_.Prepare(sql));
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> SqliteCatalog::TargetRow(std::string_view tenant, std::string_view labels,
                                                 std::string_view external) {
  for (SqlStatement* statement : {&find_target_, &add_target_}) {
    statement->Bind(1, labels).Bind(2, external).Bind(3, tenant);
  }
  ASSIGN_OR_RETURN(const bool found, find_target_.Step());
  const int64_t row = found ? find_target_.Int(0) : 0;
  find_target_.Reset();
  if (found) return row;
  RETURN_IF_ERROR(add_target_.Run());
  return database_.last_insert_id();
}

absl::StatusOr<int64_t> SqliteCatalog::KeyRow(std::string_view metric, std::string_view labels,
                                              bool complete) {
  for (SqlStatement* statement : {&find_key_, &add_key_}) {
    statement->Bind(1, metric).Bind(2, labels).Bind(3, int64_t{complete});
  }
  ASSIGN_OR_RETURN(const bool found, find_key_.Step());
  const int64_t row = found ? find_key_.Int(0) : 0;
  find_key_.Reset();
  if (found) return row;
  RETURN_IF_ERROR(add_key_.Run());
  const int64_t added = database_.last_insert_id();
  if (added <= INT32_MAX) return added;
  return absl::ResourceExhaustedError("the file is full of series names");
}

absl::StatusOr<int64_t> SqliteCatalog::LayoutRow(const std::vector<int64_t>& keys) {
  const std::string packed = PackKeys(keys);
  const auto hash = static_cast<int64_t>(XxHash64(packed));
  find_layout_.Bind(1, hash).BindBlob(2, packed);
  ASSIGN_OR_RETURN(const bool found, find_layout_.Step());
  const int64_t row = found ? find_layout_.Int(0) : 0;
  find_layout_.Reset();
  if (found) return row;
  RETURN_IF_ERROR(add_layout_.Bind(1, hash).BindBlob(2, packed).Run());
  const int64_t layout = database_.last_insert_id();
  RETURN_IF_ERROR(AddLayoutKeys(layout, keys));
  return layout;
}

absl::Status SqliteCatalog::AddLayoutKeys(int64_t layout, const std::vector<int64_t>& keys) {
  for (size_t position = 0; position < keys.size(); ++position) {
    add_layout_key_.Bind(1, keys[position]).Bind(2, layout);
    RETURN_IF_ERROR(add_layout_key_.Bind(3, static_cast<int64_t>(position)).Run());
  }
  return absl::OkStatus();
}

absl::Status SqliteCatalog::AddTargetLayout(int64_t target, int64_t layout) {
  return add_target_layout_.Bind(1, target).Bind(2, layout).Run();
}

absl::StatusOr<std::optional<int64_t>> SqliteCatalog::LastTime(int64_t target) {
  const auto found = last_times_.find(target);
  if (found != last_times_.end()) return found->second;
  ASSIGN_OR_RETURN(const bool row, last_time_.Bind(1, target).Step());
  std::optional<int64_t> last;
  if (row && !last_time_.IsNull(0)) last = last_time_.Int(0);
  last_time_.Reset();
  if (last.has_value()) last_times_[target] = *last;
  return last;
}

void SqliteCatalog::Saw(int64_t target, int64_t time_ms) {
  // A new entry would hide what the file has: LastTime makes it.
  const auto found = last_times_.find(target);
  if (found != last_times_.end()) found->second = std::max(found->second, time_ms);
}

void SqliteCatalog::UnrefLayout(int64_t layout) {
  const auto found = layout_refs_.find(layout);
  if (found != layout_refs_.end() && --found->second == 0) layout_refs_.erase(found);
}

absl::Status SqliteCatalog::CollectLayouts(int64_t limit) {
  std::vector<int64_t> layouts;
  next_layouts_.Bind(1, collected_up_to_).Bind(2, limit);
  while (true) {
    ASSIGN_OR_RETURN(const bool row, next_layouts_.Step());
    if (!row) break;
    layouts.push_back(next_layouts_.Int(0));
  }
  collected_up_to_ = layouts.empty() ? 0 : layouts.back();
  for (const int64_t layout : layouts) {
    if (layout_refs_.contains(layout)) continue;
    layout_used_.Bind(1, layout);
    ASSIGN_OR_RETURN(const bool used, layout_used_.Step());
    layout_used_.Reset();
    if (!used) RETURN_IF_ERROR(drop_layout_.Bind(1, layout).Run());
  }
  return absl::OkStatus();
}

absl::Status SqliteCatalog::CollectKeysAndTargets() {
  return database_.Execute(
      "DELETE FROM layout_keys WHERE layout NOT IN (SELECT id FROM layouts);"
      "DELETE FROM target_layouts WHERE layout NOT IN (SELECT id FROM layouts);"
      "DELETE FROM keys WHERE NOT EXISTS (SELECT 1 FROM layout_keys WHERE key = keys.id)"
      " AND NOT EXISTS (SELECT 1 FROM timed_samples WHERE key = keys.id);"
      "DELETE FROM targets WHERE NOT EXISTS (SELECT 1 FROM target_layouts WHERE target = "
      "targets.id)"
      " AND NOT EXISTS (SELECT 1 FROM timed_samples ts WHERE ts.target = targets.id);");
}

}  // namespace trawl

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

// Each once.
std::vector<int64_t> UnpackKeys(std::string_view packed) {
  std::vector<int64_t> keys;
  for (size_t at = 0; at + 4 <= packed.size(); at += 4) {
    uint64_t key = 0;
    for (size_t i = 0; i < 4; ++i) {
      key |= uint64_t{static_cast<unsigned char>(packed[at + i])} << (8 * i);
    }
    keys.push_back(static_cast<int64_t>(key));
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
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
      {&layout_keys_, "SELECT keys FROM layouts WHERE id = ?"},
      {&drop_layout_, "DELETE FROM layouts WHERE id = ?"},
      {&drop_layout_key_, "DELETE FROM layout_keys WHERE key = ? AND layout = ?"},
      {&drop_key_,
       "DELETE FROM keys WHERE id = ? AND NOT EXISTS (SELECT 1 FROM layout_keys WHERE key = "
       "keys.id)"
       " AND NOT EXISTS (SELECT 1 FROM timed_samples WHERE key = keys.id)"},
      {&layout_targets_, "SELECT target FROM target_layouts WHERE layout = ?"},
      {&drop_target_layouts_, "DELETE FROM target_layouts WHERE layout = ?"},
      // Samples with their own time are not found by target: where there are any, targets stay.
      {&drop_target_,
       "DELETE FROM targets WHERE id = ? AND NOT EXISTS (SELECT 1 FROM target_layouts WHERE target "
       "= targets.id) AND NOT EXISTS (SELECT 1 FROM timed_samples)"},
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

void SqliteCatalog::Unref(Refs& refs, int64_t row) {
  const auto found = refs.find(row);
  if (found != refs.end() && --found->second == 0) refs.erase(found);
}

absl::StatusOr<std::vector<int64_t>> SqliteCatalog::NextLayouts(int64_t limit) {
  std::vector<int64_t> layouts;
  next_layouts_.Bind(1, collected_up_to_).Bind(2, limit);
  while (true) {
    ASSIGN_OR_RETURN(const bool row, next_layouts_.Step());
    if (!row) return layouts;
    layouts.push_back(next_layouts_.Int(0));
  }
}

absl::StatusOr<bool> SqliteCatalog::Has(SqlStatement& statement, int64_t row) {
  ASSIGN_OR_RETURN(const bool has, statement.Bind(1, row).Step());
  statement.Reset();
  return has;
}

absl::StatusOr<bool> SqliteCatalog::CollectLayouts(int64_t limit, absl::FunctionRef<bool()> over) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> layouts, NextLayouts(limit));
  if (layouts.empty()) collected_up_to_ = 0;
  for (const int64_t layout : layouts) {
    if (over()) return true;
    collected_up_to_ = layout;
    if (layout_refs_.contains(layout)) continue;
    ASSIGN_OR_RETURN(const bool used, Has(layout_used_, layout));
    if (!used) RETURN_IF_ERROR(DropLayout(layout));
  }
  return false;
}

absl::Status SqliteCatalog::DropLayout(int64_t layout) {
  ASSIGN_OR_RETURN(const bool found, layout_keys_.Bind(1, layout).Step());
  const std::vector<int64_t> keys =
      found ? UnpackKeys(layout_keys_.Text(0)) : std::vector<int64_t>();
  layout_keys_.Reset();
  RETURN_IF_ERROR(drop_layout_.Bind(1, layout).Run());
  RETURN_IF_ERROR(DropKeysOf(layout, keys));
  return DropTargetsOf(layout);
}

absl::Status SqliteCatalog::DropKeysOf(int64_t layout, const std::vector<int64_t>& keys) {
  for (const int64_t key : keys) {
    RETURN_IF_ERROR(drop_layout_key_.Bind(1, key).Bind(2, layout).Run());
    if (!key_refs_.contains(key)) RETURN_IF_ERROR(drop_key_.Bind(1, key).Run());
  }
  return absl::OkStatus();
}

// No stream writes to a target without one of its layouts.
absl::Status SqliteCatalog::DropTargetsOf(int64_t layout) {
  std::vector<int64_t> targets;
  layout_targets_.Bind(1, layout);
  while (true) {
    ASSIGN_OR_RETURN(const bool row, layout_targets_.Step());
    if (!row) break;
    targets.push_back(layout_targets_.Int(0));
  }
  RETURN_IF_ERROR(drop_target_layouts_.Bind(1, layout).Run());
  for (const int64_t target : targets) {
    RETURN_IF_ERROR(drop_target_.Bind(1, target).Run());
    if (database_.changes() > 0) last_times_.erase(target);
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

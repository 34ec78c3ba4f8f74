#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/store/sqlite/database.h"
#include "core/append/record_decoder.h"

namespace trawl {

// The targets, keys and layouts of a SQLite file: finds the row of equal content, or adds it.
// Rows that were handed out in a transaction that is rolled back must not be used again.
// Not thread-safe.
class SqliteCatalog {
 public:
  static absl::StatusOr<std::unique_ptr<SqliteCatalog>> Open(SqlDatabase& database);

  absl::StatusOr<int64_t> TargetRow(std::string_view tenant, std::string_view labels,
                                    std::string_view external);
  absl::StatusOr<int64_t> KeyRow(std::string_view metric, std::string_view labels, bool complete);
  // `keys` are key rows, in order.
  absl::StatusOr<int64_t> LayoutRow(const std::vector<int64_t>& keys);
  absl::Status AddTargetLayout(int64_t target, int64_t layout);

  // Time of the target's newest scrape; nullopt: it has none. Looked up once, then kept by Saw.
  absl::StatusOr<std::optional<int64_t>> LastTime(int64_t target);
  void Saw(int64_t target, int64_t time_ms);

  // A layout or key that a stream has the row of is not collected.
  void RefLayout(int64_t layout) { ++layout_refs_[layout]; }
  void UnrefLayout(int64_t layout) { Unref(layout_refs_, layout); }
  void RefKey(int64_t key) { ++key_refs_[key]; }
  void UnrefKey(int64_t key) { Unref(key_refs_, key); }

  // The transaction was rolled back.
  void OnRollback() { last_times_.clear(); }

  // Of the next `limit` layouts removes those that no scrape has and no stream writes to, and the
  // keys and targets that nothing else has. Stops when `over` says so; then there is more to do.
  absl::StatusOr<bool> CollectLayouts(int64_t limit, absl::FunctionRef<bool()> over);
  // Keys and targets of which collecting never heard. Only while no stream is open.
  absl::Status CollectKeysAndTargets();

 private:
  using Refs = absl::flat_hash_map<int64_t, int>;  // by row

  static void Unref(Refs& refs, int64_t row);
  absl::StatusOr<std::vector<int64_t>> NextLayouts(int64_t limit);
  absl::StatusOr<bool> Has(SqlStatement& statement, int64_t row);
  absl::Status DropLayout(int64_t layout);
  absl::Status DropKeysOf(int64_t layout, const std::vector<int64_t>& keys);
  absl::Status DropTargetsOf(int64_t layout);
  explicit SqliteCatalog(SqlDatabase& database) : database_(database) {}
  absl::Status PrepareAll();
  absl::Status AddLayoutKeys(int64_t layout, const std::vector<int64_t>& keys);

  SqlDatabase& database_;
  SqlStatement find_target_, add_target_;
  SqlStatement find_key_, add_key_;
  SqlStatement find_layout_, add_layout_, add_layout_key_, add_target_layout_;
  SqlStatement last_time_;
  SqlStatement next_layouts_, layout_used_, layout_keys_, drop_layout_;
  SqlStatement drop_layout_key_, drop_key_;
  SqlStatement layout_targets_, drop_target_layouts_, drop_target_;
  absl::flat_hash_map<int64_t, int64_t> last_times_;  // by target
  Refs layout_refs_;
  Refs key_refs_;
  int64_t collected_up_to_ = 0;  // layout row
};

}  // namespace trawl

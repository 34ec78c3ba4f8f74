#include "server/target_list.h"

#include <algorithm>
#include <list>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "server/page_token.h"
#include "server/status_conversions.h"
#include "server/target_filter.h"

namespace trawl {
namespace {

namespace pb = status::v1;

// Everything that the request asks for, in order. The rows look into the snapshot, and into
// lists of this object's.
class RowList {
 public:
  RowList(const PoolsSnapshot& pools, const TargetFilter& filter) : filter_(filter) {
    auto pending = pools.pending.begin();
    for (const auto& pool : pools.pools) {
      for (; pending != pools.pending.end() && (*pending)->job < pool->job; ++pending) {
        AddPending(**pending);
      }
      AddPool(*pool);
    }
    for (; pending != pools.pending.end(); ++pending) AddPending(**pending);
  }

  const std::vector<TargetRow>& rows() const { return rows_; }

 private:
  void AddPending(const DesiredTargets& job) {
    if (filter_.TakesJob(job.job)) AddDropped(ListPending(job));
  }

  void AddPool(const PoolStatus& pool) {
    if (!filter_.TakesJob(pool.job)) return;
    AddDropped(ListDropped(pool));
    for (const auto& target : pool.active.ByUrl()) {
      Add({pool.job, target->target->url, target->target->hash, 0, &pool, target.get(), nullptr});
    }
  }

  // They have no URL: they come first.
  void AddDropped(std::vector<DroppedTarget> dropped) {
    std::ranges::stable_sort(dropped, {}, &DroppedTarget::hash);
    dropped_.push_back(std::move(dropped));
    const DroppedTarget* before = nullptr;
    uint64_t ordinal = 0;
    for (const DroppedTarget& target : dropped_.back()) {
      ordinal = before != nullptr && before->hash == target.hash ? ordinal + 1 : 0;
      before = &target;
      Add({target.job, "", target.hash, ordinal, nullptr, nullptr, &target});
    }
  }

  void Add(const TargetRow& row) {
    if (filter_.Takes(row)) rows_.push_back(row);
  }

  const TargetFilter& filter_;
  std::list<std::vector<DroppedTarget>> dropped_;
  std::vector<TargetRow> rows_;
};

// Says of the active targets among these rows which of them share their labels with another.
void MarkSharedLabels(std::span<const TargetRow> rows, pb::ListTargetsResponse& response) {
  for (size_t begin = 0; begin < rows.size();) {
    const PoolStatus* pool = rows[begin].pool;
    size_t end = begin;
    absl::flat_hash_set<uint64_t> hashes;
    for (; end < rows.size() && rows[end].pool == pool; ++end) {
      if (pool != nullptr) hashes.insert(rows[end].active->target->public_hash);
    }
    if (pool != nullptr) hashes = SharedLabels(*pool, hashes);
    for (; begin < end; ++begin) {
      if (pool == nullptr || !hashes.contains(rows[begin].active->target->public_hash)) continue;
      response.mutable_targets(static_cast<int>(begin))->set_labels_shared(true);
    }
  }
}

// The first row behind the token's.
absl::StatusOr<size_t> FirstOf(const std::string& token, const std::vector<TargetRow>& rows) {
  if (token.empty()) return 0;
  const auto key = ParsePageToken(token, 4);
  uint64_t hash = 0;
  uint64_t ordinal = 0;
  if (!key || !absl::SimpleHexAtoi((*key)[2], &hash) || !absl::SimpleAtoi((*key)[3], &ordinal)) {
    return absl::InvalidArgumentError("page_token: not one of this server");
  }
  const TargetRow last{(*key)[0], (*key)[1], hash, ordinal};
  const auto it =
      std::upper_bound(rows.begin(), rows.end(), last,
                       [](const TargetRow& a, const TargetRow& b) { return a.Key() < b.Key(); });
  return static_cast<size_t>(it - rows.begin());
}

}  // namespace

absl::StatusOr<pb::ListTargetsResponse> ListTargets(const PoolsSnapshot& pools,
                                                    const pb::ListTargetsRequest& request) {
  ASSIGN_OR_RETURN(const TargetFilter filter, TargetFilter::Make(request));
  const RowList list(pools, filter);
  const std::vector<TargetRow>& rows = list.rows();
  ASSIGN_OR_RETURN(const size_t first, FirstOf(request.page_token(), rows));
  const size_t last = std::min(rows.size(), first + PageSize(request.page_size()));
  pb::ListTargetsResponse response;
  for (size_t i = first; i < last; ++i) *response.add_targets() = rows[i].ToTarget();
  MarkSharedLabels(std::span(rows).subspan(first, last - first), response);
  if (last < rows.size()) {
    const TargetRow& row = rows[last - 1];
    response.set_next_page_token(
        MakePageToken({row.job, row.url, TargetId(row.hash), absl::StrCat(row.ordinal)}));
  }
  response.set_total_size(rows.size());
  return response;
}

}  // namespace trawl

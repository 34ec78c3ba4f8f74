#include "server/target_list.h"

#include <algorithm>
#include <list>
#include <optional>
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
#include "server/label_matcher.h"
#include "server/page_token.h"
#include "server/status_conversions.h"

namespace trawl {
namespace {

namespace pb = status::v1;

// A target of the snapshot, active or dropped.
struct Row {
  std::string_view job;
  std::string_view url;
  uint64_t hash = 0;
  // Equal targets of one job: two groups may name the same dropped one.
  uint64_t ordinal = 0;
  const PoolStatus* pool = nullptr;      // of active ones
  const ActiveTarget* active = nullptr;  // null: dropped
  const DroppedTarget* dropped = nullptr;

  auto Key() const { return std::tie(job, url, hash, ordinal); }
  Labels discovered() const {
    return active != nullptr ? DiscoveredLabels(*pool, *active) : dropped->discovered_labels();
  }
  bool HasSource(std::string_view source) const {
    if (active == nullptr) return dropped->source == source;
    return std::ranges::any_of(
        active->owners, [&](const TargetOwner& owner) { return owner.group->source == source; });
  }
  pb::Target ToTarget() const {
    return active != nullptr ? ToProto(*pool, *active) : ToProto(*dropped);
  }
};

class Filter {
 public:
  static absl::StatusOr<Filter> Make(const pb::ListTargetsRequest& request) {
    Filter filter(request);
    for (const std::string& text : request.matchers()) {
      ASSIGN_OR_RETURN(LabelMatcher matcher, LabelMatcher::Parse(text));
      filter.matchers_.push_back(std::move(matcher));
    }
    return filter;
  }

  bool TakesJob(const std::string& job) const {
    return request_->job().empty() || request_->job() == job;
  }
  bool Takes(const Row& row) const {
    return TakesState(row) && TakesSource(row) && TakesLabels(row) && TakesHealth(row);
  }

 private:
  explicit Filter(const pb::ListTargetsRequest& request) : request_(&request) {}

  bool TakesState(const Row& row) const {
    if (request_->state() == pb::Target::STATE_UNSPECIFIED) return true;
    return (request_->state() == pb::Target::ACTIVE) == (row.active != nullptr);
  }
  bool TakesSource(const Row& row) const {
    return request_->source().empty() || row.HasSource(request_->source());
  }
  bool TakesLabels(const Row& row) const {
    if (matchers_.empty()) return true;
    std::optional<Labels> discovered;  // made only if one asks
    return std::ranges::all_of(matchers_, [&](const LabelMatcher& matcher) {
      if (row.active != nullptr && !matcher.name().starts_with("__")) {
        return matcher.Matches(row.active->target->labels->Get(matcher.name()));
      }
      if (!discovered) discovered = row.discovered();
      return matcher.Matches(discovered->Get(matcher.name()));
    });
  }
  bool TakesHealth(const Row& row) const {
    if (request_->health() == pb::Target::HEALTH_UNSPECIFIED) return true;
    if (row.active == nullptr) return false;
    switch (row.active->status->Get().health) {
      case TargetHealth::kUnknown:
        return request_->health() == pb::Target::UNKNOWN;
      case TargetHealth::kUp:
        return request_->health() == pb::Target::UP;
      case TargetHealth::kDown:
        return request_->health() == pb::Target::DOWN;
    }
    return false;
  }

  const pb::ListTargetsRequest* request_;
  std::vector<LabelMatcher> matchers_;
};

// Everything that the request asks for, in order. The rows look into the snapshot, and into
// lists of this object's.
class RowList {
 public:
  RowList(const PoolsSnapshot& pools, const Filter& filter) : filter_(filter) {
    auto pending = pools.pending.begin();
    for (const auto& pool : pools.pools) {
      for (; pending != pools.pending.end() && (*pending)->job < pool->job; ++pending) {
        AddPending(**pending);
      }
      AddPool(*pool);
    }
    for (; pending != pools.pending.end(); ++pending) AddPending(**pending);
  }

  const std::vector<Row>& rows() const { return rows_; }

 private:
  void AddPending(const DesiredTargets& job) {
    if (filter_.TakesJob(job.job)) AddDropped(ListPending(job));
  }

  void AddPool(const PoolStatus& pool) {
    if (!filter_.TakesJob(pool.job)) return;
    AddDropped(ListDropped(pool));
    for (const auto& target : pool.active) {  // in order
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

  void Add(const Row& row) {
    if (filter_.Takes(row)) rows_.push_back(row);
  }

  const Filter& filter_;
  std::list<std::vector<DroppedTarget>> dropped_;
  std::vector<Row> rows_;
};

// Says of the active targets among these rows which of them share their labels with another.
void MarkSharedLabels(std::span<const Row> rows, pb::ListTargetsResponse& response) {
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
absl::StatusOr<size_t> FirstOf(const std::string& token, const std::vector<Row>& rows) {
  if (token.empty()) return 0;
  const auto key = ParsePageToken(token, 4);
  uint64_t hash = 0;
  uint64_t ordinal = 0;
  if (!key || !absl::SimpleHexAtoi((*key)[2], &hash) || !absl::SimpleAtoi((*key)[3], &ordinal)) {
    return absl::InvalidArgumentError("page_token: not one of this server");
  }
  const Row last{(*key)[0], (*key)[1], hash, ordinal};
  const auto it = std::upper_bound(rows.begin(), rows.end(), last,
                                   [](const Row& a, const Row& b) { return a.Key() < b.Key(); });
  return static_cast<size_t>(it - rows.begin());
}

}  // namespace

absl::StatusOr<pb::ListTargetsResponse> ListTargets(const PoolsSnapshot& pools,
                                                    const pb::ListTargetsRequest& request) {
  ASSIGN_OR_RETURN(const Filter filter, Filter::Make(request));
  const RowList list(pools, filter);
  const std::vector<Row>& rows = list.rows();
  ASSIGN_OR_RETURN(const size_t first, FirstOf(request.page_token(), rows));
  const size_t last = std::min(rows.size(), first + PageSize(request.page_size()));
  pb::ListTargetsResponse response;
  for (size_t i = first; i < last; ++i) *response.add_targets() = rows[i].ToTarget();
  MarkSharedLabels(std::span(rows).subspan(first, last - first), response);
  if (last < rows.size()) {
    const Row& row = rows[last - 1];
    response.set_next_page_token(
        MakePageToken({row.job, row.url, TargetId(row.hash), absl::StrCat(row.ordinal)}));
  }
  response.set_total_size(rows.size());
  return response;
}

}  // namespace trawl

#include "server/target_list.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "server/label_matcher.h"
#include "server/page_token.h"
#include "server/status_conversions.h"

namespace trawl {
namespace {

namespace pb = status::v1;

// A target of the snapshot, whichever list it is of.
struct Row {
  std::string_view job;
  std::string_view url;
  std::string id;
  // Equal targets of one job: two groups may name the same dropped one.
  uint64_t ordinal = 0;
  const ActiveTarget* active = nullptr;
  const DroppedTarget* dropped = nullptr;
  const FailedTarget* failed = nullptr;

  auto Key() const { return std::tie(job, url, id, ordinal); }
  const Labels& discovered() const {
    if (active != nullptr) return active->discovered_labels;
    return dropped != nullptr ? dropped->discovered_labels : failed->discovered_labels;
  }
  const Labels& labels() const { return active != nullptr ? active->labels : discovered(); }
  const std::vector<std::string>& sources() const {
    if (active != nullptr) return active->sources;
    return dropped != nullptr ? dropped->sources : failed->sources;
  }
  pb::Target ToTarget() const {
    if (active != nullptr) return ToProto(*active);
    return dropped != nullptr ? ToProto(*dropped) : ToProto(std::string(job), *failed);
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
    if (request_->source().empty()) return true;
    const auto& sources = row.sources();
    return std::find(sources.begin(), sources.end(), request_->source()) != sources.end();
  }
  bool TakesLabels(const Row& row) const {
    return std::all_of(matchers_.begin(), matchers_.end(), [&](const LabelMatcher& matcher) {
      const bool hidden = matcher.name().starts_with("__");
      return matcher.Matches((hidden ? row.discovered() : row.labels()).Get(matcher.name()));
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

void AddRows(const PoolStatus& pool, const Filter& filter, std::vector<Row>& rows) {
  const size_t begin = rows.size();
  const auto add = [&](Row row) {
    if (filter.Takes(row)) rows.push_back(std::move(row));
  };
  for (const auto& target : pool.active) {
    add({pool.job, target->url, TargetId(target->hash), 0, target.get(), nullptr, nullptr});
  }
  for (const DroppedTarget& target : pool.dropped) {
    add({pool.job, "", TargetId(target.discovered_labels.Hash()), 0, nullptr, &target, nullptr});
  }
  for (const FailedTarget& target : pool.failed) {
    add({pool.job, "", TargetId(target.discovered_labels.Hash()), 0, nullptr, nullptr, &target});
  }
  const auto by_key = [](const Row& a, const Row& b) { return a.Key() < b.Key(); };
  std::stable_sort(rows.begin() + static_cast<ptrdiff_t>(begin), rows.end(), by_key);
  for (size_t i = begin + 1; i < rows.size(); ++i) {
    const Row& before = rows[i - 1];
    if (rows[i].url == before.url && rows[i].id == before.id) {
      rows[i].ordinal = before.ordinal + 1;
    }
  }
}

// The first row behind the token's.
absl::StatusOr<size_t> FirstOf(const std::string& token, const std::vector<Row>& rows) {
  if (token.empty()) return 0;
  const auto key = ParsePageToken(token, 4);
  uint64_t ordinal = 0;
  if (!key || !absl::SimpleAtoi((*key)[3], &ordinal)) {
    return absl::InvalidArgumentError("page_token: not one of this server");
  }
  const Row last{(*key)[0], (*key)[1], (*key)[2], ordinal};
  const auto it = std::upper_bound(rows.begin(), rows.end(), last,
                                   [](const Row& a, const Row& b) { return a.Key() < b.Key(); });
  return static_cast<size_t>(it - rows.begin());
}

}  // namespace

absl::StatusOr<pb::ListTargetsResponse> ListTargets(const PoolsSnapshot& pools,
                                                    const pb::ListTargetsRequest& request) {
  ASSIGN_OR_RETURN(const Filter filter, Filter::Make(request));
  std::vector<Row> rows;
  for (const auto& pool : pools.pools) {
    if (filter.TakesJob(pool->job)) AddRows(*pool, filter, rows);
  }
  ASSIGN_OR_RETURN(const size_t first, FirstOf(request.page_token(), rows));
  const size_t last = std::min(rows.size(), first + PageSize(request.page_size()));
  pb::ListTargetsResponse response;
  for (size_t i = first; i < last; ++i) *response.add_targets() = rows[i].ToTarget();
  if (last < rows.size()) {
    const Row& row = rows[last - 1];
    response.set_next_page_token(
        MakePageToken({row.job, row.url, row.id, absl::StrCat(row.ordinal)}));
  }
  response.set_total_size(rows.size());
  return response;
}

}  // namespace trawl

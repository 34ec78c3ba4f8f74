#include "server/web/targets_overview.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "core/base/failure_reason.h"
#include "core/scrape/scrape_record.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxDroppedListed = 500;

struct Counts {
  uint64_t up = 0;
  uint64_t down = 0;
  uint64_t unknown = 0;
};

std::string_view NameOf(TargetHealth health) {
  switch (health) {
    case TargetHealth::kUp:
      return "up";
    case TargetHealth::kDown:
      return "down";
    case TargetHealth::kUnknown:
      break;
  }
  return "unknown";
}

Counts CountHealth(const PoolStatus& pool) {
  Counts counts;
  for (const auto& target : pool.active) {
    const TargetHealth health = target->status->health();
    uint64_t& count = health == TargetHealth::kUp     ? counts.up
                      : health == TargetHealth::kDown ? counts.down
                                                      : counts.unknown;
    ++count;
  }
  return counts;
}

// The words of a search; whether a target has them all.
class Search {
 public:
  explicit Search(const std::string& text)
      : words_(absl::StrSplit(absl::AsciiStrToLower(text), ' ', absl::SkipEmpty())) {}

  bool Matches(const ActiveTarget& target) const {
    return std::all_of(words_.begin(), words_.end(),
                       [&](const std::string& word) { return Has(target, word); });
  }

 private:
  static bool Contains(std::string_view text, const std::string& word) {
    return std::search(text.begin(), text.end(), word.begin(), word.end(), [](char a, char b) {
             return absl::ascii_tolower(static_cast<unsigned char>(a)) == b;
           }) != text.end();
  }

  static bool Has(const ActiveTarget& target, const std::string& word) {
    if (Contains(target.target->url, word)) return true;
    for (const Label& label : *target.target->labels) {
      if (Contains(absl::StrCat(label.name, "=\"", label.value, "\""), word)) return true;
    }
    return Contains(target.status->Get().last.error, word);
  }

  const std::vector<std::string> words_;
};

Json LabelsJson(const Labels& labels) {
  Json out = Json::object();
  for (const Label& label : labels) out[label.name] = label.value;
  return out;
}

Json HistoryJson(const TargetStatus& status) {
  Json out = Json::array();
  const std::vector<ScrapeRecord> records = status.History();
  for (auto record = records.rbegin(); record != records.rend(); ++record) {
    out.push_back({absl::ToUnixMillis(record->start), absl::ToDoubleSeconds(record->lateness),
                   absl::ToDoubleSeconds(record->duration),
                   record->reason == FailureReason::kNone ? 1 : 0});
  }
  return out;
}

using Lanes = std::span<const std::shared_ptr<const LaneStatus>>;

Json RejectedJson(const RejectedSamples::Counts& counts) {
  Json out = Json::array();
  for (const auto& [of, samples] : counts) {
    const auto code = static_cast<storage::v1::Reject::Code>(of.second);
    out.push_back({{"sink", of.first},
                   {"code", absl::AsciiStrToLower(storage::v1::Reject::Code_Name(code))},
                   {"samples", samples}});
  }
  return out;
}

std::string IdOf(uint64_t hash) { return absl::StrFormat("%016x", hash); }

Json TargetJson(const std::string& job, const ActiveTarget& active, Lanes lanes) {
  const ScrapeReport report = active.status->Get();
  const bool scraped = report.last.start != absl::InfinitePast();
  Json out = {{"id", IdOf(active.target->hash)},
              {"scrapePool", job},
              {"scrapeUrl", active.target->url},
              {"labels", LabelsJson(*active.target->labels)},
              {"health", NameOf(report.health)},
              {"lastError", report.last.error},
              {"reason",
               report.last.error.empty() ? "" : std::string(FailureReasonName(report.last.reason))},
              {"lastScrape", scraped ? absl::ToUnixMillis(report.last.start) : 0},
              {"duration", absl::ToDoubleSeconds(report.last.duration)},
              {"lateness", absl::ToDoubleSeconds(report.last.lateness)},
              {"samples", report.last.samples_scraped},
              {"history", HistoryJson(*active.status)}};
  if (IsHeld(active)) out["held"] = true;
  const auto rejected = RejectedOf(lanes, active.target->public_hash);
  if (!rejected.empty()) out["rejected"] = RejectedJson(rejected);
  return out;
}

size_t LimitOf(const std::string& job, const OverviewQuery& query) {
  const auto own = query.limit_of.find(job);
  return std::min(own == query.limit_of.end() ? query.limit : own->second, kMaxOverviewLimit);
}

void ListTargets(const PoolStatus& pool, Lanes lanes, const OverviewQuery& query, Json& out) {
  const Search search(query.search);
  const size_t limit = LimitOf(pool.job, query);
  uint64_t matching = 0;
  Json targets = Json::array();
  for (const auto& target : pool.active.ByUrl()) {
    if (query.health && target->status->health() != *query.health) continue;
    if (!search.Matches(*target)) continue;
    if (matching++ < limit) targets.push_back(TargetJson(pool.job, *target, lanes));
  }
  out["matching"] = matching;
  out["targets"] = std::move(targets);
}

Json DroppedJson(const std::vector<DroppedTarget>& dropped) {
  Json list = Json::array();
  for (const DroppedTarget& target : dropped) {
    if (list.size() == kMaxDroppedListed) break;
    list.push_back({{"id", IdOf(target.hash)},
                    {"discoveredLabels", LabelsJson(target.discovered_labels())},
                    {"reason", target.detail()}});
  }
  return list;
}

bool IsOpen(const std::string& job, const OverviewQuery& query, bool open_by_default) {
  return query.open.contains(job) || (open_by_default && !query.closed.contains(job));
}

Json PoolJson(const PoolStatus& pool, Lanes lanes, const OverviewQuery& query,
              bool open_by_default) {
  const Counts counts = CountHealth(pool);
  Json out = {{"job", pool.job},
              {"active", pool.active.size()},
              {"up", counts.up},
              {"down", counts.down},
              {"unknown", counts.unknown},
              {"dropped", pool.dropped_count},
              {"failed", pool.failed_count + pool.withheld_count + pool.duplicate_count},
              {"openByDefault", open_by_default}};
  if (!IsOpen(pool.job, query, open_by_default)) return out;
  ListTargets(pool, lanes, query, out);
  if (query.dropped.contains(pool.job)) out["droppedTargets"] = DroppedJson(ListDropped(pool));
  return out;
}

// Of a job that the configuration does not have: none of its targets is scraped.
Json PendingJson(const DesiredTargets& job, const OverviewQuery& query, bool open_by_default) {
  uint64_t targets = 0;
  for (const OwnedGroup& owned : job.groups) targets += owned.group->targets.size();
  Json out = {{"job", job.job},    {"active", 0},     {"up", 0},
              {"down", 0},         {"unknown", 0},    {"dropped", 0},
              {"failed", targets}, {"pending", true}, {"openByDefault", open_by_default}};
  if (!IsOpen(job.job, query, open_by_default)) return out;
  out["matching"] = 0;
  out["targets"] = Json::array();
  if (query.dropped.contains(job.job)) out["droppedTargets"] = DroppedJson(ListPending(job));
  return out;
}

// By job. What is pending has no rows of its own: it is open where the pool before it is.
Json PoolsJson(const PoolsSnapshot& pools, Lanes lanes, const OverviewQuery& query) {
  Json list = Json::array();
  size_t listed = 0;
  auto pending = pools.pending.begin();
  const auto add_pending = [&](const std::string* before) {
    for (; pending != pools.pending.end(); ++pending) {
      if (before != nullptr && (*pending)->job > *before) return;
      list.push_back(PendingJson(**pending, query, listed <= query.open_up_to));
    }
  };
  for (const auto& pool : pools.pools) {
    add_pending(&pool->job);
    listed += std::min(pool->active.size(), query.limit);
    list.push_back(PoolJson(*pool, lanes, query, listed <= query.open_up_to));
  }
  add_pending(nullptr);
  return list;
}

}  // namespace

std::string TargetsOverviewJson(const PoolsSnapshot& pools, Lanes lanes, const OverviewQuery& query,
                                absl::Time now) {
  const Json answer = {
      {"status", "success"},
      {"data", {{"now", absl::ToUnixMillis(now)}, {"pools", PoolsJson(pools, lanes, query)}}}};
  // What a target's labels hold need not be UTF-8.
  return answer.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace trawl

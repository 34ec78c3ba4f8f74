#include "server/target_ref.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/text.h"
#include "server/status_conversions.h"

namespace trawl {
namespace {

constexpr size_t kMaxListed = 10;

// Collects what a reference fits.
class Search {
 public:
  explicit Search(const status::v1::TargetRef& ref) : ref_(ref) {}

  void Pool(const std::shared_ptr<const PoolStatus>& pool) {
    if (!TakesJob(pool->job)) return;
    const size_t before = found_.size();
    for (const std::shared_ptr<const ActiveTarget>& target : pool->active) {
      if (Fits(*target->target)) found_.push_back({pool, nullptr, target, std::nullopt});
    }
    if (found_.size() == before) Dropped(ListDropped(*pool), {pool, nullptr, nullptr, {}});
  }
  void Pending(const std::shared_ptr<const DesiredTargets>& job) {
    if (TakesJob(job->job)) Dropped(ListPending(*job), {nullptr, job, nullptr, {}});
  }

  const std::vector<FoundTarget>& found() const { return found_; }

 private:
  bool TakesJob(std::string_view job) const { return ref_.job().empty() || ref_.job() == job; }
  bool Fits(const Target& target) const {
    return ref_.id().empty() ? target.url == ref_.scrape_url() : TargetId(target.hash) == ref_.id();
  }
  // Equal dropped targets have one id: the first stands for them.
  void Dropped(const std::vector<DroppedTarget>& targets, FoundTarget found) {
    if (ref_.id().empty()) return;
    const auto target = std::ranges::find_if(targets, [this](const DroppedTarget& candidate) {
      return TargetId(candidate.hash) == ref_.id();
    });
    if (target == targets.end()) return;
    found.dropped = *target;
    found_.push_back(std::move(found));
  }

  const status::v1::TargetRef& ref_;
  std::vector<FoundTarget> found_;
};

absl::Status Ambiguous(const std::vector<FoundTarget>& found) {
  std::string message = absl::StrCat("the reference fits ", found.size(), " targets:");
  for (size_t i = 0; i < std::min(found.size(), kMaxListed); ++i) {
    const status::v1::Target target = found[i].ToTarget();
    absl::StrAppend(&message, i == 0 ? " " : ", ", "id ", target.id(), " of job ", target.job());
  }
  if (found.size() > kMaxListed) message += ", …";
  return absl::FailedPreconditionError(message);
}

}  // namespace

status::v1::Target FoundTarget::ToTarget() const {
  return active != nullptr ? ToProto(*pool, *active) : ToProto(*dropped);
}

absl::StatusOr<FoundTarget> FindTarget(const PoolsSnapshot& pools,
                                       const status::v1::TargetRef& ref) {
  if (ref.id().empty() && ref.scrape_url().empty()) {
    return absl::InvalidArgumentError("target: needs an id or a scrape_url");
  }
  Search search(ref);
  for (const auto& pool : pools.pools) search.Pool(pool);
  for (const auto& job : pools.pending) search.Pending(job);
  const std::vector<FoundTarget>& found = search.found();
  if (found.size() == 1) return found[0];
  if (found.size() > 1) return Ambiguous(found);
  const std::string name = ref.id().empty() ? absl::StrCat("scrape_url ", GoQuote(ref.scrape_url()))
                                            : absl::StrCat("id ", GoQuote(ref.id()));
  return absl::NotFoundError(
      absl::StrCat("no target has the ", name, ref.job().empty() ? "" : " in job ", ref.job()));
}

}  // namespace trawl

// What a change of one group costs the scrape manager, where there are many targets, without a
// network or a disk: reconcile_bench [TARGETS] [CHANGES].
//
// Prints the median time of carrying a change out and publishing it: a group with another address,
// a group with another label on all its targets, a group that goes and one that comes; and that of
// planning the change of a config which restarts every target.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/config/load.h"
#include "core/scrape/job_plan.h"
#include "core/scrape/pool_targets.h"

namespace trawl {
namespace {

constexpr size_t kGroupTargets = 50;

using Clock = std::chrono::steady_clock;
double MicrosecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

// Neighbours in a group are far from each other in the list of targets.
TargetGroup Group(size_t number, size_t groups) {
  TargetGroup group;
  group.key = absl::StrCat("group-", number);
  for (size_t i = 0; i < kGroupTargets; ++i) {
    const size_t n = i * groups + number;
    group.targets.push_back(
        absl::StrCat("127.", 64 + n / 65'536 % 64, ".", n / 256 % 256, ".", n % 256, ":9"));
  }
  group.labels = Labels{{"rack", absl::StrCat("rack-", number)}, {"env", "production"}};
  return group;
}

// A pool, and what its readers see.
class Bench {
 public:
  Bench(const ScrapeConfig& config, size_t groups) : config_(config), groups_(groups) {
    std::vector<OwnedGroup> all;
    for (size_t i = 0; i < groups; ++i) all.push_back(Own(Group(i, groups)));
    wanted_ = OwnedGroups(std::move(all));
    Carry();
  }

  void Measure(const char* what, size_t changes, const std::function<void(TargetGroup&)>& change) {
    std::vector<double> times;
    for (size_t i = 0; i < changes; ++i) {
      TargetGroup group = Group(i * 7 % groups_, groups_);
      change(group);
      wanted_ = wanted_.Edit({}, {Own(std::move(group))});
      times.push_back(Carry());
    }
    Print(what, std::move(times));
  }
  void MeasureRemoval(size_t changes) {
    std::vector<double> times;
    for (size_t i = 0; i < changes; ++i) {
      wanted_ = wanted_.Edit({Own(Group(i * 7 % groups_, groups_))}, {});
      times.push_back(Carry());
    }
    Print("a group that goes", std::move(times));
  }

  const OwnedGroups& wanted() const { return wanted_; }

 private:
  struct Seen {
    ActiveTargets active;
    PoolGroups groups;
  };

  static void Print(const char* what, std::vector<double> times) {
    std::ranges::sort(times);
    std::printf("%-40s %8.1f us\n", what, times[times.size() / 2]);
  }
  static OwnedGroup Own(TargetGroup group) {
    return {"bench", std::make_shared<const TargetGroup>(std::move(group))};
  }
  // With cold caches, as where something else ran since the last change.
  double Carry() {
    for (size_t i = 0; i < others_.size(); i += 64) ++others_[i];
    const auto begin = Clock::now();
    targets_.Update(config_, wanted_);
    seen_ = std::make_unique<Seen>(Seen{targets_.active(), targets_.groups()});
    return MicrosecondsSince(begin);
  }

  const ScrapeConfig& config_;
  const size_t groups_;
  OwnedGroups wanted_;
  PoolTargets targets_;
  std::unique_ptr<Seen> seen_;
  std::vector<char> others_ = std::vector<char>(size_t{32} << 20);
};

ScrapeConfig ConfigOf(const char* job) {
  const auto config = LoadConfig(absl::StrCat("scrape_configs: [", job, "]"), {});
  if (!config.ok()) std::exit(1);
  return config->config.scrape_configs[0];
}

void Run(size_t targets, size_t changes) {
  const ScrapeConfig config = ConfigOf("{job_name: scale}");
  Bench bench(config, targets / kGroupTargets);
  size_t next = targets;
  const auto address = [&](TargetGroup& group) { group.targets[0] = absl::StrCat("new-", ++next); };
  bench.Measure("a group with another address", changes, address);
  bench.Measure("a group with other labels", changes, [&](TargetGroup& group) {
    group.labels = LabelsBuilder(group.labels).Set("env", absl::StrCat("e", ++next)).Build();
  });
  bench.MeasureRemoval(changes);
  bench.Measure("a group that comes", changes, [](TargetGroup&) {});

  const ScrapeConfig other = ConfigOf("{job_name: scale, metrics_path: /other}");
  const auto begin = Clock::now();
  const JobPlan plan = PlanJob({&config, FirstScrape::kOffset, bench.wanted()},
                               {&other, FirstScrape::kOffset, bench.wanted()});
  std::printf("%-40s %8.1f ms, %zu targets\n", "a plan of all targets",
              MicrosecondsSince(begin) / 1000, static_cast<size_t>(plan.targets_after()));
}

}  // namespace
}  // namespace trawl

int main(int argc, char** argv) {
  trawl::Run(argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 100'000,
             argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 200);
}

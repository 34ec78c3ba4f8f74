#include "server/target_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/status_conversions.h"
#include "server/target_list.h"
#include "tests/matchers/status_matchers.h"
#include "tests/server/service_fixture.h"

namespace trawl {
namespace {

namespace pb = status::v1;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TargetFilter Filter(const pb::ListTargetsRequest& request = {}) {
  return TargetFilter::Make(request).value();
}

// The same status, for its test to change.
TargetStatus& StatusOf(const std::shared_ptr<ActiveTarget>& target) {
  return const_cast<TargetStatus&>(*target->status);
}

PoolsSnapshot Pools(std::vector<std::shared_ptr<const PoolStatus>> pools) {
  PoolsSnapshot snapshot;
  snapshot.pools = std::move(pools);
  return snapshot;
}

std::vector<std::string> Urls(const TargetView::Changes& changes) {
  std::vector<std::string> urls;
  for (const TargetRow& row : changes.changed) urls.emplace_back(row.url);
  return urls;
}

TEST(TargetViewTest, FirstEverythingThenNothing) {
  const auto pools =
      Pools({MakePool("node", {MakeTarget("node", "a:1"), MakeTarget("node", "b:1")})});
  TargetView view(Filter());

  EXPECT_THAT(Urls(view.Advance(pools)), ElementsAre("http://a:1/metrics", "http://b:1/metrics"));
  EXPECT_EQ(view.size(), 2u);
  EXPECT_TRUE(view.Advance(pools).empty());
}

TEST(TargetViewTest, AScrapeIsAChangeAndMoreThanOneAreMerged) {
  const auto a = MakeTarget("node", "a:1");
  const auto pools = Pools({MakePool("node", {a, MakeTarget("node", "b:1")})});
  TargetView view(Filter());
  view.Advance(pools);

  StatusOf(a).Set({.health = TargetHealth::kUp});
  TargetView::Changes changes = view.Advance(pools);
  EXPECT_THAT(Urls(changes), ElementsAre("http://a:1/metrics"));
  EXPECT_EQ(changes.merged, 0u);

  for (int i = 0; i < 5; ++i) StatusOf(a).Set({.health = TargetHealth::kUp});
  changes = view.Advance(pools);
  EXPECT_THAT(Urls(changes), ElementsAre("http://a:1/metrics"));
  EXPECT_EQ(changes.merged, 4u);
}

TEST(TargetViewTest, TargetsAndJobsThatComeAndGoAreTold) {
  const auto a = MakeTarget("node", "a:1");
  const auto b = MakeTarget("node", "b:1");
  TargetView view(Filter());
  view.Advance(Pools({MakePool("node", {a})}));

  TargetView::Changes changes = view.Advance(Pools({MakePool("node", {b})}));
  EXPECT_THAT(Urls(changes), ElementsAre("http://b:1/metrics"));
  ASSERT_EQ(changes.removed.size(), 1u);
  EXPECT_EQ(changes.removed[0].hash, a->target->hash);

  changes = view.Advance(Pools({MakePool("other", {a})}));
  EXPECT_THAT(Urls(changes), ElementsAre("http://a:1/metrics"));
  ASSERT_EQ(changes.removed.size(), 1u);
  EXPECT_EQ(changes.removed[0].job, "node");
  EXPECT_EQ(view.size(), 1u);
}

TEST(TargetViewTest, ATargetWhoseHealthNoLongerFitsIsRemoved) {
  pb::ListTargetsRequest request;
  request.set_health(pb::Target::DOWN);
  const auto a = MakeTarget("node", "a:1");
  const auto pools = Pools({MakePool("node", {a})});
  TargetView view(Filter(request));
  EXPECT_TRUE(view.Advance(pools).empty());

  StatusOf(a).Set({.health = TargetHealth::kDown});
  EXPECT_THAT(Urls(view.Advance(pools)), ElementsAre("http://a:1/metrics"));
  StatusOf(a).Set({.health = TargetHealth::kUp});
  const TargetView::Changes changes = view.Advance(pools);
  EXPECT_THAT(changes.changed, IsEmpty());
  EXPECT_EQ(changes.removed.size(), 1u);
  EXPECT_EQ(view.size(), 0u);
}

TEST(TargetViewTest, DroppedTargetsComeGoAndChange) {
  const auto pool = [](std::vector<std::string> hosts) {
    return WithDropped(MakePool("node", {}), "ops", hosts);
  };
  TargetView view(Filter());
  EXPECT_EQ(view.Advance(Pools({pool({"d:1", "e:1"})})).changed.size(), 2u);
  EXPECT_TRUE(view.Advance(Pools({pool({"d:1", "e:1"})})).empty());

  const TargetView::Changes changes = view.Advance(Pools({pool({"e:1", "f:1"})}));
  ASSERT_EQ(changes.changed.size(), 1u);
  EXPECT_EQ(view.ToTarget(changes.changed[0]).discovered_labels().at("__address__"), "f:1");
  EXPECT_EQ(changes.removed.size(), 1u);
  EXPECT_EQ(view.size(), 2u);
}

TEST(TargetViewTest, TargetsThatShareTheirLabelsAreChangedByTheOther) {
  const Labels labels{{"job", "node"}};
  const auto a = WithLabels(MakeTarget("node", "a:1"), labels);
  const auto b = WithLabels(MakeTarget("node", "b:1"), labels);
  TargetView view(Filter());
  view.Advance(Pools({MakePool("node", {a})}));

  const TargetView::Changes changes = view.Advance(Pools({MakePool("node", {a, b})}));

  ASSERT_EQ(changes.changed.size(), 2u);
  EXPECT_TRUE(view.ToTarget(changes.changed[0]).labels_shared());
}

// What a client makes of the messages.
class Client {
 public:
  void Take(const TargetView& view, const TargetView::Changes& changes) {
    for (const TargetView::Name& name : changes.removed) {
      EXPECT_EQ(known_.erase({name.job, TargetId(name.hash)}), 1u);
    }
    for (const TargetRow& row : changes.changed) {
      const pb::Target target = view.ToTarget(row);
      known_[{target.job(), target.id()}] = target.SerializeAsString().size();
    }
  }
  std::set<std::string> Names() const {
    std::set<std::string> names;
    for (const auto& [key, size] : known_) names.insert(absl::StrCat(key.first, "/", key.second));
    return names;
  }

 private:
  std::map<std::pair<std::string, std::string>, size_t> known_;
};

TEST(TargetViewTest, ConvergesToWhatIsListedWhateverHappens) {
  for (const pb::Target::Health health : {pb::Target::HEALTH_UNSPECIFIED, pb::Target::UP}) {
    pb::ListTargetsRequest request;
    request.set_health(health);
    std::vector<std::shared_ptr<ActiveTarget>> all;
    for (int i = 0; i < 12; ++i) all.push_back(MakeTarget("j", absl::StrCat("h", i, ":1")));
    TargetView view(Filter(request));
    Client client;
    uint32_t random = 1;
    PoolsSnapshot pools;
    for (int step = 0; step < 300; ++step) {
      random = random * 1664525 + 1013904223;
      const auto& target = all[(random >> 8) % all.size()];
      if (random >> 31 != 0) {
        StatusOf(target).Set(
            {.health = (random >> 30 & 1) != 0 ? TargetHealth::kUp : TargetHealth::kDown});
      } else {
        pools.pools.clear();
        for (const char* job : {"x", "y"}) {
          random = random * 1664525 + 1013904223;
          std::vector<std::shared_ptr<const ActiveTarget>> some;
          for (size_t i = 0; i < all.size(); ++i) {
            if ((random >> (i + 4) & 1) != 0) some.push_back(all[i]);
          }
          if (some.size() > 3) {
            pools.pools.push_back(
                WithDropped(MakePool(job, some), "ops", {absl::StrCat("d", random % 3)}));
          }
        }
      }
      if (step % 3 == 0) client.Take(view, view.Advance(pools));
    }
    client.Take(view, view.Advance(pools));

    ASSERT_OK_AND_ASSIGN(const pb::ListTargetsResponse list, ListTargets(pools, request));
    std::set<std::string> listed;
    for (const pb::Target& target : list.targets()) {
      listed.insert(absl::StrCat(target.job(), "/", target.id()));
    }
    EXPECT_EQ(client.Names(), listed);
    EXPECT_EQ(view.size(), listed.size());
  }
}

}  // namespace
}  // namespace trawl

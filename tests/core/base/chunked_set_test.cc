#include "core/base/chunked_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <vector>

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Values with one key may be told apart, as pointers to them are.
struct Item {
  int key = 0;
  int version = 0;
  friend bool operator==(const Item&, const Item&) = default;
  struct Key {
    int operator()(const Item& item) const { return item.key; }
  };
};
using Items = ChunkedSet<Item, Item::Key>;

std::vector<Item> All(const Items& items) { return {items.begin(), items.end()}; }

Items Numbers(int n) {
  std::vector<Item> values;
  for (int i = 0; i < n; ++i) values.push_back({i});
  return values;
}

struct Difference {
  std::vector<int> gone;
  std::vector<int> fresh;
};
Difference Diff(const Items& before, const Items& after) {
  Difference out;
  Items::Diff(
      before, after, [&](const Item& item) { out.gone.push_back(item.key); },
      [&](const Item& item) { out.fresh.push_back(item.key); });
  return out;
}

TEST(ChunkedSetTest, IsSortedWhateverTheOrderAndTheLastOfEqualKeysCounts) {
  const Items items{{3}, {1}, {2}, {1, 7}};

  EXPECT_THAT(All(items), ElementsAre(Item{1, 7}, Item{2}, Item{3}));
  EXPECT_EQ(items.size(), 3u);
  EXPECT_EQ(items[1], Item{2});
}

TEST(ChunkedSetTest, AnEmptyOneHasNothing) {
  const Items items;

  EXPECT_TRUE(items.empty());
  EXPECT_EQ(items.begin(), items.end());
  EXPECT_EQ(items.Find(1), nullptr);
  EXPECT_EQ(items.LowerBound(1), items.end());
  EXPECT_THAT(Diff(items, Items()).fresh, IsEmpty());
}

TEST(ChunkedSetTest, FindsKeysAndTheirPlaces) {
  const Items items = Numbers(1000).Edit({{500}}, {});

  EXPECT_EQ(*items.Find(499), Item{499});
  EXPECT_EQ(items.Find(500), nullptr);
  EXPECT_EQ(*items.LowerBound(500), Item{501});
  EXPECT_EQ(items.LowerBound(1000), items.end());
  EXPECT_EQ(*items.LowerBound(-1), Item{0});
}

TEST(ChunkedSetTest, AnEditLeavesTheSetBeforeAsItWas) {
  const Items before = Numbers(300);

  const Items after = before.Edit({{7}}, {{8, 1}, {1000}});

  EXPECT_EQ(before.size(), 300u);
  EXPECT_EQ(*before.Find(8), Item{8});
  EXPECT_EQ(after.size(), 300u);
  EXPECT_EQ(*after.Find(8), (Item{8, 1}));
  EXPECT_THAT(Diff(before, after).gone, ElementsAre(7, 8));
  EXPECT_THAT(Diff(before, after).fresh, ElementsAre(8, 1000));
}

TEST(ChunkedSetTest, WhatIsPutStaysThoughItsKeyIsTakenAway) {
  const Items items = Numbers(3).Edit({{1}}, {{1, 5}});

  EXPECT_THAT(All(items), ElementsAre(Item{0}, Item{1, 5}, Item{2}));
}

// Counts how often its values are copied.
struct Counted {
  int key = 0;
  int* copies = nullptr;
  Counted(int k, int* c) : key(k), copies(c) {}
  Counted(const Counted& other) : key(other.key), copies(other.copies) { ++*copies; }
  Counted(Counted&&) = default;
  Counted& operator=(const Counted&) = default;
  Counted& operator=(Counted&&) = default;
  friend bool operator==(const Counted& a, const Counted& b) {
    ++*a.copies;
    return a.key == b.key;
  }
  struct Key {
    int operator()(const Counted& counted) const { return counted.key; }
  };
};

TEST(ChunkedSetTest, EditAndDiffTouchTheChunksThatChangeAlone) {
  int touched = 0;
  std::vector<Counted> values;
  for (int i = 0; i < 100'000; ++i) values.emplace_back(2 * i, &touched);
  const ChunkedSet<Counted, Counted::Key> before(std::move(values));
  touched = 0;

  std::vector<Counted> fresh;
  fresh.emplace_back(77'777, &touched);
  const auto after = before.Edit({}, std::move(fresh));
  EXPECT_LE(touched, 64);
  int gone = 0;
  int come = 0;
  ChunkedSet<Counted, Counted::Key>::Diff(
      before, after, [&](const Counted&) { ++gone; }, [&](const Counted&) { ++come; });

  EXPECT_LE(touched, 200);
  EXPECT_EQ(gone, 0);
  EXPECT_EQ(come, 1);
}

// Against a std::map, over edits that let it grow and shrink, and against older states.
TEST(ChunkedSetTest, RandomEditsComeToWhatAMapComesTo) {
  std::mt19937 random(1);  // NOLINT: the same sequence each time
  Items items;
  std::map<int, int> model;
  std::vector<std::pair<Items, std::map<int, int>>> past;
  for (int round = 0; round < 400; ++round) {
    past.emplace_back(items, model);
    std::vector<Item> gone;
    std::vector<Item> fresh;
    const uint32_t count = random() % (round % 7 == 0 ? 400 : 5);
    const uint32_t growth = round / 100 % 2 == 0 ? 3 : 1;  // of four
    for (uint32_t i = 0; i < count; ++i) {
      const int key = static_cast<int>(random() % 2000);
      if (random() % 4 < growth) {
        fresh.push_back({key, round});
      } else {
        gone.push_back({key});
      }
    }
    for (const Item& item : gone) model.erase(item.key);
    for (const Item& item : fresh) model[item.key] = item.version;
    items = items.Edit(gone, fresh);

    std::vector<Item> expected;
    for (const auto& [key, version] : model) expected.push_back({key, version});
    ASSERT_EQ(All(items), expected) << "round " << round;
    ASSERT_EQ(items.size(), expected.size());
    for (int key = -1; key <= 2000; key += 29) {
      const auto found = items.LowerBound(key);
      const auto model_found = model.lower_bound(key);
      ASSERT_EQ(found == items.end(), model_found == model.end());
      if (found != items.end()) {
        ASSERT_EQ(found->key, model_found->first);
      }
    }
    for (size_t i = 0; i < expected.size(); i += 31) ASSERT_EQ(items[i], expected[i]);
    const auto& [old_items, old_model] = past[random() % past.size()];
    Difference difference;
    for (const auto& [key, version] : old_model) {
      if (!model.contains(key) || model[key] != version) difference.gone.push_back(key);
    }
    for (const auto& [key, version] : model) {
      const auto old = old_model.find(key);
      if (old == old_model.end() || old->second != version) difference.fresh.push_back(key);
    }
    ASSERT_EQ(Diff(old_items, items).gone, difference.gone) << "round " << round;
    ASSERT_EQ(Diff(old_items, items).fresh, difference.fresh) << "round " << round;
  }
}

}  // namespace
}  // namespace trawl

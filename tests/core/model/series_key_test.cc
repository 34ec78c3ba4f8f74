#include "core/model/series_key.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace trawl {
namespace {

SeriesKey Key(std::string_view name) { return SeriesKey{Labels{{kMetricName, name}}}; }

TEST(KeyTableTest, EqualKeysHaveOneId) {
  KeyTable table;
  const KeyId up = table.Intern(Key("up"));

  EXPECT_EQ(table.Intern(Key("up")), up);
  EXPECT_NE(table.Intern(Key("down")), up);
  EXPECT_EQ(table.live_keys(), 2u);
  EXPECT_EQ(table.Get(up).labels.Get(kMetricName), "up");
}

TEST(KeyTableTest, CompletenessAndFamilyBelongToAKey) {
  KeyTable table;
  SeriesKey complete = Key("up");
  complete.complete = true;
  SeriesKey described = Key("up");
  described.family = table.InternFamily({"up", MetricType::kGauge, "", "is it up"});

  const KeyId plain = table.Intern(Key("up"));

  EXPECT_NE(table.Intern(complete), plain);
  EXPECT_NE(table.Intern(described), plain);
}

TEST(KeyTableTest, AKeyDiesWithItsLastReference) {
  KeyTable table;
  const KeyId id = table.Intern(Key("up"));
  table.Ref(id);

  table.Unref(id);
  EXPECT_EQ(table.live_keys(), 1u);
  table.Unref(id);
  EXPECT_EQ(table.live_keys(), 0u);
}

TEST(KeyTableTest, AReusedIdHasAnotherSerial) {
  KeyTable table;
  const KeyId first = table.Intern(Key("up"));
  const uint64_t serial = table.Serial(first);
  table.Unref(first);

  const KeyId second = table.Intern(Key("down"));

  EXPECT_EQ(second, first);
  EXPECT_NE(table.Serial(second), serial);
}

TEST(KeyTableTest, WhatGetGaveStaysWhereItIs) {
  KeyTable table;
  const SeriesKey& key = table.Get(table.Intern(Key("up")));

  for (int i = 0; i < 10000; ++i) table.Intern(Key("m" + std::to_string(i)));

  EXPECT_EQ(key.labels.Get(kMetricName), "up");
}

TEST(KeyTableTest, FamiliesAreKeptOnce) {
  KeyTable table;
  const MetricFamily family = {"up", MetricType::kGauge, "", "is it up"};
  MetricFamily other = family;
  other.help = "was it up";

  const uint32_t id = table.InternFamily(family);

  EXPECT_NE(id, 0u);
  EXPECT_EQ(table.InternFamily(family), id);
  EXPECT_NE(table.InternFamily(other), id);
  EXPECT_EQ(table.Family(id), family);
  EXPECT_EQ(table.Family(0), MetricFamily());
  EXPECT_EQ(table.InternFamily(MetricFamily()), 0u);
}

TEST(KeyTableTest, TheTextOfFamiliesIsBounded) {
  KeyTable table;
  MetricFamily large = {"large", MetricType::kGauge, "",
                        std::string(KeyTable::kMaxFamilyBytes - 5, 'h')};
  MetricFamily small = {"small", MetricType::kGauge, "", ""};

  const uint32_t id = table.InternFamily(large);

  EXPECT_NE(id, 0u);
  EXPECT_EQ(table.InternFamily(small), 0u);
  EXPECT_EQ(table.InternFamily(large), id);
}

}  // namespace
}  // namespace trawl

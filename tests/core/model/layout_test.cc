#include "core/model/layout.h"

#include <gtest/gtest.h>

#include <memory>

#include "core/model/value.h"

namespace trawl {
namespace {

class LayoutTest : public ::testing::Test {
 protected:
  // A layout of keys that only the layout holds.
  LayoutPtr Make(std::vector<SeriesKey> keys) {
    std::vector<KeyId> ids;
    for (const SeriesKey& key : keys) ids.push_back(table_.Intern(key));
    auto layout = std::make_shared<const Layout>(table_, target_, ids, 0, LayoutPatch{});
    for (const KeyId id : ids) table_.Unref(id);
    return layout;
  }

  KeyTable table_;
  const std::shared_ptr<const Labels> target_ =
      std::make_shared<const Labels>(Labels{{"instance", "a:1"}, {"job", "node"}});
};

TEST_F(LayoutTest, ASeriesHasItsKeysAndItsTargetsLabels) {
  const LayoutPtr layout = Make({{Labels{{kMetricName, "up"}}}});

  EXPECT_EQ(layout->SeriesLabels(0),
            Labels({{kMetricName, "up"}, {"instance", "a:1"}, {"job", "node"}}));
}

TEST_F(LayoutTest, ACompleteKeyIsAllThereIs) {
  const LayoutPtr layout = Make({{Labels{{kMetricName, "up"}, {"job", "other"}}, true}});

  EXPECT_EQ(layout->SeriesLabels(0), Labels({{kMetricName, "up"}, {"job", "other"}}));
}

TEST_F(LayoutTest, KeysLiveAsLongAsTheLayout) {
  LayoutPtr layout = Make({{Labels{{kMetricName, "up"}}}, {Labels{{kMetricName, "down"}}}});
  EXPECT_EQ(table_.live_keys(), 2u);

  layout.reset();

  EXPECT_EQ(table_.live_keys(), 0u);
}

TEST_F(LayoutTest, IdsAreNeverTheSame) {
  LayoutPtr first = Make({});
  const uint64_t id = first->id();
  first.reset();

  EXPECT_GT(Make({})->id(), id);
  EXPECT_GT(id, 0u);
}

TEST(ValueTest, OnlyTheStaleMarkerIsOne) {
  EXPECT_TRUE(IsStaleMarker(StaleMarker()));
  EXPECT_FALSE(IsStaleMarker(NormalNaN()));
  EXPECT_FALSE(IsStaleMarker(0));
}

}  // namespace
}  // namespace trawl

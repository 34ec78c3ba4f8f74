#include "server/sink_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "core/base/hash.h"
#include "tests/fakes/mem_file_system.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;

SinkRegistry::Entry SomeEntry() {
  SinkRegistry::Entry entry;
  entry.name = "a \"name\"\n";
  entry.since_epoch = 7;
  entry.starts = {{0, 1}, {1, 90}};
  entry.skipped = {{{7, 1}, {120, 121}}, {{8, 0}, {3}}};
  return entry;
}

TEST(SinkRegistryTest, ReadsBackWhatItSaved) {
  MemFileSystem files;
  SinkRegistry registry(files, "sinks");
  registry.Set("id1", SomeEntry());
  registry.Set("id2", {.name = "b", .since_epoch = 8});
  registry.Keep({"id1", "id2"}, {7, 8});
  ASSERT_THAT(registry.Save(), IsOk());

  const SinkRegistry again(files, "sinks");

  ASSERT_NE(again.Find("id1", ""), nullptr);
  SinkRegistry::Entry expected = SomeEntry();
  expected.name = "a \\\"name\\\"\\n";  // for people
  EXPECT_EQ(*again.Find("id1", ""), expected);
  EXPECT_EQ(again.Find("id2", "")->since_epoch, 8u);
  EXPECT_EQ(again.Find("id3", ""), nullptr);
}

TEST(SinkRegistryTest, SaysFromWhereOnALaneIsForASink) {
  const SinkRegistry::Entry entry = SomeEntry();

  EXPECT_EQ(entry.StartOf({6, 1}), 0u);
  EXPECT_EQ(entry.StartOf({7, 1}), 90u);
  EXPECT_EQ(entry.StartOf({7, 5}), 1u);
  EXPECT_EQ(entry.StartOf({8, 1}), 1u);
}

TEST(SinkRegistryTest, ASinkThatIsRemovedAndAddedAgainIsNew) {
  MemFileSystem files;
  SinkRegistry registry(files, "sinks");
  registry.Set("id1", SomeEntry());
  EXPECT_THAT(registry.Keep({"id2"}, {}), ElementsAre(SomeEntry().name));

  EXPECT_EQ(registry.Find("id1", ""), nullptr);
}

TEST(SinkRegistryTest, WhatWasSkippedInAnEpochThatIsGoneIsForgotten) {
  MemFileSystem files;
  SinkRegistry registry(files, "sinks");
  registry.Set("id1", SomeEntry());
  registry.Skip("id1", {8, 0}, 4);
  registry.Keep({"id1"}, {8});

  EXPECT_EQ(registry.Find("id1", "")->skipped,
            (std::map<EpochLane, std::set<uint64_t>>{{{8, 0}, {3, 4}}}));
}

// As it was written when an address made another sink.
TEST(SinkRegistryTest, ASinkOfFormat1IsFoundByItsName) {
  MemFileSystem files;
  const std::string text =
      "trawl-sinks 1\nsink 0123456789abcdef 7 \"a \\\"b\\\"\"\nstart 1 90\nskip 7 1 120\n"
      "sink 123456789abcdef0 8 \"gone\"\n";
  files.Put("sinks", absl::StrCat(text, "crc32c ", absl::Hex(Crc32c(text), absl::kZeroPad8), "\n"));
  SinkRegistry registry(files, "sinks");

  EXPECT_EQ(registry.Find("id1", "other"), nullptr);
  const SinkRegistry::Entry* const found = registry.Find("id1", "a \"b\"");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->StartOf({7, 1}), 90u);
  EXPECT_EQ(found->skipped.at({7, 1}), std::set<uint64_t>{120});

  SinkRegistry::Entry entry = *found;
  entry.name = "a \"b\"";
  registry.Set("id1", entry);
  EXPECT_THAT(registry.Keep({"id1"}, {7}), ElementsAre("gone"));
  ASSERT_THAT(registry.Save(), IsOk());
  const SinkRegistry again(files, "sinks");
  EXPECT_EQ(again.Find("id1", "")->since_epoch, 7u);
  EXPECT_EQ(again.Find("id2", "a \"b\""), nullptr);
}

TEST(SinkRegistryTest, WithoutAFileEverySinkHasAlwaysBeenThere) {
  MemFileSystem files;
  SinkRegistry registry(files, "sinks");

  ASSERT_NE(registry.Find("id1", ""), nullptr);
  EXPECT_EQ(registry.Find("id1", "")->StartOf({5, 0}), 1u);
  registry.Keep({}, {});
  EXPECT_EQ(registry.Find("id1", ""), nullptr);
}

TEST(SinkRegistryTest, EveryDamageIsNoticedAndLosesNoRecords) {
  MemFileSystem files;
  SinkRegistry registry(files, "sinks");
  registry.Set("id1", SomeEntry());
  ASSERT_THAT(registry.Save(), IsOk());
  const std::string good = *files.ReadFile("sinks");
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] ^= 1;
    ASSERT_THAT(WriteFileDurably(files, "sinks", bad), IsOk());
    EXPECT_EQ(SinkRegistry(files, "sinks").Find("id1", "")->StartOf({5, 0}), 1u) << i;
  }
}

TEST(SinkRegistryTest, AFileThatCannotBeWrittenIsTriedAgain) {
  MemFileSystem files;
  SinkRegistry registry(files, "sinks");
  registry.Set("id1", SomeEntry());
  files.SetCapacity(0);
  EXPECT_FALSE(registry.Save().ok());

  files.SetCapacity(1 << 20);
  EXPECT_THAT(registry.Save(), IsOk());
  EXPECT_EQ(SinkRegistry(files, "sinks").Find("id1", "")->since_epoch, 7u);
}

}  // namespace
}  // namespace trawl

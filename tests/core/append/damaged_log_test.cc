#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "core/append/lane.h"
#include "core/append/memory_record_log.h"
#include "tests/core/append/model_store.h"
#include "tests/core/append/page_source.h"
#include "tests/fakes/fake_append_stream.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;

// A log whose disk does not give some records back: with an S record all up to the next keyframe,
// but for the D records among them; with a D record all up to the segment's end.
class DamagedLog final : public RecordLog {
 public:
  void Damage(uint64_t number) {
    const bool defines = log_.Read(number)->kind == RecordKind::kDictionary;
    const uint64_t segment = log_.SegmentStart(number);
    for (uint64_t n = number; n < next_number() && log_.SegmentStart(n) == segment; ++n) {
      const LogRecord record = *log_.Read(n);
      if (n > number && record.keyframe && !defines) break;
      if (defines || record.kind == RecordKind::kScrape) lost.insert(n);
    }
  }

  absl::Status Append(const LogRecord& record) override { return log_.Append(record); }
  uint64_t next_number() const override { return log_.next_number(); }
  uint64_t first_number() const override { return log_.first_number(); }
  absl::StatusOr<LogRecord> Read(uint64_t number) override {
    if (lost.contains(number)) return absl::NotFoundError("damaged");
    return log_.Read(number);
  }
  std::optional<LogHole> HoleAt(uint64_t number) override {
    if (!lost.contains(number)) return log_.HoleAt(number);
    LogHole hole{.from = number, .to = number, .reason = HoleReason::kDamaged};
    while (lost.contains(hole.to + 1)) ++hole.to;
    hole.samples = SamplesBetween(hole.from, hole.to);
    return hole;
  }
  uint64_t SegmentStart(uint64_t number) const override { return log_.SegmentStart(number); }
  uint64_t Keyframe(uint64_t number) const override { return log_.Keyframe(number); }
  uint64_t SamplesBetween(uint64_t from, uint64_t to) const override {
    return log_.SamplesBetween(from, to);
  }
  uint64_t BytesFrom(uint64_t number) const override { return log_.BytesFrom(number); }
  uint64_t dropped_samples(HoleReason reason) const override {
    return log_.dropped_samples(reason);
  }
  void Trim(uint64_t durable) override { log_.Trim(durable); }
  uint64_t segment_bytes() const override { return log_.segment_bytes(); }
  uint64_t total_bytes() const override { return log_.total_bytes(); }

  std::set<uint64_t> lost;

 private:
  MemoryRecordLog log_{MemoryRecordLog::Options{}};
};

// All but what is damaged arrives, in each encoding, also over a stream that breaks in between;
// what is damaged is told, once each.
TEST(DamagedLogTest, HolesInsideALogAreToldAndWhatIsBehindThemDecodes) {
  for (uint64_t seed = 0; seed < 24; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937_64 random(seed);
    FakeEventLoop loop;
    FakeAppendStreamFactory factory(loop);
    ModelStore store(factory);
    if (seed % 2 == 0) store.set_encoding(storage::v1::ENCODING_RAW_COLUMNS);
    DamagedLog log;
    KeyTable table;
    PageSource page(table, "host", seed);
    Lane::Options options;
    options.max_segment_bytes = 6'000;
    options.keyframe_bytes = 1'500;
    options.session.message_bytes = 1 + random() % 2'000;
    std::mt19937 backoff(3);
    Lane lane(options, Lane::Deps{loop, log, backoff});
    lane.AddSink("s", factory);
    std::map<uint64_t, Rows> expected;
    uint64_t samples = 0;
    for (int scrape = 0; scrape < 60; ++scrape) {
      ASSERT_THAT(lane.Append(page.NextScrape()), IsOk());
      expected[log.next_number() - 1] = page.ExpectedRows({});
    }
    for (int i = 0; i < 3; ++i) log.Damage(2 + random() % (log.next_number() - 2));
    for (const uint64_t number : log.lost) {
      samples += expected[number].size();
      expected.erase(number);
    }

    for (int step = 0; step < 400 && store.durable() + 1 < log.next_number(); ++step) {
      loop.Advance(absl::Milliseconds(300));
      for (int i = 0; i < 3; ++i) {
        store.TakeOne();
        loop.RunUntilIdle();
      }
      store.Commit();
      if (random() % 20 == 0) store.Crash();
      loop.RunUntilIdle();
    }

    EXPECT_EQ(store.durable() + 1, log.next_number());
    EXPECT_EQ(store.rows(), expected);
    EXPECT_THAT(store.complaints(), IsEmpty());
    EXPECT_THAT(store.gaps(), Not(IsEmpty()));
    for (const storage::v1::Gap& gap : store.gaps()) {
      EXPECT_EQ(gap.reason(), storage::v1::Gap::DAMAGED);
    }
    EXPECT_EQ(lane.Snapshot().sinks[0].gap_samples[storage::v1::Gap::DAMAGED], samples);
  }
}

}  // namespace
}  // namespace trawl

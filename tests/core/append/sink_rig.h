#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <random>

#include "core/append/lane.h"
#include "core/append/memory_record_log.h"
#include "tests/core/append/model_store.h"
#include "tests/core/append/page_source.h"
#include "tests/fakes/fake_append_stream.h"
#include "tests/fakes/fake_event_loop.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {

// A lane with one sink, and a store that the test leads.
class SinkRig {
 public:
  struct Options {
    size_t log_bytes = size_t{64} << 20;
    size_t segment_bytes = size_t{64} << 20;
    size_t keyframe_bytes = size_t{4} << 20;
    size_t message_bytes = 1;  // a message a record
    uint64_t epoch = 7;
    storage::v1::Encoding encoding = storage::v1::ENCODING_DECIMAL_DELTA;  // that the store wants
    bool compress = true;
  };

  SinkRig() : SinkRig(Options()) {}
  explicit SinkRig(const Options& options)
      : factory(loop),
        store(factory),
        log(MemoryRecordLog::Options{options.log_bytes}),
        page(table, "host", 11),
        lane(LaneOptions(options), Lane::Deps{loop, log, random}) {
    store.set_encoding(options.encoding);
  }

  // Appends the next scrape of the page; what storage should have of it is noted.
  void Scrape() {
    ASSERT_THAT(lane.Append(page.NextScrape()), IsOk());
    expected[log.next_number() - 1] = page.ExpectedRows({});
  }
  void Scrapes(int count) {
    for (int i = 0; i < count; ++i) Scrape();
  }
  // Opens the sink's stream and lets the store take all that comes.
  void Connect() {
    lane.AddSink("s", factory);
    Settle();
  }
  // Until neither side has anything to do now.
  void Settle() {
    loop.RunUntilIdle();
    while (store.TakeOne()) loop.RunUntilIdle();
  }
  // Until all is durable; false if that takes too long.
  bool Finish() {
    for (int i = 0; i < 200 && store.durable() + 1 < log.next_number(); ++i) {
      loop.Advance(absl::Milliseconds(300));
      Settle();
      store.Commit();
      loop.RunUntilIdle();
    }
    return store.durable() + 1 == log.next_number();
  }
  // As long as it takes to try a dozen times.
  void Retry() {
    for (int i = 0; i < 200; ++i) {
      loop.Advance(absl::Milliseconds(300));
      Settle();
      store.Commit();
      loop.RunUntilIdle();
    }
  }
  SinkStatus sink() const { return lane.Snapshot().sinks.at(0); }
  const storage::v1::AppendRequest& last_written() const { return factory.written().back(); }

  FakeEventLoop loop;
  FakeAppendStreamFactory factory;
  ModelStore store;
  MemoryRecordLog log;
  std::mt19937 random{5};
  KeyTable table;
  PageSource page;
  Lane lane;
  std::map<uint64_t, Rows> expected;

 private:
  static Lane::Options LaneOptions(const Options& options) {
    Lane::Options out;
    out.identity.writer_id = "writer";
    out.identity.incarnation = 7;
    out.identity.epoch = options.epoch;
    out.identity.lane = 3;
    out.identity.version = "test";
    out.max_segment_bytes = options.segment_bytes;
    out.keyframe_bytes = options.keyframe_bytes;
    out.session.message_bytes = options.message_bytes;
    out.session.compress = options.compress;
    return out;
  }
};

}  // namespace trawl

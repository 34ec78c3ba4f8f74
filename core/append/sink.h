#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/append/rejected_samples.h"
#include "core/model/labels.h"

namespace trawl {

// What is known of a lane's stream to one storage service.
enum class SinkState {
  kHeld,       // what earlier runs left goes first
  kWaiting,    // for its back-off to pass
  kOpening,    // Hello is out, no Welcome yet
  kStreaming,  // Welcome is here
};
std::string_view SinkStateName(SinkState state);  // "held", "waiting", "opening", "streaming"

// As the store counts, over the life of (writer, epoch, lane).
struct SinkTotals {
  uint64_t stored = 0;
  uint64_t duplicate = 0;
  uint64_t lost = 0;
  std::map<int, uint64_t> rejected;  // by storage::v1::Reject::Code
};

// A snapshot of one sink of a lane: a value. Counters count from the sink's addition.
struct SinkStatus {
  std::string name;
  SinkState state = SinkState::kWaiting;
  // An error that waiting hardly mends (unauthenticated, fenced, …), until the next ack.
  bool degraded = false;
  std::string store_id;
  std::string store_version;
  absl::Status last_error;
  absl::Time last_error_time = absl::InfinitePast();
  absl::Time state_since = absl::InfinitePast();

  uint64_t durable = 0;          // all records up to it are kept by the store
  uint64_t sent = 0;             // all records up to it were sent on the current stream
  uint64_t backlog_records = 0;  // made and not durable
  uint64_t backlog_bytes = 0;    // of those that are kept
  uint64_t backlog_samples = 0;
  uint64_t window_bytes = 0;  // that the store takes still; 0: none for now, or there is no stream
  bool window_shut = false;   // there is a stream, and the store takes no more for now
  absl::Time last_ack = absl::InfinitePast();
  // When the newest scrape that is known to be durable began.
  absl::Time durable_time = absl::InfinitePast();
  // How many streams in a row ended although records were sent, without one becoming durable.
  uint64_t streams_without_progress = 0;
  // The record at which they end, once they are many: the store can't take it. 0: none.
  uint64_t stuck_number = 0;
  Labels stuck_target;  // its target's; empty: not known, or a record of definitions
  // When all that was made was durable the last time: now less this is how far the sink is behind.
  absl::Time caught_up = absl::InfinitePast();

  SinkTotals totals;
  uint64_t samples_acked = 0;  // that totals.stored grew in this run
  uint64_t streams_opened = 0;
  uint64_t messages_sent = 0;
  uint64_t records_sent = 0;  // rebuilds included
  uint64_t records_rebuilt = 0;
  uint64_t body_bytes_sent = 0;  // compressed
  uint64_t raw_bytes_sent = 0;   // the same before compression
  uint64_t protocol_errors = 0;  // rewinds, acks of what was never sent
  // By storage::v1::Gap::Reason: what the sink was told that it won't get.
  std::map<int, uint64_t> gap_samples;
  std::map<int, uint64_t> gap_records;
  // The same of what it will be told as soon as a stream gets there.
  std::map<int, uint64_t> untold_gap_samples;
  std::map<int, uint64_t> reject_samples;  // by storage::v1::Reject::Code, of acks received
};

// {instance="…", job="…"}; "" if it is not known.
std::string StuckTargetText(const SinkStatus& status);

// A lane of an epoch: one sequence of records.
struct EpochLane {
  uint64_t epoch = 0;
  uint32_t lane = 0;
  friend auto operator<=>(const EpochLane&, const EpochLane&) = default;
};

// A snapshot of a lane and its sinks: a value.
struct LaneStatus {
  uint32_t lane = 0;
  uint64_t epoch = 0;
  bool earlier = false;       // of an earlier run: it is drained, and nothing is appended
  uint64_t first_number = 1;  // oldest record that is kept
  uint64_t next_number = 1;
  uint64_t log_bytes = 0;
  uint64_t scrapes = 0;  // appended
  uint64_t samples = 0;
  uint64_t scrape_bytes = 0;      // of S records
  uint64_t dictionary_bytes = 0;  // of D records
  uint64_t segments = 0;
  uint64_t keyframes = 0;
  uint64_t append_failures = 0;
  uint64_t refused_samples = 0;  // of scrapes that are too large for the log
  uint64_t capped_samples = 0;   // of records that went while a sink still wanted them: the cap,
  uint64_t aged_samples = 0;     // or their age
  // What its sinks refused for good, by target; null: nothing, or of an earlier run.
  std::shared_ptr<const RejectedSamples::ByTarget> rejected;
  std::vector<SinkStatus> sinks;
  // Of an earlier run: the last words of sinks that have all of it. They stay when the log is gone,
  // so that nothing they counted at the end is missed.
  std::vector<SinkStatus> drained_sinks;
};

// What the lanes' sinks refused of a target's samples; by Labels::Hash of its labels.
RejectedSamples::Counts RejectedOf(std::span<const std::shared_ptr<const LaneStatus>> lanes,
                                   uint64_t target);

}  // namespace trawl

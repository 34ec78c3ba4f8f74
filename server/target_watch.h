#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "absl/time/time.h"
#include "core/append/sink.h"
#include "core/base/event_loop.h"
#include "core/scrape/pool_status.h"
#include "core/telemetry/server_metrics.h"
#include "server/target_filter.h"
#include "server/target_view.h"
#include "trawl/status/v1/status.pb.h"

namespace trawl {

// What one client of WatchTargets is told, and when: the state, then changes, and the state anew
// after it took nothing for `max_silence`.
//
// Guarantees:
//   1. One message is under way at a time, and nothing is looked at while one is: a reader that is
//      slow gets fewer messages, not later ones.
//   2. What is kept for a reader is as large as the state; of one that is silent for longer than
//      `max_silence` it is dropped, and the reader is told (Reset).
//   3. After the last change and `interval`, a reader that reads has what ListTargets shows.
//
// Loop's thread only.
class TargetWatch {
 public:
  struct Options {
    absl::Duration interval = absl::Seconds(1);      // at least, between two looks at the targets
    absl::Duration max_silence = absl::Minutes(10);  // of a reader
    size_t max_message_targets = 500;
    size_t max_message_bytes = 1 << 20;  // and what one target more takes
  };
  // Where messages go.
  class Reader {
   public:
    virtual ~Reader() = default;
    // The watch waits for OnWritten before the next one.
    virtual void Write(status::v1::WatchTargetsResponse message) = 0;
  };
  struct Deps {
    EventLoop& loop;
    std::function<std::shared_ptr<const PoolsSnapshot>()> pools;
    std::function<std::vector<std::shared_ptr<const LaneStatus>>()> lanes;
    Reader& reader;
    ServerMetrics& metrics;
  };

  TargetWatch(const Options& options, Deps deps, TargetFilter filter);
  ~TargetWatch();
  TargetWatch(const TargetWatch&) = delete;
  TargetWatch& operator=(const TargetWatch&) = delete;

  // Once.
  void Start();
  void OnWritten();

 private:
  void Look();
  void SendNext();
  void SendSome();
  void Send(status::v1::WatchTargetsResponse message);
  void GiveUp();

  const Options options_;
  const Deps deps_;
  TargetView view_;
  TargetView::Changes changes_;  // not sent yet
  size_t next_ = 0;              // of changes_.changed
  bool in_snapshot_ = true;
  bool missed_ = false;        // Reset is due
  absl::Duration looked_;      // steady
  TimerId look_timer_ = 0;     // while the reader waits
  TimerId silence_timer_ = 0;  // while the reader is waited for
};

}  // namespace trawl

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/store/http_senders.h"
#include "client/store/remote_write_encoding.h"
#include "core/base/backoff.h"
#include "core/base/event_loop.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// Scrapes on their way to a remote-write endpoint, in order, one request at a time.
//
// A request that the endpoint refuses for good is halved until the samples that made it so stand
// alone; what can be tried again is, for ever, or once (retry = false). An item is told when each
// of its samples was accepted or refused.
// An endpoint that refuses everything is not asked for each sample: after `bisect_requests`
// refusals without anything that it took between them, 2 samples are not halved any more, after as
// many again 4, and so on, until it takes something. They are refused together if the first of them
// is refused alone, too. So a good sample is lost only at the end of many bad ones in a row.
// Store thread only.
class RemoteWriteQueue {
 public:
  struct Sample {
    uint32_t position;
    int64_t time_ms;
    double value;
  };
  // A record; without samples it only has its turn.
  struct Item {
    uint64_t number = 0;
    uint64_t lost = 0;
    std::shared_ptr<const RemoteWriteLayout> layout;
    std::vector<Sample> samples;
    std::optional<storage::v1::Reject> reject;  // what was no sample for the endpoint
    // Filled in.
    std::vector<uint32_t> refused;  // positions
    std::string refusal;            // what the endpoint said
    size_t undivided = 0;           // of the refused: not alone
  };
  struct Options {
    size_t max_samples = 10'000;
    size_t max_bytes = size_t{1} << 20;
    size_t bisect_requests = 64;
    Backoff::Options backoff;
    absl::Duration max_retry_after = absl::Minutes(5);
    bool retry = true;
  };
  struct Deps {
    EventLoop& loop;
    HttpSenders& senders;
  };
  // They must not destroy the queue.
  struct Callbacks {
    std::function<void(const Item&)> done;
    // Only without `retry`: nothing more comes.
    std::function<void(const absl::Status&)> failed;
    // What the endpoint said, in its words: kUnavailable (it is tried again), kInvalidArgument
    // (samples are refused for good), OK when it takes what it did not before. May be null.
    std::function<void(const absl::Status&)> answered;
  };

  RemoteWriteQueue(const Options& options, const Deps& deps, Callbacks callbacks);
  ~RemoteWriteQueue();

  void Push(Item item);
  // Drops what is not under way, and calls `quiet` when nothing is any more; what was under way
  // may have been told by then. One at a time: a newer call replaces an older one.
  void Drop(std::function<void()> quiet);

 private:
  struct Range {
    size_t begin;
    size_t end;
    bool as_before = false;  // goes the way of the sample before it, if that is refused
  };
  struct Ref {
    size_t item;
    size_t sample;
  };

  void Pump();
  void FillBatch();
  void SendFront();
  std::string Encode(Range range, size_t* encoded) const;
  void OnAnswer(const absl::StatusOr<BlockingHttpResponse>& answer);
  void OnRefused(const std::string& what, bool may_halve);
  void Refuse(Range range, const std::string& what);
  // What is refused and not larger is halved no more.
  size_t Grain() const;
  void RetryLater(const std::string& why, absl::Duration at_least, bool slowly);
  void TellAnswer(const absl::Status& answer) const;
  void FinishRange();
  void FinishBatch();
  void FinishFront();
  void GoQuiet();

  const Options options_;
  EventLoop& loop_;
  HttpSenders& senders_;
  const Callbacks callbacks_;
  absl::BitGen random_;
  Backoff backoff_;

  std::deque<Item> items_;
  size_t front_sample_ = 0;   // of the front item: first that is in no finished batch
  std::vector<Ref> batch_;    // into items_
  std::deque<Range> ranges_;  // of batch_, still to be sent, in order
  std::string body_;          // of the front range, compressed; empty: to be encoded
  size_t refusals_ = 0;       // in this batch since the endpoint last took something
  size_t refused_ = 0;        // samples, in this batch
  size_t undivided_ = 0;      // of them, not alone
  std::string refusal_;       // what the endpoint said last, in this batch
  bool sending_ = false;
  bool complained_ = false;  // about the current failure
  TimerId retry_timer_ = 0;
  std::function<void()> quiet_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace trawl

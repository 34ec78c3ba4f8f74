#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/append/record_decoder.h"
#include "core/base/event_loop.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// One sequence of records: its number counts from 1.
struct LaneKey {
  std::string writer;
  uint64_t epoch = 0;
  uint32_t lane = 0;
  friend auto operator<=>(const LaneKey&, const LaneKey&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const LaneKey& key) {
    return H::combine(std::move(h), key.writer, key.epoch, key.lane);
  }
};

// Counts of samples over the life of a lane, committed together with its durable number.
struct LaneTotals {
  uint64_t stored = 0;
  uint64_t duplicate = 0;
  uint64_t lost = 0;
  std::map<int, uint64_t> rejected;  // by storage::v1::Reject::Code
  friend bool operator==(const LaneTotals&, const LaneTotals&) = default;
};

// What survives a crash and a power loss.
struct LaneState {
  uint64_t durable = 0;
  LaneTotals totals;
};

// What a store holds, for people.
struct StoreStats {
  uint64_t samples = 0;        // stored since the store was opened
  uint64_t samples_total = 0;  // stored over the store's life, those that retention took included
  uint64_t series = 0;         // distinct ones that are kept (or, without a database, 0)
  uint64_t targets = 0;        // likewise
  std::string location;        // the file, the url, or "nowhere"
};

// Takes what one Append stream brings to its lane; made by StoreBackend::OpenLane, destroyed when
// the stream ends. What was taken and not committed by then stays taken: it is committed later,
// or dropped by the next OpenLane of this lane.
// Store thread only.
class LaneWriter {
 public:
  virtual ~LaneWriter() = default;
  // One scrape, whole; its number is above all before. kResourceExhausted and others: nothing of
  // it was taken and the stream must end.
  virtual absl::Status Write(const DecodedScrape& scrape) = 0;
  // A scrape that the lane has already: counted as duplicate.
  virtual absl::Status CountDuplicate(const DecodedScrape& scrape) = 0;
  // All records up to `number` were written, are definitions, or (`lost` samples) will never come.
  virtual absl::Status Advance(uint64_t number, uint64_t lost) = 0;
  // The layout is gone; its uid never comes again.
  virtual void ForgetLayout(uint64_t uid) = 0;
  // All layouts and keys are gone.
  virtual void ForgetAll() = 0;
};

// Where samples are kept. The seam between the Append protocol (store_sessions.h) and SQLite,
// remote write, or nothing.
//
// Guarantees:
//   1. A LANE'S NUMBER, its totals and its samples become durable in one step.
//   2. Observer::OnDurable comes after that, on the store thread, lane by lane in order.
//   3. After OnFailed nothing that was taken and not reported durable will be: every stream must
//      end, its writer resends.
// Store thread only, but for the constructor.
class StoreBackend {
 public:
  class Observer {
   public:
    virtual ~Observer() = default;
    // `rejects`: since the last call for this lane.
    virtual void OnDurable(const LaneKey& lane, const LaneState& state,
                           const std::vector<storage::v1::Reject>& rejects) = 0;
    virtual void OnFailed(const absl::Status& status) = 0;
  };
  using OpenedLane = std::function<void(absl::StatusOr<std::unique_ptr<LaneWriter>>)>;

  virtual ~StoreBackend() = default;

  // Before anything else. The observer outlives the back end's use.
  virtual void SetObserver(Observer& observer) = 0;
  // Made with the database: another id is another store.
  virtual const std::string& store_id() const = 0;
  // How many bytes of a stream's messages may be taken and not yet durable.
  virtual uint64_t window_bytes() const = 0;

  // The writer's highest incarnation so far; 0: an unknown writer.
  virtual uint64_t Incarnation(const std::string& writer) const = 0;
  // Raises it. Durable when this returns.
  virtual absl::Status Fence(const std::string& writer, uint64_t incarnation) = 0;

  // The durable state; nullopt: an unknown lane.
  virtual std::optional<LaneState> FindLane(const LaneKey& lane) const = 0;
  virtual std::vector<std::pair<LaneKey, LaneState>> Lanes() const = 0;

  // Calls `opened` (perhaps before it returns) when all that older writers of this lane took is
  // durable or dropped; FindLane then says where to go on. What it takes is that incarnation's:
  // where the step is a transaction, it fails if a newer one has fenced it by then.
  virtual void OpenLane(const LaneKey& lane, uint64_t incarnation, OpenedLane opened) = 0;

  // Makes what was taken durable; OnDurable or OnFailed follow, perhaps before this returns.
  // Called about every 200 ms while there is something, see store_sessions.h.
  virtual void Commit() = 0;

  // Plain samples. Calls `done` when they are durable. Errors: kUnavailable.
  using Written = std::function<void(absl::StatusOr<storage::v1::WriteResponse>)>;
  virtual void Write(const storage::v1::WriteRequest& request, Written done) = 0;

  // Housekeeping in a step of at most about 20 ms. True: there is more to do soon.
  virtual bool Maintain() { return false; }

  // Nothing more is taken; a Write that still waits fails now.
  virtual void Shutdown() {}

  // Reads; may take a second.
  virtual StoreStats Stats() = 0;
};

// Makes a back end whose callbacks run on `loop` (the store thread's). Called on the store thread.
using StoreBackendFactory =
    absl::AnyInvocable<absl::StatusOr<std::unique_ptr<StoreBackend>>(EventLoop& loop)>;

}  // namespace trawl

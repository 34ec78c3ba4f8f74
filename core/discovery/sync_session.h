#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/base/event_loop.h"
#include "core/discovery/target_sets.h"

namespace trawl {

class Discovery;

// What a Sync client says after its Hello (trawl.discovery.v1.SyncRequest without protobuf).
struct SyncBegin {
  uint64_t version = 0;
  uint64_t groups = 0;
  uint64_t bytes = 0;
  bool allow_shrink = false;
  uint64_t source_targets = 0;
};
struct SyncPart {
  std::vector<JobGroup> groups;
  uint64_t bytes = 0;  // serialized size of the message
};
struct SyncEnd {};
struct SyncDelta {
  uint64_t base_version = 0;
  uint64_t version = 0;
  std::vector<JobGroup> upsert;
  std::vector<GroupName> remove;
  bool allow_shrink = false;
  uint64_t source_targets = 0;
};
struct SyncHeartbeat {};
struct SyncInput {
  uint64_t id = 0;
  std::variant<std::monostate, StreamHello, SyncBegin, SyncPart, SyncEnd, SyncDelta, SyncHeartbeat>
      message;
  uint64_t bytes = 0;  // serialized size
};

// What it is told.
struct SyncWelcome {
  HelloResult hello;
};
struct SyncAck {
  uint64_t id = 0;
  bool staged = false;  // a part was taken; `result` has only the applied version
  ApplyResult result;
  std::optional<absl::Duration> retry_after;
};
struct SyncResync {
  std::string reason;
  SyncNeed need = SyncNeed::kSnapshot;
  uint64_t applied_version = 0;
  std::string history_id;
};
struct SyncGoaway {
  std::string reason;
  std::optional<absl::Duration> retry_after;
  bool fenced = false;
};
struct SyncWant {
  std::vector<GroupName> groups;
};
struct SyncOutput {
  std::variant<SyncWelcome, SyncAck, SyncResync, SyncGoaway, SyncWant> message;
};

// The edge's half of a stream: sends, and ends the stream with a status. Called on the discovery
// loop; must not block. Outlives the session's last call.
class SyncPeer {
 public:
  virtual ~SyncPeer() = default;
  virtual void Send(SyncOutput output) = 0;
  virtual void Finish(absl::Status status) = 0;
};

// One Sync stream's protocol state: Hello first, snapshots staged in parts, deltas, heartbeats;
// each request message gets its Ack in the order of the requests (discovery-protocol.md 3 to 8).
// A stream that ends before SnapshotEnd changes nothing. One that says no Hello in time, or before
// too many others came, ends, and so does one that is silent for long: nobody else could have its
// source.
//
// Discovery loop's thread only.
class SyncSession {
 public:
  SyncSession(Discovery& discovery, uint64_t stream_id, SyncPeer& peer);
  ~SyncSession();

  void OnMessage(SyncInput input);
  // The client closed its side: the stream ends when all acks are out.
  void OnHalfClose();
  // The source was changed by nobody's message: the client is asked for a resync, behind the acks
  // of what it said before.
  void OnChangedElsewhere(std::string reason);
  // Ends the stream if nothing was heard for too long.
  void CheckSilence();
  // Too many others that said no Hello are newer.
  void OnCrowdedOut();
  // Another client took the source over.
  void OnDisplaced(bool fenced);
  // The server stops.
  void OnShutdown();
  // Asks for refused groups again, if there is a reason.
  void AskAgain();

  uint64_t stream_id() const { return stream_id_; }
  const std::string& source() const { return hello_.source; }

 private:
  struct Staged {
    explicit Staged(SyncBegin b) : begin(b) {}
    SyncBegin begin;
    std::vector<JobGroup> groups;
    uint64_t bytes = 0;             // of the parts, serialized
    uint64_t memory = 0;            // that they take
    uint64_t reserved = 0;          // of all that may be staged
    uint64_t applied_at_begin = 0;  // version
    TimerId stall_timer = 0;
  };
  struct PendingAnswer {
    SyncAck ack;
    uint64_t version = 0;  // of the change, which is where the client is
    bool ready = false;
    std::optional<std::string> resync;  // in place of the ack, for this reason
  };

  absl::Status CheckHello(uint64_t bytes) const;
  void OnHello(StreamHello hello);
  void OnBegin(uint64_t id, const SyncBegin& begin);
  void OnPart(uint64_t id, SyncPart part);
  void OnEnd(uint64_t id);
  void OnDelta(uint64_t id, SyncDelta delta);
  void Apply(uint64_t id, Change change);
  void OnPlainMessage(SyncInput input);
  bool Stage(std::vector<JobGroup> groups);
  SyncAck Rejection(uint64_t id, IssueCode code, std::string detail) const;
  void RejectMessage(uint64_t id, IssueCode code, std::string detail);
  void RejectForLimit(uint64_t id, std::string_view limit, std::string detail,
                      std::optional<absl::Duration> retry_after);
  void AckStaged(uint64_t id);
  void QueueAck(SyncAck ack, uint64_t version = 0);
  void FlushAcks();
  void SendResync(const std::string& reason, uint64_t version);
  absl::Duration SilenceLimit() const;
  void ArmSilence(absl::Duration time);
  void DropStaged();
  void LetGo();
  void End(absl::Status status);

  Discovery& discovery_;
  const uint64_t stream_id_;
  SyncPeer& peer_;

  StreamHello hello_;
  bool welcomed_ = false;
  bool ended_ = false;
  bool half_closed_ = false;
  bool reserved_ = false;        // one of the streams that there may be
  absl::Duration silent_since_;  // when the client last spoke, or got an answer
  TimerId silence_timer_ = 0;
  std::optional<Staged> staged_;
  // Acks leave in the order of the requests: one that waits for its loops holds the later ones.
  std::map<uint64_t, PendingAnswer> pending_acks_;  // by sequence number
  uint64_t next_pending_ = 1;
};

}  // namespace trawl

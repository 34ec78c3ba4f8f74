#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/store/append_session.h"
#include "client/store/store_backend.h"
#include "core/base/event_loop.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// All Append streams of a store: who may write which lane, when to commit, what to answer.
//
// Guarantees (numbers are proto/README.md's):
//   1. A Hello is answered after the writer's incarnation is durable (S6), and after all that older
//      streams of its lane brought is durable or dropped (S2). Of two streams of a lane the newer
//      one stays, the older gets Goaway.
//   2. An Ack tells only what is durable (S1), at the latest commit_interval, or
//      commit_messages messages, after it came.
//   3. Ping is answered by the thread that commits (S11); a writer that is silent for drop_after
//      is dropped.
//   4. When the back end fails, every stream ends with UNAVAILABLE: writers resume from what is
//      durable.
// Store thread only. Independent of gRPC; storage_service.h brings it to the wire.
class StoreSessions : private StoreBackend::Observer {
 public:
  struct Options {
    std::string version;
    absl::Duration commit_interval = absl::Milliseconds(200);
    size_t commit_messages = 8;
    absl::Duration ping_after = absl::Seconds(5);
    absl::Duration drop_after = absl::Seconds(20);
    absl::Duration maintain_interval = absl::Seconds(1);
  };
  struct Deps {
    EventLoop& loop;
    StoreBackend& backend;
  };
  using StreamId = uint64_t;

  StoreSessions(const Options& options, const Deps& deps);
  ~StoreSessions() override;

  // A stream has opened. Ids are the caller's, each used once.
  void OnOpened(StreamId id, std::shared_ptr<StoreStream> stream);
  void OnRequest(StreamId id, const storage::v1::AppendRequest& request);
  // The writer sends no more: what it sent is committed and acked, then the stream ends.
  void OnHalfClosed(StreamId id);
  // The stream is gone.
  void OnClosed(StreamId id);

  void Write(const storage::v1::WriteRequest& request, StoreBackend::Written done);
  absl::StatusOr<storage::v1::GetWriterStateResponse> WriterState(
      const std::string& writer_id) const;

  // Refuses what is new, commits, acks, ends all streams with Goaway.
  void Shutdown();
  size_t open_streams() const { return streams_.size(); }

 private:
  struct Stream {
    std::shared_ptr<StoreStream> wire;
    std::unique_ptr<AppendSession> session;  // null before Welcome
    LaneKey lane;                            // empty writer: no Hello yet
    uint64_t incarnation = 0;
    bool half_closed = false;
    bool pinged = false;
    absl::Duration last_heard;
  };

  void OnDurable(const LaneKey& lane, const LaneState& state,
                 const std::vector<storage::v1::Reject>& rejects) override;
  void OnFailed(const absl::Status& status) override;

  absl::Status Handle(StreamId id, Stream& stream, const storage::v1::AppendRequest& request);
  absl::Status OnHello(StreamId id, const storage::v1::Hello& hello);
  absl::Status Fence(const storage::v1::Hello& hello);
  void EndOlderStreams(StreamId id, const LaneKey& lane);
  void OnLaneOpened(StreamId id, absl::StatusOr<std::unique_ptr<LaneWriter>> writer);
  void SendWelcome(Stream& stream);
  absl::Status OnRecords(Stream& stream, const storage::v1::Records& records);
  absl::Status OnGap(Stream& stream, const storage::v1::Gap& gap);
  void End(StreamId id, const absl::Status& status);
  void EndIfDrained(StreamId id);
  Stream* FindLaneStream(const LaneKey& lane, StreamId* id);
  void CommitSoon();
  void Commit();
  void Watch();
  void WatchStream(StreamId id, Stream& stream, absl::Duration now, std::vector<StreamId>& silent);
  void Maintain();

  const Options options_;
  EventLoop& loop_;
  StoreBackend& backend_;
  std::map<StreamId, Stream> streams_;
  bool shut_down_ = false;
  uint64_t last_nonce_ = 0;
  TimerId commit_timer_ = 0;
  TimerId watch_timer_ = 0;
  TimerId maintain_timer_ = 0;
  bool commit_posted_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // posted callbacks look at it
};

}  // namespace trawl

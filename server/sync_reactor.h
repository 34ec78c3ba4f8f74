#pragma once

#include <grpcpp/support/server_callback.h>

#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "core/base/mutex.h"
#include "core/discovery/discovery.h"
#include "core/discovery/sync_session.h"
#include "core/model/labels.h"
#include "server/access/access_control.h"
#include "trawl/discovery/v1/discovery.pb.h"

namespace trawl {

// gRPC's half of a Sync stream: carries messages to its session on the discovery loop, and the
// session's answers back.
//
// Bounds: one message is between gRPC and the session at a time; when max_unanswered requests
// have no answer on the wire, no more is read, and the client feels it. One write is under way at
// a time. Deletes itself when gRPC and the session are both done with it.
//
// The peer's methods are called on the discovery loop, the reactor's on gRPC's threads, End on any.
class SyncReactor final
    : public grpc::ServerBidiReactor<discovery::v1::SyncRequest, discovery::v1::SyncResponse>,
      private SyncPeer,
      private OpenStream {
 public:
  struct Options {
    size_t max_unanswered = 64;
  };
  struct Deps {
    Discovery& discovery;
    // For Welcome. Thread-safe.
    std::function<Labels()> external_labels;
    // What the client may push, and for how long. Outlives the stream.
    AccessControl& access;
  };

  // `caller`: who the client of this call is.
  SyncReactor(const Options& options, Deps deps, const grpc::ServerContextBase& context,
              Caller caller);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  // SyncPeer
  void Send(SyncOutput output) override;
  void Finish(absl::Status status) override;
  // OpenStream
  void End(const absl::Status& why) override;

  // Whether the client may push what its Hello names; tells the session which jobs it may write.
  absl::Status CheckHello(SyncInput& input) const;
  discovery::v1::Welcome MakeWelcome(const HelloResult& hello) const;
  void AddTimes(const std::string& source, discovery::v1::Welcome& welcome) const;
  // The session has seen the last message.
  void OnHandled();
  void Queue(discovery::v1::SyncResponse response, bool answers);
  void ReadIfRoom() TRAWL_REQUIRES(mutex_);
  void WriteNext() TRAWL_REQUIRES(mutex_);
  void EndNow(grpc::Status status) TRAWL_REQUIRES(mutex_);

  // Constant after construction.
  const Options options_;
  const Deps deps_;
  const std::string peer_;
  const Caller caller_;
  const uint64_t stream_id_;

  // Owned by the read that is under way, and by who handles it.
  discovery::v1::SyncRequest request_;
  std::string source_;  // of the Hello; discovery loop

  // Start… and Finish are called with the lock held, so that none can come after Finish. gRPC
  // runs no reaction from inside them (ServerReactor::InternalInlineable).
  struct Outgoing {
    discovery::v1::SyncResponse message;
    bool answers = false;  // a request
  };
  Mutex mutex_;
  std::deque<Outgoing> outbox_ TRAWL_GUARDED_BY(mutex_);  // front: being written
  bool writing_ TRAWL_GUARDED_BY(mutex_) = false;
  bool reading_ TRAWL_GUARDED_BY(mutex_) = false;  // or being handled
  bool read_ended_ TRAWL_GUARDED_BY(mutex_) = false;
  bool finished_ TRAWL_GUARDED_BY(mutex_) = false;
  size_t unanswered_ TRAWL_GUARDED_BY(mutex_) = 0;
  std::optional<grpc::Status> end_ TRAWL_GUARDED_BY(mutex_);  // when the outbox is empty
};

}  // namespace trawl

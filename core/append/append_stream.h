#pragma once

#include <memory>

#include "absl/status/status.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// One Append stream of a lane to one storage service, without gRPC's types.
//
// Guarantees: the observer's methods run on the loop that opened the stream, never from inside
// Write or Cancel; OnWritten comes once for each Write, unless the stream ends before; OnClosed
// comes exactly once, last. Only ONE Write may be pending: wait for OnWritten, even when an ack
// overtakes it.
// One thread: the loop's.
class AppendStream {
 public:
  class Observer {
   public:
    virtual ~Observer() = default;
    virtual void OnMessage(const storage::v1::AppendResponse& message) = 0;
    virtual void OnWritten() = 0;
    // OK when the store ended the stream; else why it broke.
    virtual void OnClosed(const absl::Status& status) = 0;
  };

  // Destroying the stream cancels it; the observer hears no more. May be done from inside one of
  // the observer's methods.
  virtual ~AppendStream() = default;
  virtual void Write(storage::v1::AppendRequest message) = 0;
  // No more writes; the store may still answer.
  virtual void HalfClose() = 0;
  // Ends it now; OnClosed(kCancelled) follows.
  virtual void Cancel() = 0;
};

// Opens streams to one sink. Loop's thread.
class AppendStreamFactory {
 public:
  virtual ~AppendStreamFactory() = default;
  // `observer` must outlive the stream.
  virtual std::unique_ptr<AppendStream> Open(AppendStream::Observer& observer) = 0;
};

}  // namespace trawl

#pragma once

#include <memory>

#include "absl/status/status.h"

namespace trawl {

// A bidirectional stream of messages to one server, without gRPC's types: this program is the
// client.
//
// Guarantees: the observer's methods run on the loop that opened the stream, never from inside
// Write or Cancel; OnWritten comes once for each Write, unless the stream ends before; OnClosed
// comes exactly once, last. Only ONE Write may be pending: wait for OnWritten, even when an
// answer overtakes it.
// One thread: the loop's.
template <typename Request, typename Response>
class MessageStream {
 public:
  class Observer {
   public:
    virtual ~Observer() = default;
    virtual void OnMessage(const Response& message) = 0;
    virtual void OnWritten() = 0;
    // OK when the server ended the stream; else why it broke.
    virtual void OnClosed(const absl::Status& status) = 0;
  };

  // Destroying the stream cancels it; the observer hears no more. May be done from inside one of
  // the observer's methods.
  virtual ~MessageStream() = default;
  virtual void Write(Request message) = 0;
  // No more writes; the server may still answer.
  virtual void HalfClose() = 0;
  // Ends it now; OnClosed(kCancelled) follows.
  virtual void Cancel() = 0;
};

// Opens streams to one server. Loop's thread.
template <typename Request, typename Response>
class MessageStreamFactory {
 public:
  using Stream = MessageStream<Request, Response>;

  virtual ~MessageStreamFactory() = default;
  // `observer` must outlive the stream.
  virtual std::unique_ptr<Stream> Open(typename Stream::Observer& observer) = 0;
};

}  // namespace trawl

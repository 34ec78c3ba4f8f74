#pragma once

#include <grpcpp/support/client_interceptor.h>
#include <grpcpp/support/server_interceptor.h>

#include <functional>
#include <memory>
#include <string>

namespace trawl {

// Interceptors that tell of each message of Append streams, by the name of its kind ("ack"):
//
//   before send ack   it was made, and nothing of it has gone out
//   after send ack    all of it has been handed to the transport
//   before take ack   it has come, and the program knows nothing of it
//   after take ack    the program has done with it what is done at once: it asks for the next one
//
// The last for the writer alone: a store asks for the next message before it is done with one.
// The observer is called on the thread that comes to the point, outlives the calls, and may end
// the process. Thread-safe.
using AppendObserver = std::function<void(const std::string& point)>;

std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> MakeWriterKillPoints(
    AppendObserver observer);
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeStoreKillPoints(
    AppendObserver observer);

}  // namespace trawl

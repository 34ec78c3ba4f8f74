#include "tests/killpoints/append_kill_points.h"

#include <utility>

#include "core/base/concat.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {
namespace {

using grpc::experimental::InterceptorBatchMethods;
using Hook = grpc::experimental::InterceptionHookPoints;
using storage::v1::AppendRequest;
using storage::v1::AppendResponse;

constexpr std::string_view kAppend = "/trawl.storage.v1.StorageService/Append";

// "ack": the name of the one field that is set.
template <typename Message>
std::string KindOf(const void* message) {
  const Message& typed = *static_cast<const Message*>(message);
  const auto* const field = typed.GetReflection()->GetOneofFieldDescriptor(
      typed, Message::descriptor()->FindOneofByName("msg"));
  return field == nullptr ? "nothing" : field->name();
}

// Of one call. Of sends there is one at a time, and of reads: each has its own state.
template <typename Sent, typename Taken>
class AppendInterceptor final : public grpc::experimental::Interceptor {
 public:
  AppendInterceptor(const AppendObserver& observer, bool reads_when_done)
      : observer_(observer), reads_when_done_(reads_when_done) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(Hook::PRE_SEND_CANCEL))
      return;  // has no more to ask for
    OnSend(*methods);
    OnRead(*methods);
    methods->Proceed();
  }

 private:
  void OnSend(InterceptorBatchMethods& methods) {
    if (methods.QueryInterceptionHookPoint(Hook::PRE_SEND_MESSAGE)) {
      sent_ = KindOf<Sent>(methods.GetSendMessage());
      observer_(Concat("before send ", sent_));
    } else if (methods.QueryInterceptionHookPoint(Hook::POST_SEND_MESSAGE)) {
      observer_(Concat("after send ", sent_));
    }
  }

  // Also called as a read begins, which has no hook point of its own.
  void OnRead(InterceptorBatchMethods& methods) {
    const void* const message = methods.GetRecvMessage();
    if (message == nullptr) return;
    if (methods.QueryInterceptionHookPoint(Hook::POST_RECV_MESSAGE)) {
      taken_ = KindOf<Taken>(message);
      observer_(Concat("before take ", taken_));
    } else if (reads_when_done_ && !taken_.empty()) {
      observer_(Concat("after take ", taken_));
    }
  }

  const AppendObserver& observer_;
  const bool reads_when_done_;
  std::string sent_;
  std::string taken_;
};

// Sees calls of other methods, and does nothing there.
class PassingInterceptor final : public grpc::experimental::Interceptor {
 public:
  void Intercept(InterceptorBatchMethods* methods) override { methods->Proceed(); }
};

class WriterKillPoints final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit WriterKillPoints(AppendObserver observer) : observer_(std::move(observer)) {}

  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* info) override {
    if (info->method() != kAppend) return new PassingInterceptor;
    return new AppendInterceptor<AppendRequest, AppendResponse>(observer_,
                                                                /*reads_when_done=*/true);
  }

 private:
  const AppendObserver observer_;
};

class StoreKillPoints final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit StoreKillPoints(AppendObserver observer) : observer_(std::move(observer)) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    if (info->method() != kAppend) return new PassingInterceptor;
    return new AppendInterceptor<AppendResponse, AppendRequest>(observer_,
                                                                /*reads_when_done=*/false);
  }

 private:
  const AppendObserver observer_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> MakeWriterKillPoints(
    AppendObserver observer) {
  return std::make_unique<WriterKillPoints>(std::move(observer));
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeStoreKillPoints(
    AppendObserver observer) {
  return std::make_unique<StoreKillPoints>(std::move(observer));
}

}  // namespace trawl

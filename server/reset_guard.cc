#include "server/reset_guard.h"

#include <grpcpp/server_context.h>

#include <utility>

namespace trawl {
namespace {

class Interceptor : public grpc::experimental::Interceptor {
 public:
  Interceptor(ResetGuard& guard, grpc::ServerContextBase& call) : guard_(guard), call_(call) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    using grpc::experimental::InterceptionHookPoints;
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_CLOSE) &&
        call_.IsCancelled()) {
      guard_.OnReset(call_.peer());
    }
    methods->Proceed();
  }

 private:
  ResetGuard& guard_;
  grpc::ServerContextBase& call_;
};

class Factory : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(ResetGuard& guard) : guard_(guard) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    return new Interceptor(guard_, *info->server_context());
  }

 private:
  ResetGuard& guard_;
};

}  // namespace

void ResetGuard::OnReset(std::string_view peer) {
  if (TooMany(peer) && options_.on_flood != nullptr) options_.on_flood(peer);
}

bool ResetGuard::TooMany(std::string_view peer) {
  const int64_t second = absl::ToInt64Seconds(clock_.Steady());
  MutexLock lock(mutex_);
  if (std::exchange(second_, second) != second) resets_.clear();
  return ++resets_[peer] == options_.max_resets + 1;
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> ResetGuard::Interceptors() {
  return std::make_unique<Factory>(*this);
}

}  // namespace trawl

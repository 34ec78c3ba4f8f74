#include "client/store/http_senders.h"

#include <utility>

namespace trawl {

HttpSenders::HttpSenders(const Options& options, const std::shared_ptr<const HttpClient>& client,
                         EventLoop& loop)
    : options_(options), loop_(loop) {
  for (size_t i = 0; i < options_.threads; ++i) {
    clients_.push_back(std::make_unique<BlockingHttpClient>(
        BlockingHttpClient::Options{.user_agent = options_.user_agent}, client));
  }
  for (auto& one : clients_) threads_.emplace_back([this, &one] { Run(*one); });
}

HttpSenders::~HttpSenders() {
  {
    MutexLock lock(mutex_);
    stop_ = true;
  }
  wake_.NotifyAll();
  for (auto& client : clients_) client->Cancel();
  for (std::thread& thread : threads_) thread.join();
}

void HttpSenders::Send(std::string body, Done done) {
  {
    MutexLock lock(mutex_);
    jobs_.push_back({std::move(body), std::move(done)});
  }
  wake_.NotifyOne();
}

void HttpSenders::Run(BlockingHttpClient& client) {
  while (true) {
    Job job;
    {
      MutexLock lock(mutex_);
      while (!stop_ && jobs_.empty()) wake_.Wait(mutex_);
      if (stop_) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    auto answer = client.Post({.url = options_.url,
                               .headers = options_.headers,
                               .body = std::move(job.body),
                               .timeout = options_.timeout});
    loop_.Post([done = std::move(job.done), answer = std::move(answer)]() mutable {
      done(std::move(answer));
    });
  }
}

}  // namespace trawl

#include "client/store/http_senders.h"

#include <utility>

#include "core/base/status_macros.h"
#include "core/fetch/curl_http_client.h"
#include "core/fetch/fetch_url.h"

namespace trawl {

absl::Status CheckRemoteWriteUrl(const std::string& url) {
  return Annotate(ParseFetchUrl(url).status(), "remote-write URL");
}

absl::StatusOr<std::shared_ptr<const HttpAccess>> MakeHttpAccess(std::string url,
                                                                 const HttpClientConfig& config,
                                                                 absl::Duration timeout) {
  RETURN_IF_ERROR(CheckRemoteWriteUrl(url));
  CurlHttpClientFactory factory;
  ASSIGN_OR_RETURN(auto client, factory.MakeClient(config));
  return std::make_shared<const HttpAccess>(HttpAccess{std::move(url), std::move(client), timeout});
}

HttpSenders::HttpSenders(const Options& options,
                         std::shared_ptr<const Published<HttpAccess>> access, EventLoop& loop)
    : options_(options), access_(std::move(access)), loop_(loop) {
  for (size_t i = 0; i < options_.threads; ++i) {
    clients_.push_back(std::make_unique<BlockingHttpClient>(
        BlockingHttpClient::Options{.user_agent = options_.user_agent}, access_->Get()->client));
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
    const std::shared_ptr<const HttpAccess> access = access_->Get();
    client.SetClient(access->client);
    auto answer = client.Post({.url = access->url,
                               .headers = options_.headers,
                               .body = std::move(job.body),
                               .timeout = access->timeout});
    loop_.Post([done = std::move(job.done), answer = std::move(answer)]() mutable {
      done(std::move(answer));
    });
  }
}

}  // namespace trawl

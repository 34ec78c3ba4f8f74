#pragma once

#include <httplib.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/store/store_sessions.h"
#include "core/base/mutex.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// A remote-write endpoint: decodes what comes, answers what the test scripts, then 204.
class RemoteWriteEndpoint {
 public:
  struct Sample {
    std::string labels;
    double value;
    int64_t time_ms;
  };
  struct Answer {
    int status = 204;
    std::string retry_after = {};
  };

  RemoteWriteEndpoint();
  ~RemoteWriteEndpoint();

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/write"; }
  void Script(std::deque<Answer> answers) {
    MutexLock lock(mutex_);
    answers_ = std::move(answers);
  }
  // Refuses each request with a series of this name, all of it, with 400.
  void RefuseMetric(const std::string& name) {
    MutexLock lock(mutex_);
    refused_ = "__name__=" + name + ",";
  }
  std::vector<Sample> accepted() {
    MutexLock lock(mutex_);
    return accepted_;
  }
  size_t requests() {
    MutexLock lock(mutex_);
    return requests_;
  }
  httplib::Headers headers() {
    MutexLock lock(mutex_);
    return headers_;
  }

 private:
  void Handle(const httplib::Request& request, httplib::Response& response);

  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
  Mutex mutex_;
  std::deque<Answer> answers_ TRAWL_GUARDED_BY(mutex_);
  std::string refused_ TRAWL_GUARDED_BY(mutex_);
  std::vector<Sample> accepted_ TRAWL_GUARDED_BY(mutex_);
  size_t requests_ TRAWL_GUARDED_BY(mutex_) = 0;
  httplib::Headers headers_ TRAWL_GUARDED_BY(mutex_);
};

// A stream whose answers the test's thread waits for.
class WaitingStream final : public StoreStream {
 public:
  void Send(storage::v1::AppendResponse message) override {
    MutexLock lock(mutex_);
    if (message.has_welcome()) welcome_ = message.welcome();
    if (message.has_ack()) {
      ack_ = message.ack();
      for (const auto& reject : message.ack().rejects()) rejects_.push_back(reject);
    }
    changed_.NotifyAll();
  }
  void Finish(const absl::Status&) override {
    MutexLock lock(mutex_);
    finished_ = true;
    changed_.NotifyAll();
  }

  storage::v1::Welcome WaitWelcome() {
    MutexLock lock(mutex_);
    while (!welcome_.has_value() && !finished_) changed_.Wait(mutex_);
    return welcome_.value_or(storage::v1::Welcome());
  }
  storage::v1::Ack WaitDurable(uint64_t number) {
    MutexLock lock(mutex_);
    while (ack_.durable() < number && !finished_) changed_.Wait(mutex_);
    return ack_;
  }
  std::vector<storage::v1::Reject> rejects() {
    MutexLock lock(mutex_);
    return rejects_;
  }
  storage::v1::Ack ack() {
    MutexLock lock(mutex_);
    return ack_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::optional<storage::v1::Welcome> welcome_ TRAWL_GUARDED_BY(mutex_);
  storage::v1::Ack ack_ TRAWL_GUARDED_BY(mutex_);
  std::vector<storage::v1::Reject> rejects_ TRAWL_GUARDED_BY(mutex_);
  bool finished_ TRAWL_GUARDED_BY(mutex_) = false;
};

}  // namespace trawl

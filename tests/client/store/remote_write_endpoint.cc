#include "tests/client/store/remote_write_endpoint.h"

#include <snappy.h>

#include <utility>

#include "prometheus/v1/remote.pb.h"

namespace trawl {

RemoteWriteEndpoint::RemoteWriteEndpoint() {
  server_.Post("/write", [this](const httplib::Request& request, httplib::Response& response) {
    Handle(request, response);
  });
  port_ = server_.bind_to_any_port("127.0.0.1");
  thread_ = std::thread([this] { server_.listen_after_bind(); });
  // A server that is stopped before it listens goes on.
  while (!server_.is_running()) std::this_thread::yield();
}

RemoteWriteEndpoint::~RemoteWriteEndpoint() {
  server_.stop();
  thread_.join();
}

void RemoteWriteEndpoint::Handle(const httplib::Request& request, httplib::Response& response) {
  std::string raw;
  prometheus::v1::WriteRequest write;
  MutexLock lock(mutex_);
  ++requests_;
  headers_ = request.headers;
  if (!snappy::Uncompress(request.body.data(), request.body.size(), &raw) ||
      !write.ParseFromString(raw)) {
    response.status = 400;
    return;
  }
  std::vector<Sample> samples;
  bool refused = false;
  for (const auto& series : write.timeseries()) {
    std::string labels;
    for (const auto& label : series.labels()) labels += label.name() + "=" + label.value() + ",";
    refused |= !refused_.empty() && labels.find(refused_) != std::string::npos;
    for (const auto& sample : series.samples()) {
      samples.push_back({labels, sample.value(), sample.timestamp()});
    }
  }
  Answer answer;
  if (!answers_.empty()) {
    answer = answers_.front();
    answers_.pop_front();
  } else if (refused) {
    answer.status = 400;
  }
  response.status = answer.status;
  if (answer.status != 204) response.body = "because";
  if (!answer.retry_after.empty()) response.set_header("Retry-After", answer.retry_after);
  if (answer.status == 204) accepted_.insert(accepted_.end(), samples.begin(), samples.end());
}

}  // namespace trawl

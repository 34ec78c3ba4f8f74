#include "tests/fakes/fake_fetcher.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace trawl {
namespace {

absl::StatusCode CodeOf(FailureReason reason) {
  switch (reason) {
    case FailureReason::kTimeoutDns:
    case FailureReason::kTimeoutConnect:
    case FailureReason::kTimeoutTls:
    case FailureReason::kTimeoutResponse:
    case FailureReason::kTimeoutBody:
      return absl::StatusCode::kDeadlineExceeded;
    case FailureReason::kBodySizeLimit:
    case FailureReason::kDescriptors:
      return absl::StatusCode::kResourceExhausted;
    default:
      return absl::StatusCode::kUnavailable;
  }
}

}  // namespace

FakeFetcher::~FakeFetcher() {
  while (!flights_.empty()) Cancel(flights_.begin()->first);
}

void FakeFetcher::Serve(const std::string& url, Reply reply) {
  scripts_[url] = {.reply = std::move(reply)};
}

void FakeFetcher::Fail(const std::string& url, FailureReason reason, const std::string& message) {
  scripts_[url] = {.failure = reason, .message = message};
}

void FakeFetcher::Hold(const std::string& url) { scripts_[url].held = true; }

void FakeFetcher::Release(const std::string& url) {
  scripts_[url].held = false;
  for (const auto& [id, flight] : flights_) {
    if (flight.request.url == url && flight.answer == 0) ScheduleAnswer(id);
  }
}

size_t FakeFetcher::RequestCount(const std::string& url) const {
  size_t count = 0;
  for (const FetchRequest& request : requests_) count += request.url == url ? 1 : 0;
  return count;
}

Fetcher::FetchId FakeFetcher::Fetch(FetchRequest request, Callback callback) {
  const FetchId id = next_id_++;
  requests_.push_back(request);
  Flight& flight = flights_[id];
  flight.deadline = loop_.RunAfter(request.timeout, [this, id] { OnDeadline(id); });
  flight.request = std::move(request);
  flight.callback = std::move(callback);
  flight.started = loop_.clock().Steady();
  if (!ScriptFor(flight.request.url).held) ScheduleAnswer(id);
  return id;
}

void FakeFetcher::Cancel(FetchId id) {
  const auto found = flights_.find(id);
  if (found == flights_.end()) return;
  loop_.Cancel(found->second.answer);
  loop_.Cancel(found->second.deadline);
  flights_.erase(found);
}

std::vector<std::string> FakeFetcher::HeadOf(const Reply& reply) {
  std::vector<std::string> head = {"HTTP/1.1 " + reply.status_line};
  if (!reply.content_type.empty()) head.push_back("Content-Type: " + reply.content_type);
  if (!reply.content_encoding.empty()) {
    head.push_back("Content-Encoding: " + reply.content_encoding);
  }
  head.insert(head.end(), reply.headers.begin(), reply.headers.end());
  return head;
}

FakeFetcher::Script FakeFetcher::ScriptFor(const std::string& url) const {
  const auto found = scripts_.find(url);
  if (found != scripts_.end()) return found->second;
  return {.failure = FailureReason::kConnectionRefused,
          .message = "dial tcp: connect: connection refused"};
}

void FakeFetcher::ScheduleAnswer(FetchId id) {
  Flight& flight = flights_.at(id);
  flight.answer =
      loop_.RunAfter(ScriptFor(flight.request.url).reply.delay, [this, id] { Answer(id); });
}

void FakeFetcher::Answer(FetchId id) {
  const FetchRequest& request = flights_.at(id).request;
  const Script script = ScriptFor(request.url);
  FetchOutcome outcome;
  if (script.failure != FailureReason::kNone) {
    outcome.error.reason = script.failure;
    outcome.error.status = absl::Status(
        CodeOf(script.failure), absl::StrCat("Get \"", request.url, "\": ", script.message));
  } else if (request.max_wire_bytes != 0 && script.reply.body.size() > request.max_wire_bytes) {
    outcome.error.reason = FailureReason::kBodySizeLimit;
    outcome.error.status = absl::ResourceExhaustedError("body size limit exceeded");
  } else {
    outcome.response.status_code = script.reply.status_code;
    outcome.response.status_line = script.reply.status_line;
    outcome.response.content_type = script.reply.content_type;
    outcome.response.content_encoding = script.reply.content_encoding;
    outcome.response.body = script.reply.body;
    if (request.keep_head) outcome.response.head = HeadOf(script.reply);
    outcome.response.timings = script.reply.timings;
  }
  End(id, std::move(outcome));
}

void FakeFetcher::OnDeadline(FetchId id) {
  FetchOutcome outcome;
  outcome.error.reason = FailureReason::kTimeoutResponse;
  outcome.error.status = absl::DeadlineExceededError(
      absl::StrCat("Get \"", flights_.at(id).request.url, "\": context deadline exceeded"));
  End(id, std::move(outcome));
}

void FakeFetcher::End(FetchId id, FetchOutcome outcome) {
  Flight flight = std::move(flights_.at(id));
  Cancel(id);
  const absl::Duration total = loop_.clock().Steady() - flight.started;
  outcome.response.timings.total = total;
  outcome.error.timings.total = total;
  flight.callback(outcome);
}

absl::StatusOr<std::shared_ptr<const HttpClient>> FakeHttpClientFactory::MakeClient(
    const HttpClientConfig& config) {
  if (!next_error_.ok()) return std::exchange(next_error_, absl::OkStatus());
  return std::make_shared<FakeHttpClient>(config);
}

}  // namespace trawl

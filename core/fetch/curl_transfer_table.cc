#include "core/fetch/curl_transfer_table.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/concat.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"
#include "core/fetch/curl_http_client.h"
#include "core/fetch/tls_context.h"

namespace trawl {
namespace {

constexpr size_t kMaxFreeEasies = 256;

// Headers that say who we are: not for another host (spec 7.5).
bool IsCredential(const std::string& header) {
  for (const char* name : {"authorization:", "proxy-authorization:", "cookie:"}) {
    if (absl::StartsWithIgnoreCase(header, name)) return true;
  }
  return false;
}

void Describe(const CurlEasy& easy, FetchResponse& out) {
  out.status_code = easy.head().status_code();
  out.status_line = easy.head().status_line();
  out.content_type = easy.head().content_type();
  out.content_encoding = easy.head().content_encoding();
  out.head = easy.head().lines();
  out.body = easy.body();
}

}  // namespace

CurlTransferTable::CurlTransferTable(CurlFetcher::Options options, CurlFetcher::Deps deps)
    : options_(std::move(options)),
      loop_(deps.loop),
      resolver_(deps.resolver),
      budget_(deps.budget),
      bodies_(deps.bodies),
      cells_({options_.max_cell_endpoints},
             {deps.loop, deps.watcher, deps.budget,
              [this](CurlEasy& easy, CURLcode code) { OnDone(easy, code); }}) {
  curl_global_init(CURL_GLOBAL_DEFAULT);  // thread-safe and counted since 7.84
  bodies_.set_on_free([this] { ScheduleQueues(); });
}

CurlTransferTable::~CurlTransferTable() {
  bodies_.set_on_free(nullptr);
  while (!transfers_.empty()) Cancel(transfers_.begin()->first);
  loop_.Cancel(queue_timer_);
  budget_.CancelNotify(descriptor_wait_);
}

Fetcher::FetchId CurlTransferTable::Begin(FetchRequest request, Fetcher::Callback callback) {
  auto owned = std::make_unique<CurlTransfer>();
  CurlTransfer& transfer = *owned;
  transfer.id = next_id_++;
  transfer.request = std::move(request);
  transfer.callback = std::move(callback);
  transfer.client = dynamic_cast<const CurlHttpClient*>(transfer.request.client.get());
  transfer.started = loop_.clock().Steady();
  transfer.deadline =
      loop_.RunAfter(transfer.request.timeout, [this, id = transfer.id] { OnDeadline(id); });
  transfers_.emplace(transfer.id, std::move(owned));
  auto url = ParseFetchUrl(transfer.request.url);
  transfer.url.text = transfer.request.url;
  if (url.ok()) {
    Follow(transfer, *std::move(url));
  } else {
    FailLater(transfer, {url.status(), FailureReason::kInvalidTarget});
  }
  return transfer.id;
}

void CurlTransferTable::Cancel(FetchId id) {
  const std::unique_ptr<CurlTransfer> transfer = Take(id);
  if (transfer != nullptr) LeaveUrl(*transfer);
}

CurlFetcher::Stats CurlTransferTable::stats() const {
  CurlFetcher::Stats stats;
  stats.fetches = transfers_.size();
  for (const auto& [id, transfer] : transfers_) {
    if (transfer->phase == CurlTransfer::Phase::kAwaitsDescriptor) ++stats.waiting_for_descriptor;
    if (transfer->phase == CurlTransfer::Phase::kAwaitsHandshake) ++stats.waiting_for_handshake;
  }
  stats.endpoints = cells_.endpoints();
  stats.cells = cells_.cells();
  stats.sockets = cells_.sockets();
  return stats;
}

void CurlTransferTable::Follow(CurlTransfer& transfer, FetchUrl url) {
  transfer.url = std::move(url);
  transfer.tls.reset();
  if (transfer.url.https()) {
    if (transfer.client == nullptr) {
      return FailLater(transfer, {absl::FailedPreconditionError("no http client for https"),
                                  FailureReason::kTls});
    }
    auto tls = transfer.client->Tls();
    if (!tls.ok()) return FailLater(transfer, {tls.status(), FailureReason::kTls});
    transfer.tls = *std::move(tls);
  }
  Resolve(transfer);
}

void CurlTransferTable::Resolve(CurlTransfer& transfer) {
  transfer.addresses.clear();
  if (transfer.url.literal) return Admit(transfer);
  transfer.phase = CurlTransfer::Phase::kResolving;
  transfer.resolve = resolver_.Resolve(
      transfer.url.host, [this, id = transfer.id](absl::StatusOr<std::vector<std::string>> found) {
        OnResolved(id, std::move(found));
      });
}

void CurlTransferTable::OnResolved(FetchId id, absl::StatusOr<std::vector<std::string>> addresses) {
  CurlTransfer* transfer = Get(id);
  if (transfer == nullptr) return;
  transfer->resolve = 0;
  transfer->timings.dns = loop_.clock().Steady() - transfer->started;
  if (!addresses.ok()) {
    const std::string message = Concat("dial tcp: ", FromAbsl(addresses.status().message()));
    return FailLater(*transfer, {absl::UnavailableError(message), FailureReason::kDns});
  }
  transfer->addresses = *std::move(addresses);
  Admit(*transfer);
}

void CurlTransferTable::Admit(CurlTransfer& transfer) {
  transfer.endpoint = cells_.Find(transfer.url, transfer.tls);
  CurlEndpoint& endpoint = *transfer.endpoint;
  endpoint.last_used = loop_.clock().Steady();
  endpoint.keep_for = std::max(options_.min_endpoint_idle, 3 * transfer.request.interval);
  if (!endpoint.HasIdleConnection() && !(TakeHandshake(transfer) && TakeDescriptor(transfer))) {
    return;
  }
  Activate(transfer);
}

bool CurlTransferTable::TakeHandshake(CurlTransfer& transfer) {
  if (!transfer.url.https() || transfer.has_handshake) return true;
  if (handshakes_ < options_.max_tls_handshakes) {
    ++handshakes_;
    transfer.has_handshake = true;
    return true;
  }
  transfer.phase = CurlTransfer::Phase::kAwaitsHandshake;
  handshake_queue_.push_back(transfer.id);
  return false;
}

bool CurlTransferTable::TakeDescriptor(CurlTransfer& transfer) {
  if (transfer.has_descriptor) return true;
  if (descriptor_queue_.empty() && budget_.TryAcquire()) {
    transfer.has_descriptor = true;
    return true;
  }
  QueueForDescriptor(transfer);
  return false;
}

void CurlTransferTable::QueueForDescriptor(CurlTransfer& transfer) {
  transfer.phase = CurlTransfer::Phase::kAwaitsDescriptor;
  descriptor_queue_.push_back(transfer.id);
  descriptor_waits_.Add();
  ScheduleQueues();
}

void CurlTransferTable::ScheduleQueues() {
  if (queue_timer_ != 0) return;
  queue_timer_ = loop_.RunAfter(absl::ZeroDuration(), [this] { RunQueues(); });
}

void CurlTransferTable::RunQueues() {
  queue_timer_ = 0;
  RunHandshakeQueue();
  RunDescriptorQueue();
  RunBodyQueue();
  if (descriptor_queue_.empty()) return;
  AwaitFreeDescriptor();
  cells_.CloseSomeIdle();
}

void CurlTransferTable::RunHandshakeQueue() {
  while (handshakes_ < options_.max_tls_handshakes && !handshake_queue_.empty()) {
    CurlTransfer* transfer = Get(handshake_queue_.front());
    handshake_queue_.pop_front();
    if (transfer == nullptr || transfer->phase != CurlTransfer::Phase::kAwaitsHandshake) continue;
    Admit(*transfer);
  }
}

void CurlTransferTable::RunDescriptorQueue() {
  while (!descriptor_queue_.empty()) {
    CurlTransfer* transfer = Get(descriptor_queue_.front());
    if (transfer != nullptr && transfer->phase == CurlTransfer::Phase::kAwaitsDescriptor) {
      if (!budget_.TryAcquire()) return;
      transfer->has_descriptor = true;
      descriptor_queue_.pop_front();
      Admit(*transfer);
    } else {
      descriptor_queue_.pop_front();
    }
  }
}

void CurlTransferTable::AwaitFreeDescriptor() {
  if (awaits_descriptor_) return;
  awaits_descriptor_ = true;
  const auto wake = [this, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.expired()) return;
    awaits_descriptor_ = false;
    ScheduleQueues();
  };
  descriptor_wait_ = budget_.NotifyWhenFree([loop = &loop_, wake] { loop->Post(wake); });
}

void CurlTransferTable::OnBodyWaits(CurlEasy& easy) {
  CurlTransfer& transfer = *active_.at(&easy);
  transfer.waits_for_memory = true;
  body_queue_.push_back(transfer.id);
}

// In order, until one has to wait again: it keeps its place.
void CurlTransferTable::RunBodyQueue() {
  std::deque<FetchId> waiting = std::exchange(body_queue_, {});
  while (!waiting.empty() && body_queue_.empty()) {
    CurlTransfer* transfer = Get(waiting.front());
    waiting.pop_front();
    if (transfer == nullptr || transfer->easy == nullptr) continue;
    transfer->waits_for_memory = false;
    const CURLcode resumed = transfer->easy->Resume();
    if (resumed != CURLE_OK) OnDone(*transfer->easy, resumed);
  }
  body_queue_.insert(body_queue_.end(), waiting.begin(), waiting.end());
}

void CurlTransferTable::Activate(CurlTransfer& transfer) {
  auto request = MakeRequest(transfer);
  if (!request.ok()) {
    return FailLater(transfer, {request.status(), FailureReason::kCredentials});
  }
  if (free_easies_.empty()) {
    transfer.easy = std::make_unique<CurlEasy>(options_.user_agent, this, &bodies_);
  } else {
    transfer.easy = std::move(free_easies_.back());
    free_easies_.pop_back();
  }
  transfer.easy->Prepare(*request);
  transfer.phase = CurlTransfer::Phase::kActive;
  transfer.activated = loop_.clock().Steady();
  active_[transfer.easy.get()] = &transfer;
  ++transfer.endpoint->transfers;
  transfer.endpoint->cell->Start(*transfer.easy);
}

absl::StatusOr<CurlRequest> CurlTransferTable::MakeRequest(const CurlTransfer& transfer) const {
  CurlRequest request;
  request.url = &transfer.url;
  request.addresses = transfer.addresses;
  request.timeout = Remaining(transfer);
  request.max_connection_age = 2 * transfer.request.interval + absl::Minutes(1);
  request.max_body_bytes = transfer.request.max_wire_bytes;
  request.keep_head = transfer.request.keep_head;
  request.tls = transfer.tls.get();
  for (const std::string& header : transfer.request.headers) {
    if (transfer.send_credentials || !IsCredential(header)) request.headers.push_back(header);
  }
  if (transfer.client != nullptr && transfer.send_credentials) {
    ASSIGN_OR_RETURN(const auto authorization, transfer.client->AuthorizationValue());
    if (authorization) request.headers.push_back(absl::StrCat("Authorization: ", *authorization));
  }
  return request;
}

int CurlTransferTable::OnOpenSocket(CurlEasy& easy, const curl_sockaddr& address) {
  CurlTransfer& transfer = *active_.at(&easy);
  if (!std::exchange(transfer.has_descriptor, false) && !budget_.TryAcquire()) {
    transfer.refused_descriptor = true;
    easy.set_no_descriptor();
    return -1;
  }
  const int fd = transfer.endpoint->cell->OpenSocket(address, transfer.endpoint);
  if (fd >= 0) {
    connections_opened_.Add();
    return fd;
  }
  if (errno == EMFILE || errno == ENFILE) easy.set_no_descriptor();
  budget_.Release();
  return -1;
}

void CurlTransferTable::OnConnected(CurlEasy& easy) { ReturnHandshake(*active_.at(&easy)); }

void CurlTransferTable::OnDone(CurlEasy& easy, CURLcode code) {
  CurlTransfer& transfer = *active_.at(&easy);
  CollectTimings(transfer);
  if (code == CURLE_COULDNT_CONNECT && transfer.refused_descriptor && !transfer.retried) {
    return Retry(transfer);
  }
  if (code == CURLE_OPERATION_TIMEDOUT) return Fail(transfer.id, ActiveTimeout(transfer));
  if (code != CURLE_OK) return Fail(transfer.id, TransferFailure("Get", easy, code, transfer.url));
  const bool follow = transfer.client == nullptr || transfer.client->config().follow_redirects;
  if (!follow || !easy.head().IsRedirect()) return Succeed(transfer.id);
  FollowRedirect(transfer);
}

// libcurl found the kept connection dead when no descriptor was left for a new one.
void CurlTransferTable::Retry(CurlTransfer& transfer) {
  transfer.retried = true;
  LeaveUrl(transfer);
  QueueForDescriptor(transfer);
}

void CurlTransferTable::FollowRedirect(CurlTransfer& transfer) {
  const std::string location = transfer.easy->head().location();
  LeaveUrl(transfer);
  auto url = ResolveRedirect(transfer.url, location);
  if (!url.ok()) {
    const std::string message = Concat("failed to parse Location header ", GoQuote(location), ": ",
                                       FromAbsl(url.status().message()));
    return FailLater(transfer, {absl::UnavailableError(message), FailureReason::kHttpProtocol});
  }
  const bool may_forward = MayForwardCredentials(transfer.url, *url);
  transfer.send_credentials = transfer.send_credentials && may_forward;
  if (++transfer.redirects >= options_.max_redirects) {
    transfer.url = *std::move(url);
    const std::string message =
        absl::StrCat("stopped after ", options_.max_redirects, " redirects");
    return FailLater(transfer, {absl::UnavailableError(message), FailureReason::kTooManyRedirects});
  }
  Follow(transfer, *std::move(url));
}

void CurlTransferTable::OnDeadline(FetchId id) {
  CurlTransfer* transfer = Get(id);
  if (transfer == nullptr) return;
  if (transfer->easy != nullptr) CollectTimings(*transfer);
  Fail(id, DeadlineFailure(*transfer));
}

FetchFailure CurlTransferTable::ActiveTimeout(const CurlTransfer& transfer) const {
  if (!transfer.waits_for_memory) return TimeoutFailure("Get", *transfer.easy, transfer.url);
  return {absl::DeadlineExceededError(
              "waiting for memory for the rest of the body: context deadline exceeded"),
          FailureReason::kTimeoutBody};
}

FetchFailure CurlTransferTable::DeadlineFailure(const CurlTransfer& transfer) const {
  using Phase = CurlTransfer::Phase;
  if (transfer.phase == Phase::kActive && transfer.easy != nullptr) {
    return ActiveTimeout(transfer);
  }
  FetchFailure failure{absl::DeadlineExceededError("context deadline exceeded")};
  if (transfer.phase == Phase::kResolving) failure.reason = FailureReason::kTimeoutDns;
  if (transfer.phase == Phase::kAwaitsHandshake) failure.reason = FailureReason::kTimeoutTls;
  if (transfer.phase == Phase::kAwaitsDescriptor) {
    failure = {
        absl::ResourceExhaustedError("waiting for a file descriptor: context deadline exceeded"),
        FailureReason::kDescriptors};
  }
  return RequestFailure("Get", transfer.url, std::move(failure));
}

void CurlTransferTable::CollectTimings(CurlTransfer& transfer) {
  const CurlEasy& easy = *transfer.easy;
  const absl::Duration before = transfer.activated - transfer.started;
  const auto since_start = [&](CURLINFO which) {
    const absl::Duration elapsed = easy.Elapsed(which);
    return elapsed > absl::ZeroDuration() ? before + elapsed : absl::ZeroDuration();
  };
  const bool connects = easy.Number(CURLINFO_NUM_CONNECTS) > 0;
  transfer.timings.connect = transfer.timings.tls = absl::ZeroDuration();
  if (connects) {
    transfer.timings.connect = since_start(CURLINFO_CONNECT_TIME_T);
    transfer.timings.tls = since_start(CURLINFO_APPCONNECT_TIME_T);
  }
  transfer.timings.connection_reused = !connects && easy.connected();
  transfer.timings.request = since_start(CURLINFO_PRETRANSFER_TIME_T);
  transfer.timings.first_byte = since_start(CURLINFO_STARTTRANSFER_TIME_T);
}

std::unique_ptr<CurlEasy> CurlTransferTable::DetachEasy(CurlTransfer& transfer) {
  if (transfer.easy == nullptr) return nullptr;
  transfer.endpoint->cell->Remove(*transfer.easy);
  transfer.endpoint->last_used = loop_.clock().Steady();
  --transfer.endpoint->transfers;
  active_.erase(transfer.easy.get());
  return std::move(transfer.easy);
}

void CurlTransferTable::LeaveUrl(CurlTransfer& transfer) {
  ReturnEasy(DetachEasy(transfer));
  if (transfer.resolve != 0) resolver_.Cancel(std::exchange(transfer.resolve, 0));
  loop_.Cancel(std::exchange(transfer.failing, 0));
  ReturnHandshake(transfer);
  if (std::exchange(transfer.has_descriptor, false)) budget_.Release();
  transfer.endpoint.reset();
  transfer.waits_for_memory = false;
  transfer.phase = CurlTransfer::Phase::kStarting;
}

void CurlTransferTable::ReturnHandshake(CurlTransfer& transfer) {
  if (!std::exchange(transfer.has_handshake, false)) return;
  --handshakes_;
  if (!handshake_queue_.empty()) ScheduleQueues();
}

void CurlTransferTable::ReturnEasy(std::unique_ptr<CurlEasy> easy) {
  if (easy == nullptr) return;
  easy->DropBody();
  if (free_easies_.size() < kMaxFreeEasies) free_easies_.push_back(std::move(easy));
}

void CurlTransferTable::FailLater(CurlTransfer& transfer, FetchFailure failure) {
  transfer.failing = loop_.RunAfter(
      absl::ZeroDuration(),
      [this, id = transfer.id, named = RequestFailure("Get", transfer.url, std::move(failure))] {
        Fail(id, named);
      });
}

void CurlTransferTable::Fail(FetchId id, const FetchFailure& failure) {
  const std::unique_ptr<CurlTransfer> transfer = Take(id);
  std::unique_ptr<CurlEasy> easy = DetachEasy(*transfer);
  LeaveUrl(*transfer);
  FetchOutcome outcome;
  outcome.error = {failure.status, failure.reason, transfer->timings};
  if (easy != nullptr && easy->head().complete()) Describe(*easy, outcome.response);
  transfer->callback(outcome);
  ReturnEasy(std::move(easy));
}

void CurlTransferTable::Succeed(FetchId id) {
  const std::unique_ptr<CurlTransfer> transfer = Take(id);
  std::unique_ptr<CurlEasy> easy = DetachEasy(*transfer);
  LeaveUrl(*transfer);
  FetchOutcome outcome;
  Describe(*easy, outcome.response);
  outcome.response.timings = transfer->timings;
  transfer->callback(outcome);
  ReturnEasy(std::move(easy));
}

std::unique_ptr<CurlTransfer> CurlTransferTable::Take(FetchId id) {
  const auto found = transfers_.find(id);
  if (found == transfers_.end()) return nullptr;
  std::unique_ptr<CurlTransfer> transfer = std::move(found->second);
  transfers_.erase(found);
  loop_.Cancel(transfer->deadline);
  transfer->timings.total = loop_.clock().Steady() - transfer->started;
  return transfer;
}

CurlTransfer* CurlTransferTable::Get(FetchId id) const {
  const auto found = transfers_.find(id);
  return found == transfers_.end() ? nullptr : found->second.get();
}

absl::Duration CurlTransferTable::Remaining(const CurlTransfer& transfer) const {
  return transfer.started + transfer.request.timeout - loop_.clock().Steady();
}

}  // namespace trawl

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/event_loop.h"
#include "core/base/shared_count.h"
#include "core/fetch/curl_cells.h"
#include "core/fetch/curl_easy.h"
#include "core/fetch/curl_fetcher.h"
#include "core/fetch/fetch_failure.h"
#include "core/fetch/fetch_url.h"

namespace trawl {

class CurlHttpClient;
class TlsContext;

// One fetch under way, over all its redirects.
struct CurlTransfer {
  enum class Phase { kStarting, kResolving, kAwaitsDescriptor, kAwaitsHandshake, kActive };

  Fetcher::FetchId id = 0;
  FetchRequest request;
  Fetcher::Callback callback;
  const CurlHttpClient* client = nullptr;
  absl::Duration started;
  TimerId deadline = 0;

  // Of the current URL.
  Phase phase = Phase::kStarting;
  FetchUrl url;
  bool send_credentials = true;
  int redirects = 0;
  TimerId failing = 0;  // a failure found inside Fetch waits for the next turn
  Resolver::ResolveId resolve = 0;
  std::vector<std::string> addresses;
  std::shared_ptr<const TlsContext> tls;
  std::shared_ptr<CurlEndpoint> endpoint;
  bool has_descriptor = false;  // reserved, and no socket opened with it yet
  bool refused_descriptor = false;
  bool retried = false;
  bool waits_for_memory = false;
  bool has_handshake = false;
  std::unique_ptr<CurlEasy> easy;
  absl::Duration activated;

  FetchTimings timings;
};

// All fetches of a CurlFetcher, each taken through its steps:
// resolve → admit (endpoint, handshake, descriptor) → transfer → redirect or end.
// Loop's thread only.
class CurlTransferTable final : public CurlEasyObserver {
 public:
  CurlTransferTable(CurlFetcher::Options options, CurlFetcher::Deps deps);
  ~CurlTransferTable() override;

  Fetcher::FetchId Begin(FetchRequest request, Fetcher::Callback callback);
  void Cancel(Fetcher::FetchId id);
  CurlFetcher::Stats stats() const;
  // Any thread.
  CurlFetcher::Totals totals() const {
    return {connections_opened_.Get(), descriptor_waits_.Get()};
  }

  int OnOpenSocket(CurlEasy& easy, const curl_sockaddr& address) override;
  void OnConnected(CurlEasy& easy) override;
  bool MayKeepConnection() override { return !budget_.UnderPressure(); }
  void OnBodyWaits(CurlEasy& easy) override;

 private:
  using FetchId = Fetcher::FetchId;

  void Follow(CurlTransfer& transfer, FetchUrl url);
  void Resolve(CurlTransfer& transfer);
  void OnResolved(FetchId id, absl::StatusOr<std::vector<std::string>> addresses);

  void Admit(CurlTransfer& transfer);
  bool TakeHandshake(CurlTransfer& transfer);
  bool TakeDescriptor(CurlTransfer& transfer);
  void ScheduleQueues();
  void RunQueues();
  void RunHandshakeQueue();
  void RunDescriptorQueue();
  void QueueForDescriptor(CurlTransfer& transfer);
  void AwaitFreeDescriptor();
  void RunBodyQueue();

  void Activate(CurlTransfer& transfer);
  absl::StatusOr<CurlRequest> MakeRequest(const CurlTransfer& transfer) const;
  void OnDone(CurlEasy& easy, CURLcode code);
  void FollowRedirect(CurlTransfer& transfer);
  void Retry(CurlTransfer& transfer);
  void OnDeadline(FetchId id);
  FetchFailure ActiveTimeout(const CurlTransfer& transfer) const;
  FetchFailure DeadlineFailure(const CurlTransfer& transfer) const;
  void CollectTimings(CurlTransfer& transfer);

  // Ends what the current URL holds: transfer, descriptor, handshake, query.
  void LeaveUrl(CurlTransfer& transfer);
  std::unique_ptr<CurlEasy> DetachEasy(CurlTransfer& transfer);
  void ReturnHandshake(CurlTransfer& transfer);
  void ReturnEasy(std::unique_ptr<CurlEasy> easy);
  void FailLater(CurlTransfer& transfer, FetchFailure failure);
  void Fail(FetchId id, const FetchFailure& failure);
  void Succeed(FetchId id);
  std::unique_ptr<CurlTransfer> Take(FetchId id);
  CurlTransfer* Get(FetchId id) const;
  absl::Duration Remaining(const CurlTransfer& transfer) const;

  // Constant after construction.
  const CurlFetcher::Options options_;
  EventLoop& loop_;
  Resolver& resolver_;
  DescriptorBudget& budget_;
  BodyBudget& bodies_;

  // Whether this object is alive, for what other threads post.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  CurlCells cells_;
  std::vector<std::unique_ptr<CurlEasy>> free_easies_;
  FetchId next_id_ = 1;
  absl::flat_hash_map<FetchId, std::unique_ptr<CurlTransfer>> transfers_;
  absl::flat_hash_map<const CurlEasy*, CurlTransfer*> active_;

  size_t handshakes_ = 0;
  std::deque<FetchId> handshake_queue_;
  std::deque<FetchId> descriptor_queue_;  // ended fetches are skipped when their turn comes
  std::deque<FetchId> body_queue_;        // likewise
  TimerId queue_timer_ = 0;
  DescriptorBudget::WaitId descriptor_wait_ = 0;
  bool awaits_descriptor_ = false;
  SharedCount connections_opened_;
  SharedCount descriptor_waits_;
};

}  // namespace trawl

#include "core/fetch/curl_cells.h"

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/fetch/tls_context.h"

namespace trawl {
namespace {

constexpr absl::Duration kSweepInterval = absl::Minutes(1);

}  // namespace

CurlCells::CurlCells(const CurlCell::Options& options, Deps deps)
    : options_(options), deps_(std::move(deps)) {}

CurlCells::~CurlCells() { deps_.loop.Cancel(sweep_timer_); }

std::shared_ptr<CurlEndpoint> CurlCells::Find(const FetchUrl& url,
                                              const std::shared_ptr<const TlsContext>& tls) {
  const auto trust = reinterpret_cast<uintptr_t>(tls.get());
  std::string name = absl::StrCat(url.Endpoint(), "#", trust);
  std::shared_ptr<CurlEndpoint>& endpoint = endpoints_[name];
  if (endpoint == nullptr) {
    endpoint = std::make_shared<CurlEndpoint>();
    endpoint->name = std::move(name);
    endpoint->cell = CellWithRoom(tls);
    endpoint->cell->AddEndpoint();
    ScheduleSweep();
  }
  return endpoint;
}

CurlCell* CurlCells::CellWithRoom(const std::shared_ptr<const TlsContext>& tls) {
  CurlCell* emptiest = nullptr;  // of those of this trust
  for (const auto& cell : cells_) {
    if (cell->tls() != tls.get()) continue;
    if (!cell->full()) return cell.get();
    if (emptiest == nullptr || cell->endpoints() < emptiest->endpoints()) emptiest = cell.get();
  }
  if (deps_.budget.TryTakeOverhead(CurlCell::kOwnDescriptors)) return MakeCell(tls);
  if (emptiest != nullptr) return emptiest;
  deps_.budget.TakeOverhead(CurlCell::kOwnDescriptors);
  return MakeCell(tls);
}

CurlCell* CurlCells::MakeCell(const std::shared_ptr<const TlsContext>& tls) {
  cells_.push_back(std::make_unique<CurlCell>(
      options_, CurlCell::Deps{deps_.loop, deps_.watcher, deps_.budget, tls, deps_.on_done}));
  return cells_.back().get();
}

void CurlCells::CloseSomeIdle() {
  CurlCell* largest = nullptr;
  for (const auto& cell : cells_) {
    if (cell->transfers() != 0 || cell->sockets() == 0) continue;
    if (largest == nullptr || cell->sockets() > largest->sockets()) largest = cell.get();
  }
  if (largest != nullptr) largest->CloseConnections();
}

size_t CurlCells::sockets() const {
  size_t sum = 0;
  for (const auto& cell : cells_) sum += cell->sockets();
  return sum;
}

void CurlCells::ScheduleSweep() {
  if (sweep_timer_ != 0) return;
  sweep_timer_ = deps_.loop.RunAfter(kSweepInterval, [this] { Sweep(); });
}

void CurlCells::Sweep() {
  sweep_timer_ = 0;
  const absl::Duration now = deps_.loop.clock().Steady();
  absl::erase_if(endpoints_, [now](auto& entry) {
    CurlEndpoint& endpoint = *entry.second;
    if (endpoint.transfers != 0 || entry.second.use_count() > 1 + endpoint.sockets) return false;
    if (now - endpoint.last_used < endpoint.keep_for) return false;
    endpoint.cell->RemoveEndpoint();
    return true;
  });
  std::erase_if(cells_,
                [](const auto& cell) { return cell->endpoints() == 0 && cell->transfers() == 0; });
  if (!endpoints_.empty()) ScheduleSweep();
}

}  // namespace trawl

#include "core/fetch/curl_fetcher.h"

#include <utility>

#include "core/fetch/curl_transfer_table.h"

namespace trawl {

CurlFetcher::CurlFetcher(Options options, Deps deps)
    : table_(std::make_unique<CurlTransferTable>(std::move(options), deps)) {}

CurlFetcher::~CurlFetcher() = default;

Fetcher::FetchId CurlFetcher::Fetch(FetchRequest request, Callback callback) {
  return table_->Begin(std::move(request), std::move(callback));
}

void CurlFetcher::Cancel(FetchId id) { table_->Cancel(id); }

CurlFetcher::Stats CurlFetcher::stats() const { return table_->stats(); }
CurlFetcher::Totals CurlFetcher::totals() const { return table_->totals(); }

}  // namespace trawl

#pragma once

#include "client/store/store_backend.h"

namespace trawl {

// Counts and forgets: for benchmarks. Lanes' numbers are kept in memory only.
StoreBackendFactory DiscardBackendFactory();

}  // namespace trawl

#pragma once

#include <cstddef>

namespace trawl {

// Gives memory that the heap holds and nobody uses back to the system, if that is more than
// `min_bytes`; true if it did. glibc keeps what small objects lie scattered in: after a flood of
// calls (CVE-2023-44487) that is a gigabyte for good. Costs a look at the heap's free lists; and
// some 50 ms a freed GiB, during which threads that allocate may wait. Thread-safe.
bool TrimHeap(size_t min_bytes);

}  // namespace trawl

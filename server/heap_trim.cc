#include "server/heap_trim.h"

#include <malloc.h>

namespace trawl {

bool TrimHeap(size_t min_bytes) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return min_bytes == 0;  // another heap, which does not keep what is freed
#else
  if (mallinfo2().fordblks <= min_bytes) return false;
  malloc_trim(0);
  return true;
#endif
}

}  // namespace trawl

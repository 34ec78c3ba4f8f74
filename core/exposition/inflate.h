#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/exposition/byte_buffer.h"

namespace trawl {

// body_size_limit's error (spec 4.3): kResourceExhausted, "body size limit exceeded". A body of
// exactly the limit is over it, as in Prometheus. `limit` 0: none.
absl::Status CheckBodySize(uint64_t size, uint64_t limit);

// No body is read beyond this, limited or not: it is more than the series of one record take, and
// a target that never stops sending, or sends a bomb of gzip, must not take all memory.
inline constexpr uint64_t kMaxBodyBytes = uint64_t{512} << 20;

// Bodies that were or may be larger than this are inflated in slices.
inline constexpr size_t kSlicedBodyBytes = size_t{1} << 20;
inline constexpr size_t kSliceBytes = size_t{256} << 10;

// Inflates gzip bodies in one call, all members of one after the other; reuses its state.
// Not thread-safe.
class Gunzip {
 public:
  Gunzip();
  ~Gunzip();
  Gunzip(const Gunzip&) = delete;
  Gunzip& operator=(const Gunzip&) = delete;

  // Replaces `out`. `size_hint` is the previous body's size, 0 when unknown: room for a quarter
  // more is made, and doubled when it does not do, but never beyond `limit` (0: none).
  // Errors: kDataLoss for corrupt or truncated input, kResourceExhausted over the limit.
  absl::Status Inflate(std::string_view gzip, size_t size_hint, uint64_t limit, ByteBuffer& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Inflates one large gzip body in steps, so that the thread can do other things in between.
// `gzip` and `out` must outlive it. Not thread-safe.
class SlicedGunzip {
 public:
  SlicedGunzip(std::string_view gzip, uint64_t limit, ByteBuffer& out);
  ~SlicedGunzip();
  SlicedGunzip(const SlicedGunzip&) = delete;
  SlicedGunzip& operator=(const SlicedGunzip&) = delete;

  // Appends at most `max_bytes` to `out`; true when the body is complete. Errors as Gunzip's;
  // after an error the object is only good for being destroyed.
  absl::StatusOr<bool> Step(size_t max_bytes = kSliceBytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trawl

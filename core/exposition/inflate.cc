#include "core/exposition/inflate.h"

#include <isa-l/igzip_lib.h>
#include <libdeflate.h>

#include <algorithm>
#include <limits>

namespace trawl {
namespace {

constexpr size_t kSmallestRoom = size_t{16} << 10;

absl::Status Corrupt() { return absl::DataLossError("corrupt gzip body"); }
absl::Status Truncated() { return absl::DataLossError("truncated gzip body"); }

// Bytes that may be written: one of the limit's size is too large already.
size_t Bound(uint64_t limit) {
  return limit == 0 ? std::numeric_limits<size_t>::max() : static_cast<size_t>(limit);
}

// More room in `out`, doubled, up to `bound`. False when it is there already.
bool Grow(ByteBuffer& out, size_t bound) {
  if (out.capacity() >= bound) return false;
  out.Reserve(std::min(bound, std::max(kSmallestRoom, out.capacity() * 2)));
  return true;
}

}  // namespace

absl::Status CheckBodySize(uint64_t size, uint64_t limit) {
  if (limit == 0 || size < limit) return absl::OkStatus();
  return absl::ResourceExhaustedError("body size limit exceeded");
}

struct Gunzip::State {
  libdeflate_decompressor* decompressor = libdeflate_alloc_decompressor();
  ~State() { libdeflate_free_decompressor(decompressor); }
};

Gunzip::Gunzip() : state_(std::make_unique<State>()) {}
Gunzip::~Gunzip() = default;

absl::Status Gunzip::Inflate(std::string_view gzip, size_t size_hint, uint64_t limit,
                             ByteBuffer& out) {
  const size_t bound = Bound(limit);
  out.clear();
  out.Reserve(std::min(bound, std::max(kSmallestRoom, size_hint + size_hint / 4)));
  if (gzip.empty()) return Truncated();
  while (!gzip.empty()) {
    // The buffer may be larger than the limit: from another target.
    const size_t room = std::min(out.capacity(), bound) - out.size();
    size_t used = 0;
    size_t made = 0;
    const libdeflate_result result =
        libdeflate_gzip_decompress_ex(state_->decompressor, gzip.data(), gzip.size(),
                                      out.data() + out.size(), room, &used, &made);
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE) {
      if (!Grow(out, bound)) return CheckBodySize(bound, limit);
      continue;  // this member again, from its start
    }
    if (result != LIBDEFLATE_SUCCESS) return Corrupt();
    out.set_size(out.size() + made);
    gzip.remove_prefix(used);
  }
  return CheckBodySize(out.size(), limit);
}

struct SlicedGunzip::State {
  std::string_view gzip;
  uint64_t limit = 0;
  ByteBuffer* out = nullptr;
  inflate_state inflate{};

  void StartMember() {
    const std::string_view rest(reinterpret_cast<const char*>(inflate.next_in), inflate.avail_in);
    isal_inflate_init(&inflate);
    inflate.crc_flag = ISAL_GZIP;
    inflate.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(rest.data()));
    inflate.avail_in = static_cast<uint32_t>(rest.size());
  }
  // Inflates into `room` bytes behind what is there. False: the member's end or the input's.
  absl::Status Inflate(size_t room) {
    out->Reserve(out->size() + room);
    inflate.next_out = reinterpret_cast<uint8_t*>(out->data() + out->size());
    inflate.avail_out = static_cast<uint32_t>(room);
    const int error = isal_inflate(&inflate);
    const size_t made = room - inflate.avail_out;
    out->set_size(out->size() + made);
    if (error != ISAL_DECOMP_OK && error != ISAL_END_INPUT) return Corrupt();
    const bool finished = inflate.block_state == ISAL_BLOCK_FINISH;
    return made == 0 && !finished ? Truncated() : absl::OkStatus();
  }
};

SlicedGunzip::SlicedGunzip(std::string_view gzip, uint64_t limit, ByteBuffer& out)
    : state_(std::make_unique<State>()) {
  state_->gzip = gzip;
  state_->limit = limit;
  state_->out = &out;
  state_->inflate.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(gzip.data()));
  state_->inflate.avail_in = static_cast<uint32_t>(gzip.size());
  state_->StartMember();
  out.clear();
}

SlicedGunzip::~SlicedGunzip() = default;

absl::StatusOr<bool> SlicedGunzip::Step(size_t max_bytes) {
  State& state = *state_;
  size_t left = std::min(max_bytes, Bound(state.limit));
  while (left > 0) {
    const size_t before = state.out->size();
    if (state.out->capacity() < before + left) {
      state.out->Reserve(std::max(before + left, state.out->capacity() * 2));
    }
    if (const absl::Status status = state.Inflate(left); !status.ok()) return status;
    left -= state.out->size() - before;
    if (const absl::Status size = CheckBodySize(state.out->size(), state.limit); !size.ok()) {
      state.out->set_size(static_cast<size_t>(state.limit));
      return size;
    }
    if (state.inflate.block_state != ISAL_BLOCK_FINISH) continue;
    if (state.inflate.avail_in == 0) return true;
    state.StartMember();
  }
  return false;
}

}  // namespace trawl

#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>

namespace trawl {

// Memory for a shard's bodies, from their first byte until they are parsed.
//
// A body takes a share that grows. When the budget is used up a body that has not all of its bytes
// waits, and its target with it, until others are done. One at a time may go on beyond the budget:
// all of them would else wait for each other, each with a part. So bodies never hold more than the
// limit and one body.
//
// Loop's thread only, but for what is told to metrics.
class BodyBudget {
 public:
  // What one body holds; given back with the object, which the budget outlives.
  class Share {
   public:
    explicit Share(BodyBudget& budget) : budget_(&budget) {}
    Share(Share&& other) noexcept
        : budget_(other.budget_), bytes_(std::exchange(other.bytes_, 0)) {}
    Share& operator=(Share&&) = delete;
    ~Share() { Reset(); }

    // To `bytes` altogether. False: not now, on_free will tell when to try again.
    bool TryGrow(uint64_t bytes) { return budget_->TryGrow(*this, bytes); }
    // For what is there already.
    void Grow(uint64_t bytes) { budget_->Add(*this, bytes); }
    void Reset() { budget_->Return(*this); }
    uint64_t bytes() const { return bytes_; }

   private:
    friend class BodyBudget;
    BodyBudget* budget_;
    uint64_t bytes_ = 0;
  };

  explicit BodyBudget(uint64_t limit_bytes = std::numeric_limits<uint64_t>::max())
      : limit_bytes_(limit_bytes) {}
  BodyBudget(const BodyBudget&) = delete;
  BodyBudget& operator=(const BodyBudget&) = delete;

  // Bytes came back while somebody waits for some; from inside of what gave them back: it may only
  // schedule.
  void set_on_free(std::function<void()> on_free) { on_free_ = std::move(on_free); }

  // Any thread.
  uint64_t used_bytes() const { return used_bytes_.load(std::memory_order_relaxed); }
  uint64_t waits() const { return waits_.load(std::memory_order_relaxed); }

 private:
  bool TryGrow(Share& share, uint64_t bytes) {
    const uint64_t more = bytes - std::min(bytes, share.bytes_);
    const bool fits = used_bytes() + more <= limit_bytes_;
    if (!fits && beyond_ != nullptr && beyond_ != &share) {
      awaited_ = true;
      waits_.store(waits() + 1, std::memory_order_relaxed);
      return false;
    }
    if (!fits) beyond_ = &share;
    Add(share, bytes);
    return true;
  }

  void Add(Share& share, uint64_t bytes) {
    const uint64_t more = bytes - std::min(bytes, share.bytes_);
    share.bytes_ += more;
    SetUsed(used_bytes() + more);
  }

  void Return(Share& share) {
    if (beyond_ == &share) beyond_ = nullptr;
    if (share.bytes_ == 0) return;
    SetUsed(used_bytes() - std::exchange(share.bytes_, 0));
    if (std::exchange(awaited_, false) && on_free_ != nullptr) on_free_();
  }

  // One thread writes: no atomic addition, and so no price on the hot path.
  void SetUsed(uint64_t bytes) { used_bytes_.store(bytes, std::memory_order_relaxed); }

  const uint64_t limit_bytes_;
  std::function<void()> on_free_;
  bool awaited_ = false;
  const Share* beyond_ = nullptr;  // of the body that may go on beyond the limit
  std::atomic<uint64_t> used_bytes_{0};
  std::atomic<uint64_t> waits_{0};
};

}  // namespace trawl

#include "core/exposition/byte_buffer.h"

#include <cstring>
#include <utility>

namespace trawl {

void ByteBuffer::Reserve(size_t capacity) {
  if (capacity <= capacity_) return;
  std::unique_ptr<char[]> larger(new char[capacity]);
  if (size_ > 0) std::memcpy(larger.get(), bytes_.get(), size_);
  bytes_ = std::move(larger);
  capacity_ = capacity;
}

void ByteBuffer::Free() {
  bytes_.reset();
  size_ = 0;
  capacity_ = 0;
}

}  // namespace trawl

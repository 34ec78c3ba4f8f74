#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace trawl {

// Bytes that are written once and read once, again and again: growing never clears what it
// gains, shrinking never frees. Not thread-safe.
class ByteBuffer {
 public:
  char* data() { return bytes_.get(); }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  std::string_view view() const { return {bytes_.get(), size_}; }

  void clear() { size_ = 0; }
  // At most capacity(); new bytes are undefined until written.
  void set_size(size_t size) { size_ = size; }
  // Makes room for `capacity` bytes in all; keeps what is there.
  void Reserve(size_t capacity);
  // Gives the memory back.
  void Free();

 private:
  std::unique_ptr<char[]> bytes_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace trawl

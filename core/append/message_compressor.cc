#include "core/append/message_compressor.h"

#include <zstd.h>

namespace trawl {
namespace {

constexpr int kLevel = 1;
// A buffer that grew beyond it is given back.
constexpr size_t kKeptBufferBytes = size_t{1} << 20;

}  // namespace

MessageCompressor::MessageCompressor() : context_(ZSTD_createCCtx()) {}
MessageCompressor::~MessageCompressor() = default;

void MessageCompressor::Free::operator()(ZSTD_CCtx_s* context) const { ZSTD_freeCCtx(context); }

std::string_view MessageCompressor::Compress(std::string_view raw) {
  const size_t bound = ZSTD_compressBound(raw.size());
  if (buffer_.capacity() > kKeptBufferBytes && bound <= kKeptBufferBytes) {
    std::string().swap(buffer_);
  }
  if (buffer_.size() < bound) buffer_.resize(bound);
  const size_t size = ZSTD_compressCCtx(context_.get(), buffer_.data(), buffer_.size(), raw.data(),
                                        raw.size(), kLevel);
  if (ZSTD_isError(size) || size >= raw.size()) return {};
  return {buffer_.data(), size};
}

}  // namespace trawl

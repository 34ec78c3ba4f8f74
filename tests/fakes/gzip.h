#pragma once

#include <libdeflate.h>

#include <string>
#include <string_view>

namespace trawl {

// A body as a target sends it with `Content-Encoding: gzip`.
inline std::string Gzip(std::string_view text) {
  libdeflate_compressor* compressor = libdeflate_alloc_compressor(6);
  std::string out(libdeflate_gzip_compress_bound(compressor, text.size()), '\0');
  out.resize(
      libdeflate_gzip_compress(compressor, text.data(), text.size(), out.data(), out.size()));
  libdeflate_free_compressor(compressor);
  return out;
}

}  // namespace trawl

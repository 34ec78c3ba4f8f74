#pragma once

#include <memory>
#include <string>
#include <string_view>

struct ZSTD_CCtx_s;

namespace trawl {

// Compresses the bodies of messages: one zstd-1 frame each, which tells its content's size.
// Shared by the sinks of a lane. Not thread-safe.
class MessageCompressor {
 public:
  MessageCompressor();
  ~MessageCompressor();

  // Valid until the next call. Empty if it would not be smaller than `raw`.
  std::string_view Compress(std::string_view raw);

 private:
  struct Free {
    void operator()(ZSTD_CCtx_s* context) const;
  };
  std::unique_ptr<ZSTD_CCtx_s, Free> context_;
  std::string buffer_;
};

}  // namespace trawl

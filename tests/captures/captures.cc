#include "tests/captures/captures.h"

#include <zstd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/append/message_compressor.h"
#include "core/append/record_encoder.h"
#include "core/base/status_macros.h"
#include "core/scrape/scrape_body.h"

namespace trawl {
namespace {

constexpr size_t kScrapesAMessage = 4;

absl::StatusOr<std::string> Unpack(const std::string& packed) {
  std::string out;
  std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  ZSTD_inBuffer in = {packed.data(), packed.size(), 0};
  std::string chunk(ZSTD_DStreamOutSize(), '\0');
  while (in.pos < in.size) {
    ZSTD_outBuffer buffer = {chunk.data(), chunk.size(), 0};
    const size_t left = ZSTD_decompressStream(context.get(), &buffer, &in);
    if (ZSTD_isError(left)) return absl::DataLossError(ZSTD_getErrorName(left));
    out.append(chunk, 0, buffer.pos);
  }
  return out;
}

// Calls f(name, content) for each plain file of a tar: headers of 512 bytes with the name at 0 and
// the size, in octal, at 124; contents padded to 512.
template <typename F>
void ForEachFile(std::string_view tar, F&& f) {
  constexpr size_t kBlock = 512;
  while (tar.size() >= kBlock && tar.front() != '\0') {
    const std::string name(tar.substr(0, 100).data());
    const size_t size = std::stoul(std::string(tar.substr(124, 12)), nullptr, 8);
    const char type = tar[156];
    tar.remove_prefix(kBlock);
    if (type == '0' || type == '\0') f(name, tar.substr(0, size));
    tar.remove_prefix(std::min(tar.size(), (size + kBlock - 1) / kBlock * kBlock));
  }
}

void Add(const std::string& message, uint64_t samples, MessageCompressor& compressor,
         MessageSizes& sizes) {
  const std::string_view compressed = compressor.Compress(message);
  sizes.samples += samples;
  sizes.plain_bytes += message.size();
  sizes.zstd_bytes += compressed.empty() ? message.size() : compressed.size();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ReadCaptures(const std::string& archive,
                                                      const std::string& folder) {
  std::ifstream file(archive, std::ios::binary);
  const std::string packed{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  ASSIGN_OR_RETURN(const std::string tar, Unpack(packed));
  std::map<std::string, std::string> pages;
  ForEachFile(tar, [&](const std::string& name, std::string_view content) {
    if (absl::StrContains(name, absl::StrCat(folder, "/")) && absl::EndsWith(name, ".txt")) {
      pages.emplace(name, content);
    }
  });
  if (pages.empty()) return absl::NotFoundError(absl::StrCat("no ", folder, " in ", archive));
  std::vector<std::string> out;
  for (auto& [name, page] : pages) out.push_back(std::move(page));
  return out;
}

CapturedTarget::CapturedTarget()
    : cache_(
          {std::make_shared<const SampleOptions>(),
           std::make_shared<const Labels>(Labels{{"job", "node"}, {"instance", "localhost:9100"}})},
          {keys_, HashKey{7}}) {}

const ScrapeBatch& CapturedTarget::Scrape(const std::string& page) {
  time_ms_ += 10'000;
  ScrapeBody(cache_, scratch_, {page, time_ms_, time_ms_}).Finish();
  const double duration = 0.003 + static_cast<double>(time_ms_ % 9'973) / 1e7;
  const double samples = static_cast<double>(scratch_.batch().values.size());
  scratch_.SetReport(std::vector<double>{1, duration, samples, samples, 0});
  return scratch_.batch();
}

absl::StatusOr<CaptureSizes> MeasureSizes(const std::vector<std::string>& pages,
                                          storage::v1::Encoding encoding) {
  CapturedTarget target;
  RecordEncoder encoder(encoding);
  encoder.BeginSegment({}, "");
  RecordEncoder::Encoded encoded;
  MessageCompressor compressor;
  CaptureSizes sizes;
  std::string steady;
  std::string whole;
  uint64_t samples = 0;
  for (size_t i = 0; i < pages.size(); ++i) {
    RETURN_IF_ERROR(encoder.Encode(target.Scrape(pages[i]), encoded));
    for (const std::string& record : encoded.dictionary) whole += record;
    whole += encoded.scrape;
    samples += encoded.samples;
    if (i > 0) steady += encoded.scrape;
    if (i % kScrapesAMessage != 0 && i + 1 != pages.size()) continue;
    Add(whole, samples, compressor, sizes.whole);
    if (i > 0) Add(steady, samples, compressor, sizes.steady);
    whole.clear();
    steady.clear();
    samples = 0;
  }
  return sizes;
}

}  // namespace trawl

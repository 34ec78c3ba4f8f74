// What the values of a scrape take in records and on the wire, and how long coding them takes.
//
//   columns_bench ARCHIVE FOLDER   of tests/data/exposition-captures.tar.zst
//
// Four scrapes a message, zstd-1 over each, record framing included. `steady` counts the records
// of scrapes from the second one on, `whole` the dictionary and the first scrape as well. `lane`
// is the way of a scrape from its batch to the compressed message: encode, frame, zstd.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <string>
#include <vector>

#include "core/append/decimal_delta_codec.h"
#include "core/append/message_compressor.h"
#include "core/append/raw_records.h"
#include "core/append/record_encoder.h"
#include "tests/captures/captures.h"

namespace trawl {
namespace {

void Print(const char* what, const MessageSizes& sizes) {
  std::printf("  %-8s %8lu samples  plain %.3f  zstd-1 %.3f bytes a sample\n", what, sizes.samples,
              sizes.plain_per_sample(), sizes.zstd_per_sample());
}

void MeasureBytes(const std::vector<std::string>& pages, storage::v1::Encoding encoding) {
  const absl::StatusOr<CaptureSizes> sizes = MeasureSizes(pages, encoding);
  if (!sizes.ok()) return;
  Print("steady", sizes->steady);
  Print("whole", sizes->whole);
}

template <typename F>
double SecondsOf(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Nanoseconds a sample of the codec alone, best of several rounds over all scrapes.
void MeasureTime(const std::vector<std::string>& pages) {
  CapturedTarget target;
  std::vector<std::vector<double>> values;
  uint64_t samples = 0;
  for (const std::string& page : pages) {
    const ScrapeBatch& batch = target.Scrape(page);
    values.emplace_back(batch.values.begin(), batch.values.end());
    if (values.back().size() != values.front().size()) values.pop_back();
  }
  for (const auto& scrape : values) samples += scrape.size();
  std::vector<storage::v1::Scrape> scrapes(values.size());
  DecimalDeltaEncoder encoder;
  DecimalDeltaDecoder decoder;
  DecodedColumns out;
  double encode = 1;
  double decode = 1;
  for (int round = 0; round < 50; ++round) {
    encoder.Reset();
    decoder.Reset();
    encode = std::min(encode, SecondsOf([&] {
                        for (size_t i = 0; i < values.size(); ++i) {
                          encoder.Encode(1, values[i], {}, scrapes[i]);
                        }
                      }));
    decode = std::min(decode, SecondsOf([&] {
                        for (const auto& scrape : scrapes) {
                          if (!decoder.Decode(1, values[0].size(), scrape, out).ok()) return;
                        }
                      }));
  }
  const double crc = SecondsOf([&] {
    uint32_t sum = 0;
    for (const auto& scrape : values) sum += ValueCrc32c(scrape, {});
    if (sum == 1) std::puts("");
  });
  const double ns = 1e9 / static_cast<double>(samples);
  std::printf(
      "  encode %.1f, decode %.1f ns a sample, of which checksum %.1f; %.1f bytes a series\n",
      encode * ns, decode * ns, crc * ns,
      static_cast<double>(encoder.memory_bytes()) / static_cast<double>(values[0].size()));
}

// The scrapes of a page, as they come from a scrape loop.
class Batches {
 public:
  explicit Batches(const std::vector<std::string>& pages) {
    for (const std::string& page : pages) {
      const ScrapeBatch& batch = target_.Scrape(page);
      values_.emplace_back(batch.values.begin(), batch.values.end());
      batches_.push_back(batch);
      batches_.back().values = values_.back();
      batches_.back().absent = {};
      batches_.back().times = {};
      samples_ += values_.back().size();
    }
  }
  const std::vector<ScrapeBatch>& batches() const { return batches_; }
  uint64_t samples() const { return samples_; }

 private:
  CapturedTarget target_;
  std::deque<std::vector<double>> values_;
  std::vector<ScrapeBatch> batches_;
  uint64_t samples_ = 0;
};

// Nanoseconds a sample of what a lane and its sink do; `rewrite`: to raw columns on the way out.
double LaneTime(const Batches& scrapes, storage::v1::Encoding encoding, bool rewrite) {
  MessageCompressor compressor;
  double best = 1;
  for (int round = 0; round < 30; ++round) {
    RecordEncoder encoder(encoding);
    encoder.BeginSegment({}, "");
    RecordEncoder::Encoded encoded;
    RawRecords raw;
    std::string message;
    best = std::min(best, SecondsOf([&] {
                      int in_message = 0;
                      const auto add = [&](RecordKind kind, const std::string& bytes) {
                        LogRecord record;
                        record.kind = kind;
                        record.bytes = bytes;
                        if (rewrite) record.bytes = raw.Rewrite(record).value_or("");
                        message.append(record.bytes);
                      };
                      for (const ScrapeBatch& batch : scrapes.batches()) {
                        if (!encoder.Encode(batch, encoded).ok()) return;
                        for (const auto& d : encoded.dictionary) add(RecordKind::kDictionary, d);
                        add(RecordKind::kScrape, encoded.scrape);
                        if (++in_message % 4 != 0) continue;
                        compressor.Compress(message);
                        message.clear();
                      }
                    }));
  }
  return best * 1e9 / static_cast<double>(scrapes.samples());
}

void MeasureLane(const std::vector<std::string>& pages) {
  const Batches scrapes(pages);
  std::printf("lane, ns a sample\n  raw columns %.1f, decimal delta %.1f, rewritten to raw %.1f\n",
              LaneTime(scrapes, storage::v1::ENCODING_RAW_COLUMNS, false),
              LaneTime(scrapes, storage::v1::ENCODING_DECIMAL_DELTA, false),
              LaneTime(scrapes, storage::v1::ENCODING_DECIMAL_DELTA, true));
}

}  // namespace
}  // namespace trawl

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto pages = trawl::ReadCaptures(argv[1], argv[2]);
  if (!pages.ok()) {
    std::fprintf(stderr, "%s\n", pages.status().ToString().c_str());
    return 1;
  }
  std::puts("raw columns");
  trawl::MeasureBytes(*pages, trawl::storage::v1::ENCODING_RAW_COLUMNS);
  std::puts("decimal delta");
  trawl::MeasureBytes(*pages, trawl::storage::v1::ENCODING_DECIMAL_DELTA);
  trawl::MeasureTime(*pages);
  trawl::MeasureLane(*pages);
  return 0;
}

#include "client/store/remote_write_encoding.h"

#include <bit>

namespace trawl {
namespace {

// Tags: field number and wire type.
constexpr char kRequestSeries = (1 << 3) | 2;
constexpr char kSeriesLabel = (1 << 3) | 2;
constexpr char kSeriesSample = (2 << 3) | 2;
constexpr char kLabelName = (1 << 3) | 2;
constexpr char kLabelValue = (2 << 3) | 2;
constexpr char kSampleValue = (1 << 3) | 1;
constexpr char kSampleTime = (2 << 3) | 0;

void AppendVarint(uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

size_t VarintSize(uint64_t value) { return value == 0 ? 1 : (std::bit_width(value) + 6) / 7; }

void AppendText(char tag, std::string_view text, std::string& out) {
  out += tag;
  AppendVarint(text.size(), out);
  out += text;
}

// Calls f(label) for the union, by name; `over` wins.
template <typename F>
void Merge(const EncodedLabels& over, const EncodedLabels& under, F&& f) {
  auto u = under.begin();
  for (const EncodedLabel& label : over) {
    for (; u != under.end() && u->name < label.name; ++u) f(*u);
    if (u != under.end() && u->name == label.name) ++u;
    f(label);
  }
  for (; u != under.end(); ++u) f(*u);
}

void AppendSample(double value, int64_t time_ms, std::string& out) {
  const auto time = static_cast<uint64_t>(time_ms);
  out += kSeriesSample;
  AppendVarint(1 + 8 + 1 + VarintSize(time), out);
  out += kSampleValue;
  const auto bits = std::bit_cast<uint64_t>(value);
  for (int shift = 0; shift < 64; shift += 8) out += static_cast<char>(bits >> shift);
  out += kSampleTime;
  AppendVarint(time, out);
}

}  // namespace

EncodedLabels EncodeLabels(const Labels& labels) {
  EncodedLabels encoded;
  encoded.reserve(labels.size());
  for (const Label& label : labels) {
    std::string message;
    AppendText(kLabelName, label.name, message);
    AppendText(kLabelValue, label.value, message);
    EncodedLabel& added = encoded.emplace_back();
    added.name = label.name;
    AppendText(kSeriesLabel, message, added.bytes);
  }
  return encoded;
}

void AppendTimeSeries(const RemoteWriteLayout& layout, uint32_t position, double value,
                      int64_t time_ms, std::string& out) {
  const RemoteWriteKey& key = *layout.keys[position];
  const EncodedLabels& under = key.complete ? layout.external : layout.target;
  size_t size = 0;
  Merge(key.labels, under, [&](const EncodedLabel& label) { size += label.bytes.size(); });
  size += 1 + 1 + 1 + 8 + 1 + VarintSize(static_cast<uint64_t>(time_ms));
  out += kRequestSeries;
  AppendVarint(size, out);
  Merge(key.labels, under, [&](const EncodedLabel& label) { out += label.bytes; });
  AppendSample(value, time_ms, out);
}

}  // namespace trawl

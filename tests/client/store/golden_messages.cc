#include "tests/client/store/golden_messages.h"

#include <bit>
#include <cstdlib>
#include <limits>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/append/message_compressor.h"
#include "core/append/raw_records.h"
#include "core/append/record.h"
#include "core/append/record_decoder.h"
#include "core/append/record_encoder.h"
#include "core/base/text.h"
#include "core/model/layout.h"
#include "core/model/series_key.h"
#include "core/model/value.h"
#include "google/protobuf/util/json_util.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {
namespace {

using storage::v1::AppendRequest;
using storage::v1::AppendResponse;

constexpr int64_t kStartMs = 1'763'959'250'000;
constexpr uint64_t kEpoch = 1'763'959'200'000;

// Nothing here may fail.
void Must(bool done) {
  if (!done) std::abort();
}

std::string Json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  Must(google::protobuf::util::MessageToJsonString(message, &json, options).ok());
  return json;
}

// {"labels": {...}, "time_ms": ..., "value": "...", "bits": "..."} for each sample of a scrape.
class SampleLines final : public RecordDecoder::Visitor {
 public:
  void OnScrape(const DecodedScrape& scrape) override {
    scrape.ForEachSample([&](uint32_t position, double value, int64_t time_ms) {
      std::string labels;
      for (const Label& label : scrape.layout->SeriesLabels(position)) {
        absl::StrAppend(&labels, labels.empty() ? "" : ", ", JsonQuote(label.name), ": ",
                        JsonQuote(label.value));
      }
      lines.push_back(absl::StrFormat(
          R"(    {"labels": {%s}, "time_ms": %d, "value": "%s", "bits": "%016x"})", labels, time_ms,
          IsStaleMarker(value) ? "stale" : FormatGoFloat(value), std::bit_cast<uint64_t>(value)));
    });
  }
  std::vector<std::string> lines;
};

// A lane's records and their decoder, which goes along with what is sent.
class GoldenStream {
 public:
  explicit GoldenStream(bool raw) : raw_columns_(raw) { encoder_.BeginSegment(external_, ""); }

  RecordEncoder& encoder() { return encoder_; }
  void BeginSegment() { encoder_.BeginSegment(external_, "tenant-a"); }
  KeyTable& table() { return table_; }

  void Append(const ScrapeBatch& batch) {
    RecordEncoder::Encoded encoded;
    Must(encoder_.Encode(batch, encoded).ok());
    for (const std::string& bytes : encoded.dictionary) Add(RecordKind::kDictionary, bytes);
    Add(RecordKind::kScrape, encoded.scrape);
  }

  uint64_t next() const { return records_.size() + 1; }

  // All that was appended since the last call.
  GoldenMessage Send(std::string name, bool compress = false) {
    const uint64_t first = std::exchange(sent_, records_.size()) + 1;
    return Message(std::move(name), first, records_.size(), compress, /*rebuild=*/false);
  }
  // The same again, for a stream that goes on behind it.
  GoldenMessage Rebuild(std::string name, uint64_t first, uint64_t last) {
    return Message(std::move(name), first, last, false, /*rebuild=*/true);
  }
  void SkipTo(uint64_t next) {
    while (records_.size() + 1 < next) records_.emplace_back();
    sent_ = records_.size();
    storage::v1::Gap gap;
    gap.set_from(decoder_.next_number());
    gap.set_to(next - 1);
    Must(decoder_.Skip(gap).ok());
  }

 private:
  struct Record {
    RecordKind kind = RecordKind::kDictionary;
    std::string bytes;
  };

  void Add(RecordKind kind, const std::string& bytes) {
    LogRecord record;
    record.number = next();
    record.kind = kind;
    record.bytes = bytes;
    const auto sent = raw_columns_ ? raw_.Rewrite(record) : std::string_view(bytes);
    Must(sent.ok());
    records_.push_back({kind, std::string(*sent)});
  }

  GoldenMessage Message(std::string name, uint64_t first, uint64_t last, bool compress,
                        bool rebuild) {
    AppendRequest request;
    storage::v1::Records& records = *request.mutable_records();
    records.set_first_number(first);
    records.set_count(static_cast<uint32_t>(last - first + 1));
    records.set_rebuild(rebuild);
    records.set_compression(compress ? storage::v1::Records::ZSTD : storage::v1::Records::NONE);
    std::string body;
    std::string said;
    for (uint64_t number = first; number <= last; ++number) {
      body += records_[number - 1].bytes;
      absl::StrAppend(&said, number == first ? "" : ",\n", Say(number, rebuild));
    }
    if (compress) records.set_raw_size(static_cast<uint32_t>(body.size()));
    records.set_body(compress ? std::string(compressor_.Compress(body)) : body);
    Must(!records.body().empty());
    storage::v1::Records shown = records;  // its bytes stand in the other file
    shown.clear_body();
    return {std::move(name), request.SerializeAsString(),
            absl::StrCat("{\"message\": {\"records\": ", Json(shown), "},\n \"records\": [\n", said,
                         "\n]}\n"),
            compress};
  }

  std::string Say(uint64_t number, bool rebuild) {
    const Record& record = records_[number - 1];
    const std::string payload = record.bytes.substr(kRecordHeaderBytes);
    const char* const kind = record.kind == RecordKind::kDictionary ? "D" : "S";
    std::string said =
        absl::StrFormat("  {\"number\": %d, \"kind\": \"%s\", \"payload\": ", number, kind);
    if (record.kind == RecordKind::kDictionary) {
      absl::StrAppend(&said, Json(Parsed<storage::v1::Dictionary>(payload)));
    } else {
      absl::StrAppend(&said, Json(Parsed<storage::v1::Scrape>(payload)));
    }
    if (rebuild) return said + "}";
    SampleLines samples;
    Must(decoder_.DecodeRecord(number, record.bytes, samples).ok());
    if (samples.lines.empty()) return said + "}";
    absl::StrAppend(&said, ",\n   \"samples\": [\n");
    for (size_t i = 0; i < samples.lines.size(); ++i) {
      absl::StrAppend(&said, i == 0 ? "" : ",\n", samples.lines[i]);
    }
    return said + "\n   ]}";
  }

  template <typename T>
  static T Parsed(const std::string& payload) {
    T message;
    Must(message.ParseFromString(payload));
    return message;
  }

  const bool raw_columns_;
  const Labels external_{{"cluster", "c1"}};
  KeyTable table_;
  RecordEncoder encoder_;
  RawRecords raw_;
  MessageCompressor compressor_;
  RecordDecoder decoder_{RecordDecoder::Options{}};
  std::vector<Record> records_;
  uint64_t sent_ = 0;
};

// A target whose page changes once.
class GoldenTarget {
 public:
  explicit GoldenTarget(KeyTable& table) : table_(table) {
    keys_ = {Key({{"__name__", "http_requests_total"}, {"code", "200"}}, MetricType::kCounter),
             Key({{"__name__", "http_requests_total"}, {"code", "500"}}, MetricType::kCounter),
             Key({{"__name__", "temperature"}}, MetricType::kGauge),
             Key({{"__name__", "up"}}, MetricType::kUnknown)};
    layout_ = Make(keys_, 0, {});
  }
  ~GoldenTarget() {
    layout_.reset();
    for (const KeyId key : keys_) table_.Unref(key);
  }

  // The second series goes, and one that is complete by itself comes before the report series.
  void ChangePage() {
    const KeyId added =
        Key({{"__name__", "room_temperature"}, {"instance", "sensor:1"}, {"room", "küche"}},
            MetricType::kGauge, /*complete=*/true);
    const std::vector<KeyId> keys = {keys_[0], keys_[2], added, keys_[3]};
    layout_ = Make(keys, layout_->id(), {1, -1, 1, 0, 1, 1});
    keys_.push_back(added);
  }

  ScrapeBatch Batch(int scrape, std::span<const double> values) const {
    ScrapeBatch batch;
    batch.layout = layout_;
    batch.timestamp_ms = kStartMs + scrape * 10'000;
    batch.values = values;
    return batch;
  }

 private:
  KeyId Key(Labels labels, MetricType type, bool complete = false) {
    SeriesKey key;
    const std::string name(labels.Get("__name__"));
    if (type != MetricType::kUnknown) {
      key.family = table_.InternFamily({name, type, "", absl::StrCat("Help of ", name, ".")});
    }
    key.labels = std::move(labels);
    key.complete = complete;
    return table_.Intern(key);
  }
  LayoutPtr Make(const std::vector<KeyId>& keys, uint64_t base, LayoutPatch patch) {
    return std::make_shared<Layout>(
        table_,
        std::make_shared<const Labels>(Labels{{"instance", "localhost:9100"}, {"job", "node"}}),
        keys, base, std::move(patch));
  }

  KeyTable& table_;
  std::vector<KeyId> keys_;
  LayoutPtr layout_;
};

// The records of a stream, message by message.
void AddRecords(bool raw, std::vector<GoldenMessage>& out) {
  const std::string prefix = raw ? "raw-" : "delta-";
  GoldenStream stream(raw);
  GoldenTarget target(stream.table());
  const auto append = [&](ScrapeBatch batch) { stream.Append(batch); };
  constexpr double kInfinity = std::numeric_limits<double>::infinity();

  const std::vector<double> first = {1027, 3, 21.375, 1};
  append(target.Batch(0, first));
  out.push_back(stream.Send(prefix + "01-request-segment-keyframe"));

  const std::vector<double> second = {1031, 3, 21.4, 1};
  append(target.Batch(1, second));
  const std::vector<double> third = {1031, kInfinity, 0.30000000000000004, 1};
  const uint64_t absent[] = {1};
  const ScrapeBatch::ExplicitTime times[] = {{2, kStartMs + 19'250}};
  ScrapeBatch odd = target.Batch(2, third);
  odd.absent = absent;
  odd.times = times;
  append(odd);
  const std::vector<double> fourth = {1040, StaleMarker(), -0.0, 1};
  append(target.Batch(3, fourth));
  for (int scrape = 4; scrape < 10; ++scrape) append(target.Batch(scrape, second));
  out.push_back(stream.Send(prefix + "02-request-zstd", /*compress=*/true));

  target.ChangePage();
  const std::vector<double> patched = {1041, 21.5, 19.25, 1};
  append(target.Batch(10, patched));
  out.push_back(stream.Send(prefix + "03-request-patch"));

  const std::vector<double> failed = {0, 0, 0, 0};
  const uint64_t stale[] = {7};
  ScrapeBatch failure = target.Batch(11, failed);
  failure.flags = ScrapeBatch::kScrapeFailed;
  failure.absent = stale;
  failure.stale = stale;
  append(failure);
  stream.encoder().BeginKeyframe();
  append(target.Batch(12, patched));
  ScrapeBatch gone = target.Batch(13, {});
  const uint64_t all[] = {15};
  gone.flags = ScrapeBatch::kTargetGone;
  gone.stale = all;
  append(gone);
  out.push_back(stream.Send(prefix + "04-request-failed-keyframe-gone"));

  stream.SkipTo(stream.next() + 3);  // the Gap of the message beside it
  stream.BeginSegment();
  append(target.Batch(15, patched));
  out.push_back(stream.Send(prefix + "05-request-behind-a-gap"));
  if (!raw) out.push_back(stream.Rebuild(prefix + "06-request-rebuild", 1, 2));
}

GoldenMessage Plain(std::string name, const google::protobuf::Message& message) {
  return {std::move(name), message.SerializeAsString(),
          absl::StrCat("{\"message\": ", Json(message), "}\n")};
}

AppendRequest MakeHello() {
  AppendRequest request;
  storage::v1::Hello& hello = *request.mutable_hello();
  hello.set_writer_id("9f86d081884c7d659a2feaa0c55ad015");
  hello.set_incarnation(kEpoch);
  hello.set_epoch(kEpoch);
  hello.set_lane(2);
  hello.set_first_number(1);
  hello.set_next_number(22);
  hello.set_version("1.0.0");
  hello.set_sink("storage");
  return request;
}

AppendRequest MakeGap() {
  AppendRequest request;
  storage::v1::Gap& gap = *request.mutable_gap();
  gap.set_from(17);
  gap.set_to(19);
  gap.set_samples(12);
  gap.set_reason(storage::v1::Gap::SPOOL_CAP);
  return request;
}

AppendResponse MakeWelcome(storage::v1::Encoding encoding) {
  AppendResponse response;
  storage::v1::Welcome& welcome = *response.mutable_welcome();
  welcome.set_store_id("store-1");
  welcome.set_encoding(encoding);
  welcome.set_window_bytes(8 << 20);
  welcome.set_version("1.0.0");
  return response;
}

AppendResponse MakeAck() {
  AppendResponse response;
  storage::v1::Ack& ack = *response.mutable_ack();
  ack.set_durable(9);
  storage::v1::Reject& reject = *ack.add_rejects();
  reject.set_number(4);
  reject.set_code(storage::v1::Reject::OUT_OF_ORDER);
  reject.set_samples(1);
  reject.add_positions(2);
  reject.set_detail("older than the series' newest sample");
  ack.mutable_totals()->set_stored(26);
  (*ack.mutable_totals()->mutable_rejected())[storage::v1::Reject::OUT_OF_ORDER] = 1;
  ack.set_window_bytes((8 << 20) + 900);
  return response;
}

AppendResponse MakeGoaway() {
  AppendResponse response;
  response.mutable_goaway()->set_action(storage::v1::Goaway::RECONNECT);
  response.mutable_goaway()->set_reason("restarting");
  response.mutable_goaway()->mutable_retry_after()->set_seconds(3);
  return response;
}

template <typename T>
T PingOrPong(bool ping) {
  T message;
  if (ping) {
    message.mutable_ping()->set_nonce(41);
  } else {
    message.mutable_pong()->set_nonce(41);
  }
  return message;
}

}  // namespace

std::vector<GoldenMessage> MakeGoldenMessages() {
  std::vector<GoldenMessage> out;
  out.push_back(Plain("control-request-gap", MakeGap()));
  out.push_back(Plain("control-request-hello", MakeHello()));
  out.push_back(Plain("control-request-ping", PingOrPong<AppendRequest>(true)));
  out.push_back(Plain("control-request-pong", PingOrPong<AppendRequest>(false)));
  out.push_back(Plain("control-response-ack", MakeAck()));
  out.push_back(Plain("control-response-goaway", MakeGoaway()));
  out.push_back(Plain("control-response-ping", PingOrPong<AppendResponse>(true)));
  out.push_back(Plain("control-response-pong", PingOrPong<AppendResponse>(false)));
  out.push_back(
      Plain("control-response-welcome-delta", MakeWelcome(storage::v1::ENCODING_DECIMAL_DELTA)));
  out.push_back(
      Plain("control-response-welcome-raw", MakeWelcome(storage::v1::ENCODING_RAW_COLUMNS)));
  AddRecords(/*raw=*/false, out);
  AddRecords(/*raw=*/true, out);
  return out;
}

}  // namespace trawl

#include "tests/client/store/test_writer.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <utility>

namespace trawl {

TestWriter::TestWriter(Labels external) : external_(std::move(external)) { Roll(); }
TestWriter::~TestWriter() = default;

LayoutPtr TestWriter::Target(const std::string& instance, const std::vector<std::string>& metrics) {
  std::vector<SeriesKey> keys;
  for (const std::string& metric : metrics) keys.push_back({Labels{{"__name__", metric}}});
  return TargetOf(Labels{{"instance", instance}, {"job", "node"}}, keys);
}

LayoutPtr TestWriter::TargetOf(const Labels& target, const std::vector<SeriesKey>& keys) {
  std::vector<KeyId> ids;
  for (const SeriesKey& key : keys) ids.push_back(table_.Intern(key));
  auto layout = std::make_shared<Layout>(table_, std::make_shared<const Labels>(target), ids, 0,
                                         LayoutPatch{});
  for (const KeyId id : ids) table_.Unref(id);
  return layout;
}

void TestWriter::Scrape(const LayoutPtr& layout, int64_t time_ms,
                        const std::vector<double>& values) {
  ScrapeBatch batch;
  batch.layout = layout;
  batch.timestamp_ms = time_ms;
  batch.values = values;
  Append(batch);
}

void TestWriter::Append(const ScrapeBatch& batch) {
  RecordEncoder::Encoded encoded;
  const absl::Status status = encoder_.Encode(batch, encoded);
  ASSERT_TRUE(status.ok()) << status;
  for (std::string& record : encoded.dictionary) records_.push_back(std::move(record));
  records_.push_back(std::move(encoded.scrape));
}

void TestWriter::Roll() { encoder_.BeginSegment(external_, ""); }

void TestWriter::ForgetTarget(const LayoutPtr& layout) { encoder_.Forget(layout->id()); }

storage::v1::AppendRequest TestWriter::Hello(uint64_t incarnation, uint64_t epoch, uint32_t lane,
                                             const std::string& writer) {
  storage::v1::AppendRequest request;
  storage::v1::Hello& hello = *request.mutable_hello();
  hello.set_writer_id(writer);
  hello.set_incarnation(incarnation);
  hello.set_epoch(epoch);
  hello.set_lane(lane);
  hello.set_first_number(1);
  hello.set_next_number(1);
  return request;
}

storage::v1::AppendRequest TestWriter::Records(uint64_t from, uint64_t to, bool rebuild) const {
  storage::v1::AppendRequest request;
  storage::v1::Records& records = *request.mutable_records();
  records.set_first_number(from);
  records.set_count(static_cast<uint32_t>(to - from + 1));
  records.set_rebuild(rebuild);
  for (uint64_t n = from; n <= to; ++n) records.mutable_body()->append(records_[n - 1]);
  return request;
}

storage::v1::AppendRequest TestWriter::Compressed(uint64_t from, uint64_t to) const {
  storage::v1::AppendRequest request = Records(from, to);
  storage::v1::Records& records = *request.mutable_records();
  std::string body(ZSTD_compressBound(records.body().size()), '\0');
  body.resize(
      ZSTD_compress(body.data(), body.size(), records.body().data(), records.body().size(), 1));
  records.set_raw_size(static_cast<uint32_t>(records.body().size()));
  records.set_compression(storage::v1::Records::ZSTD);
  records.set_body(std::move(body));
  return request;
}

storage::v1::AppendRequest TestWriter::Gap(uint64_t from, uint64_t to, uint64_t samples,
                                           storage::v1::Gap::Reason reason) {
  storage::v1::AppendRequest request;
  request.mutable_gap()->set_from(from);
  request.mutable_gap()->set_to(to);
  request.mutable_gap()->set_samples(samples);
  request.mutable_gap()->set_reason(reason);
  return request;
}

void FakeStoreStream::Send(storage::v1::AppendResponse message) {
  if (!finished) sent.push_back(std::move(message));
}

void FakeStoreStream::Finish(const absl::Status& with) {
  if (!finished) status = with;
  finished = true;
}

bool FakeStoreStream::has_welcome() const { return !sent.empty() && sent[0].has_welcome(); }

const storage::v1::Welcome& FakeStoreStream::welcome() const { return sent.at(0).welcome(); }

storage::v1::Ack FakeStoreStream::last_ack() const {
  for (auto it = sent.rbegin(); it != sent.rend(); ++it) {
    if (it->has_ack()) return it->ack();
  }
  return {};
}

size_t FakeStoreStream::acks() const {
  size_t count = 0;
  for (const auto& response : sent) count += response.has_ack();
  return count;
}

}  // namespace trawl

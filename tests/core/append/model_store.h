#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/append/record_decoder.h"
#include "tests/core/append/page_source.h"
#include "tests/fakes/fake_append_stream.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// A storage service as the protocol wants it, behind a FakeAppendStreamFactory: it decodes what
// is written, keeps rows by record number, and acks what it commits. A test may stop it at any
// message, crash it, and make it forget.
class ModelStore final : private RecordDecoder::Visitor {
 public:
  explicit ModelStore(FakeAppendStreamFactory& factory) : factory_(factory) {}

  // Takes the next message that was written; false if there is none. Answers Hello with Welcome;
  // what it takes of records and gaps stands in memory until Commit.
  bool TakeOne();
  void TakeAll() {
    while (TakeOne()) {
    }
  }
  // All that was taken becomes durable, and is acked.
  void Commit();
  // The stream breaks; what was not committed is forgotten.
  void Crash();
  // As from a backup: only the records up to `number` are left.
  void RestoreBackup(uint64_t number);

  void set_window_bytes(uint64_t bytes) { window_bytes_ = bytes; }
  // What Welcome asks for. Values that come otherwise are complained of.
  void set_encoding(storage::v1::Encoding encoding) { encoding_ = encoding; }

  // It crashes whenever this record comes to be stored. 0: never.
  void set_poison(uint64_t number) { poison_ = number; }
  void set_store_id(std::string id) { store_id_ = std::move(id); }
  void set_newest_first(bool on) { newest_first_ = on; }

  uint64_t durable() const { return durable_; }
  const std::map<uint64_t, Rows>& rows() const { return committed_; }
  const std::vector<storage::v1::Gap>& gaps() const { return gaps_; }
  uint64_t rebuild_records() const { return rebuild_records_; }
  // Errors of decoding, records that came twice.
  const std::vector<std::string>& complaints() const { return complaints_; }

 private:
  void OnScrape(const DecodedScrape& scrape) override;
  void Take(const storage::v1::AppendRequest& request);

  FakeAppendStreamFactory& factory_;
  uint64_t window_bytes_ = uint64_t{1} << 30;
  storage::v1::Encoding encoding_ = storage::v1::ENCODING_DECIMAL_DELTA;
  std::string store_id_ = "model";
  uint64_t poison_ = 0;
  bool newest_first_ = false;
  uint64_t durable_ = 0;
  std::map<uint64_t, Rows> committed_;
  std::vector<storage::v1::Gap> gaps_;
  std::vector<std::string> complaints_;
  uint64_t rebuild_records_ = 0;

  // Of one stream.
  size_t stream_ = 0;
  size_t taken_ = 0;
  std::unique_ptr<RecordDecoder> decoder_;
  std::map<uint64_t, Rows> pending_;
};

}  // namespace trawl

#include "tests/core/append/model_store.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace trawl {

bool ModelStore::TakeOne() {
  if (stream_ != factory_.opened()) {
    stream_ = factory_.opened();
    taken_ = 0;
    decoder_.reset();
    pending_.clear();
  }
  if (!factory_.open() || taken_ == factory_.written().size()) return false;
  const storage::v1::AppendRequest request = factory_.written()[taken_++];
  Take(request);
  return true;
}

void ModelStore::Take(const storage::v1::AppendRequest& request) {
  absl::Status status;
  if (request.has_hello()) {
    RecordDecoder::Options options;
    options.durable = durable_;
    decoder_ = std::make_unique<RecordDecoder>(options);
    storage::v1::AppendResponse response;
    response.mutable_welcome()->set_store_id(store_id_);
    response.mutable_welcome()->set_durable(durable_);
    response.mutable_welcome()->set_window_bytes(window_bytes_);
    response.mutable_welcome()->set_encoding(encoding_);
    response.mutable_welcome()->set_newest_first(newest_first_);
    factory_.Answer(response);
  } else if (request.has_records()) {
    const storage::v1::Records& records = request.records();
    if (poison_ >= records.first_number() && poison_ - records.first_number() < records.count() &&
        !records.rebuild()) {
      return Crash();
    }
    if (request.records().rebuild()) rebuild_records_ += request.records().count();
    status = decoder_->Decode(request.records(), *this);
  } else if (request.has_gap()) {
    status = decoder_->Skip(request.gap());
    gaps_.push_back(request.gap());
  } else if (request.has_ping()) {
    storage::v1::AppendResponse response;
    response.mutable_pong()->set_nonce(request.ping().nonce());
    factory_.Answer(response);
  }
  if (!status.ok()) complaints_.push_back(std::string(status.message()));
}

void ModelStore::OnScrape(const DecodedScrape& scrape) {
  if (!pending_.emplace(scrape.number, RowsOf(scrape)).second) {
    complaints_.push_back(absl::StrCat("record ", scrape.number, " came twice"));
  }
  if (encoding_ == storage::v1::ENCODING_RAW_COLUMNS && !scrape.message->control().empty()) {
    complaints_.push_back(absl::StrCat("record ", scrape.number, " is not in raw columns"));
  }
}

void ModelStore::Commit() {
  if (decoder_ == nullptr || decoder_->next_number() - 1 == durable_) return;
  durable_ = decoder_->next_number() - 1;
  for (auto& [number, rows] : pending_) {
    if (!committed_.emplace(number, std::move(rows)).second) {
      complaints_.push_back(absl::StrCat("record ", number, " was stored twice"));
    }
  }
  pending_.clear();
  if (stream_ != factory_.opened() || !factory_.open()) return;  // the ack is lost
  storage::v1::AppendResponse response;
  response.mutable_ack()->set_durable(durable_);
  response.mutable_ack()->set_window_bytes(window_bytes_);
  factory_.Answer(response);
}

void ModelStore::Crash() {
  if (factory_.open()) factory_.Close(absl::UnavailableError("store crashed"));
  decoder_.reset();
  pending_.clear();
}

void ModelStore::RestoreBackup(uint64_t number) {
  Crash();
  durable_ = number;
  committed_.erase(committed_.upper_bound(number), committed_.end());
}

}  // namespace trawl

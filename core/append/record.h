#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/append/record_log.h"

namespace trawl {

// FORMAT of a record, the same in the log, in the spool's files and in Records.body
// (storage.proto):
//
//   length   4 bytes  little endian; of the payload; at most 32 MiB
//   kind     1 byte   1: D, the payload is a Dictionary; 2: S, the payload is a Scrape
//   crc32c   4 bytes  little endian; CRC-32C of the five bytes before and of the payload
//   payload
//
// Stateless functions; thread-safe.
inline constexpr size_t kRecordHeaderBytes = 9;
inline constexpr size_t kMaxRecordPayloadBytes = size_t{32} << 20;

// Room for a header at the end of `out`; the payload is appended next, then FinishRecord is
// called with what this returned. Saves copying the payload.
size_t BeginRecord(std::string& out);
// Fills the header at `start` in. The payload is all behind the header.
void FinishRecord(RecordKind kind, size_t start, std::string& out);
// One record with this payload at the end of `out`.
void AppendRecord(RecordKind kind, std::string_view payload, std::string& out);

struct RecordView {
  RecordKind kind = RecordKind::kDictionary;
  std::string_view payload;
  size_t size = 0;  // of the whole record
};

// The record at the front of `bytes`, which must outlive the view. kDataLoss: cut off, an unknown
// kind, too long, or a wrong CRC.
absl::StatusOr<RecordView> ParseRecord(std::string_view bytes);

}  // namespace trawl

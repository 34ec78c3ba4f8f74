#include "core/append/record.h"

#include "absl/strings/str_cat.h"
#include "core/base/hash.h"

namespace trawl {
namespace {

constexpr size_t kCheckedHeaderBytes = 5;  // length and kind
constexpr size_t kCrcOffset = kCheckedHeaderBytes;

void StoreLittleEndian32(uint32_t value, char* out) {
  for (int i = 0; i < 4; ++i) out[i] = static_cast<char>(value >> (8 * i));
}

uint32_t LoadLittleEndian32(const char* in) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    value |= static_cast<uint32_t>(static_cast<unsigned char>(in[i])) << (8 * i);
  }
  return value;
}

uint32_t RecordCrc(const char* record, size_t payload_bytes) {
  const uint32_t crc = Crc32c(std::string_view(record, kCheckedHeaderBytes));
  return Crc32c(std::string_view(record + kRecordHeaderBytes, payload_bytes), crc);
}

}  // namespace

size_t BeginRecord(std::string& out) {
  const size_t start = out.size();
  out.append(kRecordHeaderBytes, '\0');
  return start;
}

void FinishRecord(RecordKind kind, size_t start, std::string& out) {
  const size_t payload_bytes = out.size() - start - kRecordHeaderBytes;
  char* const record = out.data() + start;
  StoreLittleEndian32(static_cast<uint32_t>(payload_bytes), record);
  record[4] = static_cast<char>(kind);
  StoreLittleEndian32(RecordCrc(record, payload_bytes), record + kCrcOffset);
}

void AppendRecord(RecordKind kind, std::string_view payload, std::string& out) {
  const size_t start = BeginRecord(out);
  out.append(payload);
  FinishRecord(kind, start, out);
}

absl::StatusOr<RecordView> ParseRecord(std::string_view bytes) {
  if (bytes.size() < kRecordHeaderBytes) {
    return absl::DataLossError(absl::StrCat("record cut off after ", bytes.size(), " bytes"));
  }
  const size_t payload_bytes = LoadLittleEndian32(bytes.data());
  if (payload_bytes > kMaxRecordPayloadBytes) {
    return absl::DataLossError(absl::StrCat("record of ", payload_bytes, " bytes"));
  }
  if (bytes.size() - kRecordHeaderBytes < payload_bytes) {
    return absl::DataLossError(absl::StrCat("record cut off after ", bytes.size(), " of ",
                                            kRecordHeaderBytes + payload_bytes, " bytes"));
  }
  const auto kind = static_cast<unsigned char>(bytes[4]);
  if (kind != static_cast<unsigned char>(RecordKind::kDictionary) &&
      kind != static_cast<unsigned char>(RecordKind::kScrape)) {
    return absl::DataLossError(absl::StrCat("record of unknown kind ", int{kind}));
  }
  if (LoadLittleEndian32(bytes.data() + kCrcOffset) != RecordCrc(bytes.data(), payload_bytes)) {
    return absl::DataLossError("record with a wrong checksum");
  }
  return RecordView{static_cast<RecordKind>(kind), bytes.substr(kRecordHeaderBytes, payload_bytes),
                    kRecordHeaderBytes + payload_bytes};
}

}  // namespace trawl
